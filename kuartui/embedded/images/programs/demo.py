"""Small demo programs of levels: seal (a secret in a file of a shell-less image), slowstart (needs its time to be ready)."""

from __future__ import annotations

import secrets

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


async def seal(process: Process) -> int:
    """Write a random code to /etc/seal/code, then do nothing."""
    process.files.mkdir("/etc/seal", parents=True)
    process.files.write("/etc/seal/code", secrets.token_hex(4).encode() + b"\n")
    await process.out("seal: closed\n")
    await process.signals("TERM", "INT").get()
    return 0


async def slowstart(process: Process) -> int:
    """Serve 503 until START_SECONDS (60) have passed, then 200 ok; /healthz is refused meanwhile, too."""
    seconds = float(process.env.get("START_SECONDS", "60"))
    port = int(process.env.get("PORT", "8080"))
    begun = process.clock.monotonic()

    async def app(request: Request) -> Response:
        if process.clock.monotonic() - begun < seconds:
            return reply(503, "starting\n")
        return reply(200, f"{process.container.sandbox.hostname}\n" if request.path == "/" else "ok\n")

    process.listen(port, server(app))
    await process.out(f"slowstart: ready in {seconds:g} seconds on :{port}\n")
    await process.signals("TERM", "INT").get()
    return 0
