"""CoreDNS' configuration and what it makes of a question.

Only the plugins that a cluster's Corefile uses have effect (kubernetes, forward, hosts, rewrite); the rest
are accepted because CoreDNS ships them, and an unknown directive is refused with CoreDNS' own words.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import cached_property

from msgspec import Struct, field

from kuartui.embedded.network.dns import NXDOMAIN, REFUSED, SERVFAIL, Answer, Record
from kuartui.embedded.network.objects import ObjectTable
from kuartui.embedded.network.zone import KubernetesZone

DEFAULT = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""
"""The Corefile of kubeadm and kind."""

# fmt: off
PLUGINS = frozenset((
    "acl", "any", "auto", "autopath", "azure", "bind", "bufsize", "cache", "cancel", "chaos", "clouddns", "debug",
    "dns64", "dnssec", "dnstap", "erratic", "errors", "etcd", "file", "forward", "geoip", "grpc", "header", "health",
    "hosts", "k8s_external", "kubernetes", "loadbalance", "local", "log", "loop", "metadata", "minimal",
    "multisocket", "nomad", "nsid", "prometheus", "pprof", "quic", "ready", "reload", "rewrite", "root", "route53",
    "secondary", "sign", "template", "timeouts", "tls", "trace", "transfer", "tsig", "view", "whoami",
))
# fmt: on


class CorefileError(ValueError):
    """The text that CoreDNS prints before it exits."""


class Directive(Struct, dict=True):
    """A plugin line and its block."""

    name: str
    args: list[str]
    line: int
    block: list[list[str]] = field(default_factory=list)

    @cached_property
    def zones(self) -> list[str]:
        """The zones that its arguments name, where it is the kubernetes plugin's."""
        return [zone.strip(".").lower() for zone in self.args] or ["cluster.local"]

    def option(self, name: str) -> list[str] | None:
        """Arguments of an option of the block."""
        return next((words[1:] for words in self.block if words[0] == name), None)


class ServerBlock(Struct):
    """The zones of a server block, and its plugins."""

    zones: list[tuple[str, int]]
    directives: list[Directive]

    def find(self, name: str) -> Directive | None:
        """The first directive of a plugin."""
        for directive in self.directives:  # a plain loop: each question asks for each plugin
            if directive.name == name:
                return directive
        return None


def parse(text: str, filename: str = "/etc/coredns/Corefile") -> list[ServerBlock]:
    """Parse a Corefile. Raises CorefileError."""
    tokens = _tokens(text)
    blocks: list[ServerBlock] = []
    at = 0
    while at < len(tokens):
        keys: list[str] = []
        line = tokens[at][1]
        while at < len(tokens) and tokens[at][0] != "{":
            keys.append(tokens[at][0].rstrip(","))
            at += 1
        if at == len(tokens):
            raise CorefileError(f"{filename}:{line} - Error during parsing: Unexpected EOF, expecting '{{'")
        at, directives = _directives(tokens, at + 1, filename)
        blocks.append(ServerBlock([_zone(key) for key in keys], directives))
    return blocks


