"""hashicorp/http-echo: says one thing."""

from __future__ import annotations

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


async def http_echo(process: Process) -> int:
    """http-echo -text="hello" [-listen=:5678] [-status-code=200]."""
    text, listen, status = process.env.get("ECHO_TEXT", ""), f":{process.env.get('PORT', '5678')}", 200
    words = process.argv[1:]
    while words:
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        value = value if equals or not words else words.pop(0)
        if name == "text":
            text = value
        elif name == "listen":
            listen = value
        elif name == "status-code":
            status = int(value)
        elif name == "version":
            await process.err("http-echo v1.0.0\n")
            return 0
    if not text:
        await process.err("Missing -text option!\n")
        return 127

    async def app(request: Request) -> Response:
        if request.path == "/health":
            return reply(200, '{"status":"ok"}', "application/json")
        now = process.clock.now()
        await process.out(
            f"{now:%Y/%m/%d %H:%M:%S} {request.host} {request.peer[0]}:{request.peer[1]} "
            f'"{request.method} {request.target} HTTP/{request.version}" {status} {len(text) + 1} "{request.headers.find("user-agent")}" 10.2µs\n'
        )
        return reply(status, text + "\n", headers=[("X-App-Name", "http-echo"), ("X-App-Version", "1.0.0")])

    try:
        process.listen(int(listen.rpartition(":")[2]), server(app))
    except OSError as error:
        await process.err(f"listen tcp {listen}: bind: {(error.strerror or '').lower()}\n")
        return 1
    await process.out(f"{process.clock.now():%Y/%m/%d %H:%M:%S} [INFO] server is listening on {listen}\n")
    await process.signals("TERM", "INT").get()
    return 0
