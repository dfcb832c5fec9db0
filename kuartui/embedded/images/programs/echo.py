"""hashicorp/http-echo and agnhost's servers: programs that say who they are."""

from __future__ import annotations

import json

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.programs.agnhost_webhook import crd_conversion_webhook, webhook
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.probes import grpc
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


async def agnhost(process: Process) -> int:
    """agnhost netexec | serve-hostname | pause | connect | webhook …: Kubernetes' own test image."""
    words = process.argv[1:] or ["pause"]
    command = {
        "netexec": _netexec,
        "serve-hostname": _serve_hostname,
        "pause": _pause,
        "connect": _connect,
        "webhook": webhook,
        "crd-conversion-webhook": crd_conversion_webhook,
        "grpc-health-checking": _grpc_health,
        "porter": _serve_hostname,
        "echo-hostname": _serve_hostname,
    }.get(words[0])
    if command is None:
        await process.err(f'Error: unknown command "{words[0]}" for "app"\nRun \'app --help\' for usage.\n')
        return 1
    process.argv = [process.argv[0] + " " + words[0], *words[1:]]
    return await command(process)


async def _pause(process: Process) -> int:
    await process.out("Paused\n")
    await process.signals("TERM", "INT").get()
    return 0


async def _serve(process: Process, port: int) -> int:
    name = process.container.sandbox.hostname

    async def app(request: Request) -> Response:
        path = request.path
        if path in ("/", "/clientip"):
            return reply(
                200,
                f"NOW: {process.clock.now():%Y-%m-%d %H:%M:%S}"
                if path == "/"
                else f"{request.peer[0]}:{request.peer[1]}",
            )
        if path == "/hostname" or path == "/hostName":
            return reply(200, name)
        if path in ("/healthz", "/readyz"):
            return reply(200, "ok")
        if path == "/echo":
            return reply(200, (request.query.get("msg") or [""])[0])
        if path == "/header":
            return reply(200, request.headers.find((request.query.get("key") or [""])[0]))
        if path == "/exit":
            process.kill(15)
            return reply(200)
        if path == "/dial":
            return await _dial(process, request)
        return reply(404, "404 page not found\n")

    try:
        process.listen(port, server(app))
    except OSError as error:
        await process.err(f"listen tcp :{port}: bind: {(error.strerror or '').lower()}\n")
        return 1
    await process.out(f"Started HTTP server on port {port}\n")
    await process.signals("TERM", "INT").get()
    return 0


async def _netexec(process: Process) -> int:
    options, _ = await parse(
        process, "", ("http-port=", "udp-port=", "sctp-port=", "delay-shutdown=", "http-override=")
    )
    return await _serve(process, int(options.get("http-port", "8080")))


async def _serve_hostname(process: Process) -> int:
    options, _ = await parse(process, "", ("port=", "http", "tcp", "udp", "close="))
    name = process.container.sandbox.hostname
    if "tcp" in options:

        async def tell(stream: Stream) -> None:
            await stream.write(name.encode())
            stream.close()

        process.listen(int(options.get("port", "9376")), tell)
        await process.signals("TERM", "INT").get()
        return 0

    async def app(request: Request) -> Response:
        return reply(200, name)

    process.listen(int(options.get("port", "9376")), server(app))
    await process.out(f"Serving on port {options.get('port', '9376')}.\n")
    await process.signals("TERM", "INT").get()
    return 0


async def _grpc_health(process: Process) -> int:
    options, _ = await parse(process, "", ("port=", "http-port=", "delay-unhealthy-sec=", "service="))
    port, http_port = int(options.get("port", "5000")), int(options.get("http-port", "8080"))
    known = {"", options.get("service", "")}
    state = "SERVING"

    async def app(request: Request) -> Response:
        nonlocal state
        if request.path not in ("/make-serving", "/make-not-serving"):
            return reply(404, "404 page not found\n")
        state = "SERVING" if request.path == "/make-serving" else "NOT_SERVING"
        return reply(200)

    async def check(stream: Stream) -> None:
        try:
            await grpc.serve(stream, lambda service: state if service in known else None)
        except ConnectionResetError:
            stream.abort()

    process.listen(http_port, server(app))
    process.listen(port, check)
    await process.err(f"Http server starting to listen on :{http_port}\ngRPC server starting to listen on :{port}\n")
    stop = process.signals("TERM", "INT")
    delay = float(options.get("delay-unhealthy-sec", "-1"))

    async def turn() -> None:
        nonlocal state
        await process.clock.sleep(delay)
        state = "NOT_SERVING"

    if delay >= 0:
        process.background(turn())
    await stop.get()
    return 0


async def _connect(process: Process) -> int:
    options, rest = await parse(process, "", ("timeout=", "protocol="))
    limit = float(options.get("timeout", "0").rstrip("s") or 0) or 120.0
    host, _, port = (rest or [":"])[0].rpartition(":")
    try:
        stream = await process.connect(host, int(port or 80), options.get("protocol", "tcp").upper(), seconds=limit)
    except NameNotResolved:
        await process.err("DNS: lookup failed\n")
        return 1
    except TimeoutError:
        await process.err("TIMEOUT\n")
        return 1
    except ConnectionRefusedError:
        await process.err("REFUSED\n")
        return 1
    except OSError as error:
        await process.err(f"OTHER: {error.strerror}\n")
        return 1
    stream.close()
    return 0


async def _dial(process: Process, request: Request) -> Response:
    from kuartui.embedded.network.http import ProtocolError, exchange

    def first(name: str, default: str = "") -> str:
        return (request.query.get(name) or [default])[0]

    answers, errors = [], []
    for _ in range(int(first("tries", "1"))):
        try:
            stream = await process.connect(first("host"), int(first("port", "80")), seconds=5)
            response = await exchange(stream, "GET", "/" + first("request"), first("host"))
            answers.append((await response.read()).decode(errors="replace"))
        except (OSError, ProtocolError) as error:
            errors.append(str(error))
    return reply(200, json.dumps({"responses": answers, **({"errors": errors} if errors else {})}), "application/json")
