"""DNS between programs: questions and answers, and the stub resolver that every pod's C library brings.

Between programs the wire format is left out (`dns_wire` has it for who connects with TCP), everything else is as on a
cluster: a question travels to the name server of the pod's resolv.conf, through kube-proxy and NetworkPolicy, to a DNS
program that listens there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

NODE_RESOLVER = "172.18.0.1"  # which nodes ask
CLUSTER_DOMAIN = "cluster.local"
TRY_SECONDS = 5.0  # resolv.conf(5): options timeout
TRIES = 2  # resolv.conf(5): options attempts
SHORT_TRY_SECONDS = 2.5  # musl and BusyBox's nslookup have five seconds for all tries together


def not_found_on_node(host: str) -> str:
    """What a Go program says that runs on a node and looked for a name that does not exist."""
    return f"dial tcp: lookup {host} on {NODE_RESOLVER}:53: no such host"


class Record(Struct, frozen=True):
    """A resource record. `data` is the text form: an address, a name without final dot, "0 100 80 host" for SRV."""

    name: str
    type: str
    data: str
    ttl: int = 30


class Answer(Struct, frozen=True):
    """What a server said: rcode NOERROR, NXDOMAIN, SERVFAIL or REFUSED, and the records (CNAMEs first)."""

    rcode: str
    records: tuple[Record, ...] = ()
    authoritative: bool = True

    @property
    def addresses(self) -> list[str]:
        """Data of the A and AAAA records."""
        return [record.data for record in self.records if record.type in ("A", "AAAA")]


NXDOMAIN = Answer("NXDOMAIN")
SERVFAIL = Answer("SERVFAIL")
REFUSED = Answer("REFUSED")
NODATA = Answer("NOERROR")


class DnsServer(Protocol):
    """Answers questions; registered with `Network.listen_dns`."""

    async def answer(self, name: str, qtype: str, source_ip: str) -> Answer:
        """`name` is absolute, lower case, without the final dot."""
        ...


class DnsConfig(Struct, frozen=True):
    """What a pod's resolv.conf says."""

    nameservers: tuple[str, ...]
    searches: tuple[str, ...] = ()
    options: tuple[tuple[str, str | None], ...] = ()

    @property
    def ndots(self) -> int:
        """How many dots make a name worth trying as it is, first."""
        for name, value in self.options:
            if name == "ndots" and value and value.isdigit():
                return int(value)
        return 1

    def text(self) -> str:
        """resolv.conf, in the order in which containerd writes it."""
        lines = []
        if self.searches:
            lines.append("search " + " ".join(self.searches))
        lines += [f"nameserver {server}" for server in self.nameservers]
        if self.options:
            lines.append("options " + " ".join(n if v is None else f"{n}:{v}" for n, v in self.options))
        return "\n".join(lines) + "\n"


def parse_resolv_conf(text: str) -> DnsConfig:
    """Read resolv.conf; the last `search` wins, as in resolv.conf(5)."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[tuple[str, str | None]] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] == "search":
            searches = tuple(words[1:])
        elif words[0] == "options":
            for word in words[1:]:
                name, colon, value = word.partition(":")
                options.append((name, value if colon else None))
    return DnsConfig(tuple(servers), searches, tuple(options))


def cluster_first(namespace: str, nameserver: str, domain: str = CLUSTER_DOMAIN) -> DnsConfig:
    """dnsPolicy ClusterFirst."""
    return DnsConfig((nameserver,), (f"{namespace}.svc.{domain}", f"svc.{domain}", domain), (("ndots", "5"),))


Query = Callable[[str, str], Awaitable[Answer]]


def candidates(name: str, config: DnsConfig) -> list[str]:
    """The absolute names that a resolver tries for `name`, in order."""
    if name.endswith("."):
        return [name[:-1].lower()]
    name = name.lower()
    searched = [f"{name}.{domain}".rstrip(".") for domain in config.searches]
    return [name, *searched] if name.count(".") >= config.ndots else [*searched, name]


async def search(name: str, qtype: str, config: DnsConfig, query: Query, *, musl: bool = False) -> Answer:
    """Walk the search list as the C library does: the first candidate with a record of the type wins.

    `query` raises TimeoutError or ConnectionRefusedError if no server answers; then the walk ends. Only glibc, after a
    timeout in the search list, asks for the name as it is; and after one for that, in the first domain of the list.
    """
    answer = NXDOMAIN
    waiting = candidates(name, config)
    searches_first = waiting[-1] == name.lower()
    while waiting:
        candidate = waiting.pop(0)
        try:
            said = await query(candidate, qtype)
        except TimeoutError:
            is_first = len(waiting) == len(config.searches)
            waiting = [] if musl else waiting[-1:] if searches_first else waiting[:1] if is_first else []
            if not waiting:
                raise
            continue
        if said.rcode == "NOERROR" and any(record.type == qtype for record in said.records):
            return said
        if answer.rcode == "NXDOMAIN" or said.rcode == "SERVFAIL":
            answer = said if said.rcode != "NXDOMAIN" else answer
    return answer