def _tokens(text: str) -> list[tuple[str, int]]:
    tokens: list[tuple[str, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        for word in re.findall(r'"[^"]*"|#.*|[^\s#]+', line):
            if word.startswith("#"):
                break
            tokens.append((word.strip('"'), number))
    return tokens


def _directives(tokens: list[tuple[str, int]], at: int, filename: str) -> tuple[int, list[Directive]]:
    directives: list[Directive] = []
    while at < len(tokens):
        word, line = tokens[at]
        if word == "}":
            return at + 1, directives
        if word not in PLUGINS and word != "import":
            raise CorefileError(f"{filename}:{line} - Error during parsing: Unknown directive '{word}'")
        directive = Directive(word, [], line)
        at += 1
        while at < len(tokens) and tokens[at][1] == line and tokens[at][0] not in "{}":
            directive.args.append(tokens[at][0])
            at += 1
        if at < len(tokens) and tokens[at][0] == "{":
            at = _block(tokens, at + 1, directive)
        directives.append(directive)
    last = tokens[-1][1] if tokens else 1
    raise CorefileError(f"{filename}:{last} - Error during parsing: Unexpected EOF, expecting '}}'")


def _block(tokens: list[tuple[str, int]], at: int, directive: Directive) -> int:
    row = -1
    while at < len(tokens) and tokens[at][0] != "}":
        word, line = tokens[at]
        if line != row:
            directive.block.append([])
            row = line
        directive.block[-1].append(word)
        at += 1
    return at + 1


def _zone(key: str) -> tuple[str, int]:
    key = key.removeprefix("dns://")
    name, _, port = key.rpartition(":") if re.search(r":\d+$", key) else (key, "", "53")
    return name.strip(".").lower(), int(port)


Upstream = Callable[[str, str, str], Awaitable[Answer]]
"""Ask another server: (server address or "" for the node's resolver, name, qtype) -> Answer."""


class CoreDns:
    """A DNS server made from a Corefile."""

    def __init__(self, text: str, objects: ObjectTable, upstream: Upstream) -> None:
        self.blocks = parse(text)
        self._objects = objects
        self._upstream = upstream
        self._clusters: list[tuple[Directive, KubernetesZone]] = []

    def load(self, text: str) -> None:
        """Take up another Corefile. Raises CorefileError and keeps the old one."""
        self.blocks = parse(text)
        self._clusters = []

    def find(self, plugin: str) -> Directive | None:
        """The first directive of a plugin in any server block."""
        return next(filter(None, (block.find(plugin) for block in self.blocks)), None)

    async def answer(self, name: str, qtype: str, source_ip: str) -> Answer:
        """Answer one question, following CNAMEs."""
        return await self._ask(name, qtype, 0)

    async def _ask(self, name: str, qtype: str, depth: int) -> Answer:
        block = self.block_for(name)
        if block is None:
            return REFUSED
        asked = name
        for directive in block.directives:
            if directive.name == "rewrite":
                name = _rewrite(directive.args, name)
        answer = await self._chain(block, name, qtype)
        if name != asked:
            answer = _renamed(answer, name, asked)
        alias = next((record for record in answer.records if record.type == "CNAME"), None)
        wants_more = alias and qtype != "CNAME" and not any(record.type == qtype for record in answer.records)
        if alias and wants_more:
            if depth >= 8:
                return SERVFAIL
            rest = await self._ask(alias.data, qtype, depth + 1)
            # The alias itself exists, whatever becomes of its target.
            return Answer("NOERROR" if rest.rcode == "NXDOMAIN" else rest.rcode, (*answer.records, *rest.records))
        return answer

    def block_for(self, name: str) -> ServerBlock | None:
        """The server block with the longest zone around a name."""
        best: tuple[int, ServerBlock] | None = None
        for block in self.blocks:
            for zone, _ in block.zones:
                inside = not zone or name == zone or name.endswith("." + zone)
                if inside and (best is None or len(zone) > best[0]):
                    best = len(zone), block
        return best[1] if best else None

    async def _chain(self, block: ServerBlock, name: str, qtype: str) -> Answer:
        hosts = block.find("hosts")
        if hosts is not None:
            found = _hosts(hosts, name, qtype)
            if found is not None:
                return found
        kubernetes = block.find("kubernetes")
        if kubernetes is not None:
            found = self._kubernetes(kubernetes, name, qtype)
            if found is not None:
                return found
        forward = block.find("forward")
        if forward is not None and len(forward.args) > 1:
            zone = forward.args[0].strip(".").lower()
            if not zone or name == zone or name.endswith("." + zone):
                target = forward.args[1]
                return await self._upstream("" if target.startswith("/") else target, name, qtype)
        return SERVFAIL

    @staticmethod
    def _zones(directive: Directive, name: str) -> list[str]:
        return [zone for zone in directive.zones if name == zone or name.endswith("." + zone)]

    def _kubernetes(self, directive: Directive, name: str, qtype: str) -> Answer | None:
        zones = self._zones(directive, name)
        if not zones:
            return None
        zone = self._cluster(directive, max(zones, key=len))
        if name.endswith(".arpa"):
            reverse = zone.reverse(name)
            answer = NXDOMAIN if reverse is None else reverse
        else:
            answer = zone.answer(name, qtype)
        if answer.rcode != "NXDOMAIN" or (through := directive.option("fallthrough")) is None:
            return answer
        falls = not through or any(name.endswith(zone_name.strip(".")) for zone_name in through)
        return None if falls else answer

    def _cluster(self, directive: Directive, asked: str) -> KubernetesZone:
        """The cluster in the zone of a kubernetes directive that was asked for, read once. Addresses have their names in
        the first of the zones."""
        domain = asked
        if asked.endswith(".arpa"):
            names = [zone.strip(".").lower() for zone in directive.args]
            domain = next((zone for zone in names if not zone.endswith(".arpa")), "cluster.local")
        for known, zone in self._clusters:
            if known is directive and zone.domain == domain:
                return zone
        pods = (directive.option("pods") or ["disabled"])[0]
        ttl = int((directive.option("ttl") or ["5"])[0])
        zone = KubernetesZone(self._objects, domain, pods, ttl)
        self._clusters.append((directive, zone))
        return zone


def _rewrite(args: list[str], name: str) -> str:
    words = [word for word in args if word not in ("stop", "continue")]
    if not words or words[0] != "name":
        return name
    match words[1:]:
        case ["exact", old, new] | [old, new] if old not in ("suffix", "prefix", "regex", "substring"):
            return new.strip(".") if name == old.strip(".").lower() else name
        case ["suffix", old, new, *_]:
            old = old.strip(".").lower()
            return name.removesuffix(old).rstrip(".") + "." + new.strip(".") if name.endswith("." + old) else name
        case ["prefix", old, new, *_]:
            return new + name.removeprefix(old) if name.startswith(old) else name
        case ["regex", pattern, new, *_]:
            found = re.fullmatch(pattern, name)
            return re.sub(r"\{(\d+)\}", lambda m: found.group(int(m[1])), new).strip(".") if found else name
    return name


def _renamed(answer: Answer, name: str, asked: str) -> Answer:
    records = tuple(
        Record(asked if record.name == name else record.name, record.type, record.data, record.ttl)
        for record in answer.records
    )
    return Answer(answer.rcode, records, answer.authoritative)


def _hosts(directive: Directive, name: str, qtype: str) -> Answer | None:
    found = [
        Record(name, "AAAA" if ":" in words[0] else "A", words[0], 3600)
        for words in directive.block
        if name in [host.lower() for host in words[1:]] and words[0] not in ("ttl", "reload", "fallthrough")
    ]
    if found:
        return Answer("NOERROR", tuple(record for record in found if record.type == qtype))
    return None if directive.option("fallthrough") is not None else NXDOMAIN
