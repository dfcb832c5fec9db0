"""hashicorp/http-echo says one thing; Kubernetes' echoserver says what it was asked."""

from __future__ import annotations

from kuartui.embedded.images.model import Program
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


def echoserver(version: str) -> Program:
    """registry.k8s.io/echoserver: nginx that tells callers of their request, whose address it saw first of all."""

    async def run(process: Process) -> int:
        async def app(request: Request) -> Response:
            told = _told_shortly if version in ("1.0", "1.1", "1.2", "1.3", "1.4") else _told
            return reply(200, told(process, request), "text/plain")

        try:
            process.listen(8080, server(app, name="echoserver"))
        except OSError as error:
            await process.err(f"nginx: [emerg] bind() to 0.0.0.0:8080 failed (98: {error.strerror})\n")
            return 1
        await process.out("Generating self-signed cert\nStarting nginx\n")
        await process.signals("TERM", "QUIT", "INT").get()
        return 0

    return run


def _told(process: Process, request: Request) -> str:
    """As from 1.5 on."""
    known = {"node name": "NODE_NAME", "pod name": "POD_NAME", "pod namespace": "POD_NAMESPACE", "pod IP": "POD_IP"}
    pod = [f"{what}:\t{process.env[name]}" for what, name in known.items() if process.env.get(name)]
    query = request.target.partition("?")[2]
    sections = {
        "Pod Information": pod or ["-no pod information available-"],
        "Server values": ["server_version=nginx: 1.13.3 - lua: 10008"],
        "Request Information": [
            f"client_address={request.peer[0]}", f"method={request.method}", f"real path={request.target}",
            f"query={query}", f"request_version={request.version}", f"request_scheme={request.scheme}",
            f"request_uri={request.scheme}://{request.host.partition(':')[0]}:8080{request.target}",
        ],
        "Request Headers": _headers(request),
        "Request Body": [request.body.decode(errors="replace") or "-no body in request-"],
    }  # fmt: skip
    text = "\n".join(f"{title}:\n" + "".join(f"\t{line}\n" for line in lines) for title, lines in sections.items())
    return f"\n\nHostname: {process.container.sandbox.hostname}\n\n{text}\n"


def _told_shortly(_: Process, request: Request) -> str:
    """As up to 1.4."""
    uri = f"http://{request.host.partition(':')[0]}:8080{request.target}"
    return "\n".join(
        [
            "CLIENT VALUES:", f"client_address={request.peer[0]}", f"command={request.method}",
            f"real path={request.target}", f"query={request.target.partition('?')[2] or 'nil'}",
            f"request_version={request.version}", f"request_uri={uri}", "", "SERVER VALUES:",
            "server_version=nginx: 1.10.0 - lua: 10001", "", "HEADERS RECEIVED:", *_headers(request), "BODY:",
            request.body.decode(errors="replace") or "-no body in request-",
        ]
    )  # fmt: skip


def _headers(request: Request) -> list[str]:
    return [f"{name.lower()}={value}" for name, value in sorted(request.headers, key=lambda header: header[0].lower())]
