"""agnhost, Kubernetes' own test image: servers that say who they are, which its documentation is full of.

After test/images/agnhost of Kubernetes, one function for each command.
"""

from __future__ import annotations

import asyncio
import json
import re

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.programs.agnhost_files import logs_generator, mounttest, test_webserver
from kuartui.embedded.images.programs.agnhost_guestbook import guestbook
from kuartui.embedded.images.programs.agnhost_issuer import issuer_discovery
from kuartui.embedded.images.programs.agnhost_webhook import crd_conversion_webhook, webhook
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.network.http import App, ProtocolError, Request, Response, exchange, phrase, reply, server
from kuartui.embedded.network.stream import Handler
from kuartui.embedded.node.probes import grpc
from kuartui.embedded.node.runtime.process import Process

LIVES = 10.0  # seconds for which `liveness` is healthy
PATIENCE = 5.0  # seconds for which /dial waits


async def agnhost(process: Process) -> int:
    """agnhost netexec | serve-hostname | pause | connect | porter | liveness | webhook …"""
    words = process.argv[1:] or ["pause"]
    command = {
        "netexec": _netexec,
        "serve-hostname": _serve_hostname,
        "pause": _pause,
        "connect": _connect,
        "webhook": webhook,
        "crd-conversion-webhook": crd_conversion_webhook,
        "grpc-health-checking": _grpc_health,
        "porter": _porter,
        "liveness": _liveness,
        "entrypoint-tester": _entrypoint_tester,
        "guestbook": guestbook,
        "mounttest": mounttest,
        "test-webserver": test_webserver,
        "logs-generator": logs_generator,
        "test-service-account-issuer-discovery": issuer_discovery,
    }.get(words[0])
    if command is None:
        await process.err(f'Error: unknown command "{words[0]}" for "app"\nRun \'app --help\' for usage.\n')
        return 1
    if command is _entrypoint_tester:
        return await _entrypoint_tester(process)
    process.argv = [process.argv[0] + " " + words[0], *words[1:]]
    return await command(process)


async def _pause(process: Process) -> int:
    await process.out("Paused\n")
    await process.signals("TERM", "INT").get()
    return 0


async def _entrypoint_tester(process: Process) -> int:
    """Print the command line, as Go prints a list."""
    await process.out(f"[{' '.join(process.argv)}]\n")
    return 0


async def _listen(process: Process, port: int, handler: Handler, protocol: str = "TCP") -> bool:
    try:
        process.listen(port, handler, protocol)
    except OSError as error:
        await process.err(f"listen {protocol.lower()} :{port}: bind: {(error.strerror or '').lower()}\n")
        return False
    return True


async def _netexec(process: Process) -> int:
    options, _ = await parse(
        process, "", ("http-port=", "udp-port=", "sctp-port=", "delay-shutdown=", "http-override=")
    )
    port, udp_port = int(options.get("http-port", "8080")), int(options.get("udp-port", "8081"))
    ends: asyncio.Queue[int] = asyncio.Queue()
    app = _NetExec(process, ends)

    async def overridden(request: Request) -> Response:
        return await app(Request("GET", options["http-override"], request.headers, peer=request.peer))

    if not await _listen(process, port, server(overridden if options.get("http-override") else app)):
        return 1
    await process.out(f"Started HTTP server on port {port}\n")
    if udp_port != -1:
        if not await _listen(process, udp_port, app.udp, "UDP"):
            return 1
        await process.out(f"Started UDP server on port  {udp_port}\n")
    stop = process.signals("TERM", "INT")

    async def stopped() -> None:
        await stop.get()
        if delay := int(options.get("delay-shutdown", "0")):
            await process.out(f"Sleeping {delay} seconds before terminating...\n")
            await process.clock.sleep(delay)
        ends.put_nowait(0)

    process.background(stopped())
    return await ends.get()


