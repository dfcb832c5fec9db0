"""CoreDNS: the cluster's name server, from its Corefile. Log lines and errors are CoreDNS' own."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

from kuartui.embedded.network.corefile import CoreDns, CorefileError
from kuartui.embedded.network.dns import Answer
from kuartui.embedded.network.dns_wire import Question, encode, question_size
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

VERSION, GO_VERSION, REVISION = "1.13.1", "go1.25.2", "1db4568"
SERVER = "dns://:53"
RELOAD_SECONDS = 30.0  # the reload plugin's interval
LAME_DUCK_SECONDS = 5.0  # the health plugin keeps serving while clients move on


async def coredns(process: Process) -> int:
    """Serve DNS until told to stop; exit 1 on a Corefile that makes no sense."""
    args = process.argv[1:]
    path = args[args.index("-conf") + 1] if "-conf" in args[:-1] else "Corefile"
    try:
        text = process.read(path).decode(errors="replace")
        dns = CoreDns(text, process.network.objects, process.network.ask_upstream)
    except OSError:
        await process.out(f"loading Caddyfile via flag: open {path}: no such file or directory\n")
        return 1
    except CorefileError as error:
        await process.out(f"{error}\n")
        return 1
    counts: Counter[str] = Counter()
    udp, tcp = (Observed(process, dns, protocol, counts) for protocol in ("udp", "tcp"))
    listeners = process.network.listen_dns(process.ip, udp, tcp=tcp)
    try:
        _serve_plugins(process, dns, counts)
        running = _running(text) if "reload" in text.split() else ""
        await process.out(f".:53\n{running}CoreDNS-{VERSION}\nlinux/amd64, {GO_VERSION}, {REVISION}\n")
        stop = process.signals("INT", "TERM")
        process.background(_reload(process, path, text, dns))
        name = await stop.get()
        if name == "TERM":
            await process.out("[INFO] SIGTERM: Shutting down servers then terminating\n")
            await process.out(f"[INFO] plugin/health: Going into lameduck mode for {LAME_DUCK_SECONDS:.0f}s\n")
            await process.clock.sleep(LAME_DUCK_SECONDS)
    finally:
        for listener in listeners:
            listener.close()
    return 0


class Observed:
    """A DNS server with the eyes of the log and the prometheus plugin."""

    def __init__(self, process: Process, dns: CoreDns, protocol: str, counts: Counter[str]) -> None:
        self._process, self._dns, self._protocol, self._counts = process, dns, protocol, counts
        self._chance = random.Random(f"{process.ip}/{protocol}")

    async def answer(self, name: str, qtype: str, source_ip: str) -> Answer:
        """As the server says; counted, and logged if the Corefile asks for it."""
        began = self._process.clock.monotonic()
        answer = await self._dns.answer(name, qtype, source_ip)
        block = self._dns.block_for(name)
        if block is None:
            return answer
        where = f'server="{SERVER}",view="",zone="."'
        asked = f'family="1",proto="{self._protocol}",{where},type="{qtype}"'
        self._counts[f"coredns_dns_requests_total{{{asked}}}"] += 1
        self._counts[f'coredns_dns_responses_total{{rcode="{answer.rcode}",{where}}}'] += 1
        if block.find("log"):
            seconds = self._process.clock.monotonic() - began
            await self._process.out(self._line(name, qtype, source_ip, answer, seconds))
        return answer

    def _line(self, name: str, qtype: str, source_ip: str, answer: Answer, seconds: float) -> str:
        """The log plugin's common format."""
        port, id_ = self._chance.randint(32768, 60999), self._chance.randint(1, 65535)
        flags = "qr,aa,rd" if answer.authoritative else "qr,rd,ra"
        size = len(encode(Question(id_, 0, name, qtype), answer))
        return (
            f'[INFO] {source_ip}:{port} - {id_} "{qtype} IN {name}. {self._protocol} {question_size(name)} false '
            f'512" {answer.rcode} {flags} {size} {max(seconds, 0.00005):.9f}s\n'
        )


def _serve_plugins(process: Process, dns: CoreDns, counts: Counter[str]) -> None:
    """The HTTP ports of health, ready and prometheus, as far as the Corefile has them."""

    async def health(request: Request) -> Response:
        return reply(200, "OK") if request.path in ("/health", "/ready") else reply(404, "404 page not found\n")

    async def metrics(request: Request) -> Response:
        if request.path != "/metrics":
            return reply(404, "404 page not found\n")
        return reply(200, _exposition(counts), "text/plain; version=0.0.4; charset=utf-8")

    for plugin, address, answer in (
        ("health", ":8080", health),
        ("ready", ":8181", health),
        ("prometheus", "localhost:9153", metrics),
    ):
        directive = dns.find(plugin)
        if directive is not None:
            host, _, port = (directive.args or [address])[0].rpartition(":")
            process.listen(int(port), server(answer), bind=host or "0.0.0.0")


def _exposition(counts: Counter[str]) -> str:
    build = f'goversion="{GO_VERSION}",revision="{REVISION}",version="{VERSION}"'
    families = {
        "coredns_build_info": (
            "gauge",
            "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.",
        ),
        "coredns_dns_requests_total": ("counter", "Counter of DNS requests made per zone, protocol and family."),
        "coredns_dns_responses_total": ("counter", "Counter of response status codes."),
    }
    samples = {f"coredns_build_info{{{build}}}": 1, **counts}
    lines = []
    for name, (kind, about) in families.items():
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        lines += [f"{sample} {value}" for sample, value in sorted(samples.items()) if sample.startswith(name + "{")]
    return "\n".join(lines) + "\n"


async def _reload(process: Process, path: str, text: str, dns: CoreDns) -> None:
    """The reload plugin: a changed Corefile is taken up, a broken one is not."""
    if "reload" not in text.split():
        return
    while True:
        await process.clock.sleep(RELOAD_SECONDS)
        try:
            now = process.read(path).decode(errors="replace")
        except OSError:
            continue
        if now == text:
            continue
        text = now
        try:
            dns.load(now)
        except CorefileError as error:
            await process.out(f"[ERROR] Restart failed: {error}\n")
            continue
        await process.out(f"[INFO] Reloading\n{_running(now)}[INFO] Reloading complete\n")


def _running(text: str) -> str:
    """The reload plugin's word of what is in force. CoreDNS hashes what it has parsed, we the text."""
    return f"[INFO] plugin/reload: Running configuration SHA512 = {hashlib.sha512(text.encode()).hexdigest()}\n"
