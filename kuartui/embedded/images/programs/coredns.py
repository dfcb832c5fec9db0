"""CoreDNS: the cluster's name server, from its Corefile. Log lines and errors are CoreDNS' own."""

from __future__ import annotations

from kuartui.embedded.network.corefile import CoreDns, CorefileError
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

VERSION = "1.13.1"
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
    listeners = process.network.listen_dns(process.ip, dns)
    try:
        _serve_health(process)
        await process.out(f".:53\nCoreDNS-{VERSION}\nlinux/amd64, go1.25.2, 1db4568\n")
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


def _serve_health(process: Process) -> None:
    async def answer(request: Request) -> Response:
        return reply(200, "OK") if request.path in ("/health", "/ready") else reply(404, "404 page not found\n")

    for port in (8080, 8181):
        process.listen(port, server(answer))


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
        await process.out("[INFO] Reloading\n[INFO] Reloading complete\n")