class _NetExec:
    """What `netexec` answers over HTTP and UDP."""

    def __init__(self, process: Process, ends: asyncio.Queue[int]) -> None:
        self._process = process
        self._ends = ends
        self._name = process.container.sandbox.hostname

    async def __call__(self, request: Request) -> Response:
        """One HTTP request; paths that there are not are the root's."""

        def first(name: str) -> str:
            return (request.query.get(name) or [""])[0]

        now, path = self._process.clock.now(), request.path
        asked = {
            "/echo": ("msg", "code"),
            "/exit": ("code", "timeout", "wait"),
            "/header": ("key",),
            "/shell": ("cmd",),
        }
        asked |= {"/dial": ("host", "protocol", "port", "request", "tries")}
        shown = "&".join(f"{name}={first(name)}" for name in asked.get(path, ()))
        await self._process.err(f"{now:%Y/%m/%d %H:%M:%S} GET {path}{'?' if shown else ''}{shown}\n")
        match path:
            case "/clientip":
                return reply(200, f"{request.peer[0]}:{request.peer[1]}")
            case "/hostname" | "/hostName":
                return reply(200, self._name)
            case "/healthz":
                return reply(200)
            case "/echo":
                return reply(int(first("code") or 200), first("msg"))
            case "/header":
                return reply(200, request.headers.find(first("key")))
            case "/redirect":
                code = int(first("code") or 302)
                body = f'<a href="{first("location")}">{phrase(code)}</a>.\n\n'
                return reply(code, body, "text/html; charset=utf-8", [("Location", first("location"))])
            case "/exit" | "/shutdown":
                self._ends.put_nowait(int(first("code") or 0))
                return reply(200)
            case "/shell":
                return await self._shell(first("shellCommand") or first("cmd"))
            case "/dial":
                return await self._dial(request)
        return reply(200, f"NOW: {self._process.clock.now():%Y-%m-%d %H:%M:%S.%f +0000 UTC}")

    async def udp(self, stream: Stream) -> None:
        """`hostname`, `echo TEXT` and `clientip`; silence otherwise."""
        while data := await stream.read():
            text = data.decode(errors="replace").strip().lower()
            if text == "hostname":
                await stream.write(self._name.encode())
            elif text == "clientip":
                await stream.write(f"{stream.remote[0]}:{stream.remote[1]}".encode())
            elif text.startswith("echo "):
                await stream.write(text.removeprefix("echo ").encode())

    async def _shell(self, command: str) -> Response:
        output = bytearray()

        async def collect(data: bytes) -> None:
            output.extend(data)

        code = await self._process.run(["/bin/sh", "-c", command], stdout=collect, stderr=collect)
        answer = {"output": output.decode(errors="replace")} if output else {}
        return reply(200, _json(answer | ({"error": f"exit status {code}"} if code else {})))

    async def _dial(self, request: Request) -> Response:
        def first(name: str, default: str = "") -> str:
            return (request.query.get(name) or [default])[0]

        answers, errors = [], []
        for _ in range(int(first("tries") or 1)):
            try:
                if first("protocol", "http").lower() == "udp":
                    answers.append(await self._datagram(first("host"), int(first("port", "80")), first("request")))
                else:
                    stream = await self._process.connect(first("host"), int(first("port", "80")), seconds=PATIENCE)
                    response = await exchange(stream, "GET", "/" + first("request"), first("host"))
                    answers.append((await response.read()).decode(errors="replace"))
            except (OSError, ProtocolError) as error:
                errors.append(str(error))
        return reply(
            200, _json({**({"errors": errors} if errors else {}), **({"responses": answers} if answers else {})})
        )

    async def _datagram(self, host: str, port: int, text: str) -> str:
        stream = await self._process.connect(host, port, "UDP", seconds=PATIENCE)
        await stream.write(text.encode())
        try:
            async with self._process.clock.timeout(PATIENCE):
                return (await stream.read()).decode(errors="replace")
        finally:
            stream.close()


def _json(answer: dict[str, list[str]] | dict[str, str]) -> str:
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


async def _porter(process: Process) -> int:
    """porter [--json-response]: each variable SERVE_PORT_X (or _TCP_, _UDP_) is what port X answers."""
    options, _ = await parse(process, "", ("json-response",))

    def saying(text: str) -> App:
        async def app(request: Request) -> Response:
            if "json-response" in options:
                return reply(200, json.dumps({"Method": request.method, "Body": text}), "application/json")
            # Go looks at the first bytes for what it is
            kind = "html" if re.match(r"\s*<(a|html|!doctype|body|h1|p|div)\b", text, re.I) else "plain"
            return reply(200, text, f"text/{kind}; charset=utf-8")

        return app

    def datagrams(text: str) -> Handler:
        async def answer(stream: Stream) -> None:
            while await stream.read():
                await stream.write(text.encode())

        return answer

    for name, text in process.env.items():
        found = re.fullmatch(r"SERVE_(?:(TCP|UDP)_)?PORT_(\d+)", name)
        if found and found[1] == "UDP":
            await _listen(process, int(found[2]), datagrams(text), "UDP")
        elif found:
            await _listen(process, int(found[2]), server(saying(text)))
    await process.signals("TERM", "INT").get()
    return 0


async def _liveness(process: Process) -> int:
    """A server on port 8080 that says to be alive for ten seconds, then 500."""
    began = process.clock.monotonic()

    async def app(request: Request) -> Response:
        age = process.clock.monotonic() - began
        if request.path == "/healthz":
            return reply(500, f"error: {age:.9f}") if age > LIVES else reply(200, "ok")
        if request.path == "/started":
            return reply(200, f"{age:.9f}s")
        if request.path == "/redirect":
            target = (request.query.get("loc") or [""])[0]
            return reply(302, f'<a href="{target}">Found</a>.\n\n', "text/html; charset=utf-8", [("Location", target)])
        return reply(404, "404 page not found\n")

    if not await _listen(process, 8080, server(app)):
        return 1
    await process.signals("TERM", "INT").get()
    return 0


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

    if "udp" in options:

        async def answer(stream: Stream) -> None:
            while await stream.read():
                await stream.write(name.encode())

        process.listen(int(options.get("port", "9376")), answer, "UDP")
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
