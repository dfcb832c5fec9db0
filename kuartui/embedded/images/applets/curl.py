"""curl, with the flags that people use against clusters, its exit codes and its complaints."""

from __future__ import annotations

import base64
import getopt
import posixpath
import ssl
from urllib.parse import quote, urljoin, urlsplit

from msgspec import Struct, field

from kuartui.embedded.images.applets.web import TLS_VERSIONS, Fetch, Url, parse_url, secured, send
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.network.http import Client, ProtocolError, Response
from kuartui.embedded.network.tls import described
from kuartui.embedded.node.runtime.process import Process

VERSION = "8.14.1"
SHORT = "#:46aA:b:c:C:d:D:e:E:fF:gGhH:iIjJ:kK:lLm:nNo:OpP:qQ:r:RsST:u:U:vVw:x:X:y:Y:z:0123"
LONG = (
    "silent", "show-error", "fail", "fail-with-body", "include", "head", "verbose", "insecure", "output=", "remote-name",
    "write-out=", "header=", "request=", "data=", "data-raw=", "data-binary=", "data-urlencode=", "json=", "location",
    "max-time=", "connect-timeout=", "resolve=", "connect-to=", "cacert=", "cert=", "key=", "user=", "user-agent=",
    "retry=", "retry-delay=", "retry-connrefused", "retry-all-errors", "retry-max-time=", "get", "http1.1", "http1.0",
    "http2", "no-buffer", "compressed", "cookie=", "cookie-jar=", "referer=", "dump-header=", "no-progress-meter",
    "progress-bar", "version", "help", "url=", "max-redirs=", "ipv4", "ipv6", "no-keepalive", "oauth2-bearer=",
    "upload-file=", "form=", "interface=", "proxy=", "noproxy=", "create-dirs", "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3", "tls-max=", "path-as-is", "parallel",
)  # fmt: skip
NAMES = {
    "s": "silent", "S": "show-error", "f": "fail", "i": "include", "I": "head", "v": "verbose", "k": "insecure",
    "o": "output", "O": "remote-name", "w": "write-out", "H": "header", "X": "request", "d": "data", "L": "location",
    "m": "max-time", "u": "user", "A": "user-agent", "G": "get", "b": "cookie", "e": "referer", "D": "dump-header",
    "E": "cert", "T": "upload-file", "F": "form", "V": "version", "h": "help", "N": "no-buffer", "x": "proxy",
}  # fmt: skip

TLS_ERRORS = {"tlsv1 alert protocol version": "0A00042E"}


class Failed(Exception):
    """`curl: (code) text`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Options(Struct):
    """Parsed command line."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    resolves: dict[tuple[str, int], str] = field(default_factory=dict)
    detours: list[list[str]] = field(default_factory=list)  # host, port, and host and port to connect to instead
    urls: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    stage: str = "Operation"  # what goes on, as curl calls it when there is no more time for it


async def curl(process: Process) -> int:
    """curl [options] URL…"""
    try:
        options = _parse(process)
    except getopt.GetoptError as error:
        flag = "--" + error.opt if len(error.opt) > 1 else "-" + error.opt
        what = "requires parameter" if "requires" in error.msg else "is unknown"
        await process.err(
            f"curl: option {flag}: {what}\ncurl: try 'curl --help' or 'curl --manual' for more information\n"
        )
        return 2
    except OSError as error:
        await process.err(f"curl: option -d: error encountered when reading a file\ncurl: {error.strerror}\n")
        return 26
    if "version" in options.flags:
        await process.out(f"curl {VERSION} (x86_64-alpine-linux-musl) libcurl/{VERSION} OpenSSL/3.5.0\n")
        return 0
    if not options.urls:
        await process.err("curl: (2) no URL specified\n")
        return 2
    code = 0
    for number, url in enumerate(options.urls):
        code = await _with_retries(process, options, url, number)
    return code


def _parse(process: Process) -> Options:
    options = Options()
    found, options.urls = getopt.gnu_getopt(process.argv[1:], SHORT.replace("#:", "#").replace("J:", "J"), list(LONG))
    for flag, value in found:
        name = NAMES.get(flag[1:], flag.lstrip("-")) if not flag.startswith("--") else flag[2:]
        match name:
            case "header":
                key, _, text = value.partition(":")
                options.headers.append((key.strip(), text.strip()))
            case "data" | "data-raw" | "data-binary" | "data-urlencode" | "json":
                if value.startswith("@") and name != "data-raw":
                    text = process.read(value[1:]).decode(errors="replace")
                    value = text if name == "data-binary" else text.replace("\n", "").replace("\r", "")
                if name == "data-urlencode":
                    key, equals, text = value.partition("=")
                    value = f"{key}={quote(text, safe='')}" if equals else quote(value, safe="")
                options.data.append(value)
                options.flags.add(name)
            case "resolve":
                host, port, address = value.split(":", 2)
                options.resolves[host.lower(), int(port)] = address.strip("[]")
            case "connect-to":
                options.detours.append((value + ":::").split(":")[:4])
            case "url":
                options.urls.append(value)
            case "output":
                options.outputs.append(value)
            case _:
                options.flags.add(name)
                options.values[name] = value
    return options


async def _with_retries(process: Process, options: Options, text: str, number: int) -> int:
    tries = int(options.values.get("retry", "0"))
    delay = float(options.values.get("retry-delay", "0"))
    attempt = 0
    while True:
        try:
            return await _transfer(process, options, text, number)
        except Failed as error:
            retry = error.code in (28, 52, 56) or (error.code == 7 and "retry-connrefused" in options.flags)
            if attempt < tries and (retry or "retry-all-errors" in options.flags):
                wait = delay or min(2.0**attempt, 600)
                attempt += 1
                if "silent" not in options.flags:
                    await process.err(
                        f"curl: ({error.code}) {error}\nWarning: Problem: {error}. Will retry in {wait:.0f} second(s). {tries - attempt + 1} retries left.\n"
                    )
                await process.clock.sleep(wait)
                continue
            if "silent" not in options.flags or "show-error" in options.flags:
                await process.err(f"curl: ({error.code}) {error}\n")
            return error.code


async def _transfer(process: Process, options: Options, text: str, number: int) -> int:
    try:
        url = parse_url(text)
    except ValueError:
        raise Failed(3, "URL rejected: Bad hostname or malformed input to a URL function") from None
    if url.scheme not in ("http", "https", "telnet"):
        raise Failed(1, f'Protocol "{url.scheme}" not supported')
    if "get" in options.flags and options.data:
        joined = "&".join(options.data)
        url = parse_url(f"{url}{'&' if '?' in url.target else '?'}{joined}")
    limit = float(options.values.get("max-time", 0)) or 3.2e9
    start = process.clock.monotonic()
    try:
        async with process.clock.timeout(limit):
            if url.scheme == "telnet":
                return await _telnet(process, options, url, start)
            return await _exchange(process, options, url, number, start)
    except TimeoutError:
        spent = round((process.clock.monotonic() - start) * 1000)
        if spent < limit * 1000:
            raise
        if options.stage == "Operation" and url.scheme == "telnet":
            raise Failed(28, "Time-out") from None
        received = " with 0 bytes received" if options.stage == "Operation" else ""
        why = f"{options.stage} timed out after {spent} milliseconds{received}"
        await _tell(process, options, why, "closing connection #0")
        raise Failed(28, why) from None


async def _telnet(process: Process, options: Options, url: Url, start: float) -> int:
    """Takes what the other side says until it hangs up; tells it what comes on stdin."""
    stream = await _connect(process, options, _fetch(process, options, url), start)

    async def up() -> None:
        while data := await process.stdin.read():
            await stream.write(data)

    sending = process.background(up())
    try:
        while data := await stream.read():
            await process.stdout(data)
    except ConnectionResetError:
        raise Failed(56, "Recv failure: Connection reset by peer") from None
    finally:
        sending.cancel()
        stream.close()
    return 0


async def _exchange(process: Process, options: Options, url: Url, number: int, start: float) -> int:
    redirects = 0
    timing = 0.0
    while True:
        fetch = _fetch(process, options, url)
        response = await _ask(process, options, fetch, start)
        timing = process.clock.monotonic() - start
        location = response.headers.find("location")
        if "location" in options.flags and response.status in (301, 302, 303, 307, 308) and location:
            redirects += 1
            if redirects > int(options.values.get("max-redirs", "50")):
                raise Failed(47, "Maximum (50) redirects followed")
            url = parse_url(urljoin(str(url), location))
            if response.status in (301, 302, 303):
                options.data.clear()
            continue
        break
    try:
        body = await response.read()
    except (ConnectionResetError, ProtocolError):
        raise Failed(56, "Recv failure: Connection reset by peer") from None
    failed = response.status >= 400 and ("fail" in options.flags or "fail-with-body" in options.flags)
    if not failed or "fail-with-body" in options.flags:
        await _deliver(process, options, url, response, body, number)
    await _tell(process, options, f"Connection #0 to host {url.host} left intact")
    if "write-out" in options.values:
        await process.out(_write_out(options.values["write-out"], url, response, body, timing, redirects))
    if failed:
        raise Failed(22, f"The requested URL returned error: {response.status}")
    return 0


def _fetch(process: Process, options: Options, url: Url) -> Fetch:
    fetch = Fetch(url, headers=[("User-Agent", options.values.get("user-agent", f"curl/{VERSION}")), ("Accept", "*/*")])
    if "head" in options.flags:
        fetch.method = "HEAD"
    if options.data and "get" not in options.flags:
        fetch.method, fetch.body = "POST", "&".join(options.data).encode()
        kind = "application/json" if "json" in options.flags else "application/x-www-form-urlencoded"
        fetch.headers.append(("Content-Type", kind))
    if "upload-file" in options.values:
        fetch.method, fetch.body = "PUT", process.read(options.values["upload-file"])
    fetch.method = options.values.get("request", fetch.method)
    userinfo = options.values.get("user") or url.userinfo
    if userinfo:
        fetch.headers.append(("Authorization", "Basic " + base64.b64encode(userinfo.encode()).decode()))
    if "oauth2-bearer" in options.values:
        fetch.headers.append(("Authorization", "Bearer " + options.values["oauth2-bearer"]))
    if "cookie" in options.values:
        fetch.headers.append(("Cookie", options.values["cookie"]))
    for name, value in options.headers:
        fetch.headers = [header for header in fetch.headers if header[0].lower() != name.lower()] + [(name, value)]
    fetch.verify = "insecure" not in options.flags
    fetch.tls_min = next((version for version in reversed(TLS_VERSIONS) if f"tlsv{version}" in options.flags), "")
    fetch.tls_max = options.values.get("tls-max", "").replace("default", "")
    if fetch.tls_max and fetch.tls_max not in TLS_VERSIONS:
        raise Failed(35, "TLS connect error: error:0A0000BF:SSL routines::no protocols available")
    if "cacert" in options.values and url.scheme == "https":
        try:
            fetch.ca = process.read(options.values["cacert"])
        except OSError:
            raise Failed(77, f"error setting certificate file: {options.values['cacert']}") from None
    fetch.connect_to = options.resolves.get((url.host.lower(), url.port), "")
    for host, port, other, other_port in options.detours:
        if host.lower() in ("", url.host.lower()) and port in ("", str(url.port)):
            fetch.connect_to, fetch.connect_port = other or fetch.connect_to, int(other_port or 0)
            break
    fetch.connect_seconds = float(options.values.get("connect-timeout", 0)) or 135.0
    return fetch


async def _tell(process: Process, options: Options, *lines: str) -> None:
    """What -v tells on the way."""
    if "verbose" in options.flags:
        await process.err("".join(f"* {line}\n" for line in lines))


async def _connect(process: Process, options: Options, fetch: Fetch, start: float) -> Stream:
    url, port = fetch.url, fetch.connect_port or fetch.url.port
    began = process.clock.monotonic()
    options.stage = "Resolving"
    addresses = await _addresses(process, options, fetch)
    options.stage = "Connection"
    try:
        for number, address in enumerate(addresses):
            await _tell(process, options, f"  Trying {address}:{port}...")
            try:
                stream = await process.connect(address, port, seconds=fetch.connect_seconds)
                break
            except OSError as error:
                if error.errno is None:
                    raise
                await _tell(process, options, f"connect to {address} port {port} failed: {error.strerror}")
                if number == len(addresses) - 1:
                    raise
    except OSError as error:
        if error.errno is None:  # there is no more time for all of it
            raise
        spent = round((process.clock.monotonic() - start) * 1000)
        why = f"Failed to connect to {url.host} port {url.port} after {spent} ms: Could not connect to server"
        if isinstance(error, TimeoutError) and "connect-timeout" in options.values:
            why = f"Connection timed out after {round((process.clock.monotonic() - began) * 1000)} milliseconds"
        await _tell(process, options, why, "closing connection #0")
        raise Failed(28 if isinstance(error, TimeoutError) else 7, why) from None
    options.stage = "Operation"
    await _tell(process, options, f"Connected to {url.host} ({stream.remote[0]}) port {url.port}")
    return stream


async def _addresses(process: Process, options: Options, fetch: Fetch) -> list[str]:
    host, port = fetch.connect_to or fetch.url.host, fetch.connect_port or fetch.url.port
    began = process.clock.monotonic()
    try:
        addresses = await process.resolve(host)
    except NameNotResolved as error:
        why = f"Could not resolve host: {host}"
        late = error.rcode == "TIMEOUT" and process.clock.monotonic() - began >= fetch.connect_seconds
        if late:
            why = f"Resolving timed out after {round(fetch.connect_seconds * 1000)} milliseconds"
        await _tell(process, options, why, "closing connection #0")
        raise Failed(28 if late else 6, why) from None
    if addresses != [host.strip("[]")]:
        await _tell(
            process, options, f"Host {host}:{port} was resolved.", "IPv6: (none)", f"IPv4: {', '.join(addresses)}"
        )
    return addresses


async def _ask(process: Process, options: Options, fetch: Fetch, start: float) -> Response:
    url = fetch.url
    stream = await _connect(process, options, fetch, start)
    try:
        client = Client(await secured(stream, fetch))
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message
        if "Hostname mismatch" in why or "IP address mismatch" in why:
            why = f"no alternative certificate subject name matches target host name '{url.host}'"
            raise Failed(60, f"SSL: {why}\nMore details here: https://curl.se/docs/sslcerts.html") from None
        raise Failed(
            60, f"SSL certificate problem: {why}\nMore details here: https://curl.se/docs/sslcerts.html"
        ) from None
    except ssl.SSLError as error:
        reason = (error.reason or "error").lower().replace("_", " ")
        number = TLS_ERRORS.get(reason, "0A000438")
        raise Failed(35, f"TLS connect error: error:{number}:SSL routines::{reason}") from None
    if "verbose" in options.flags:
        if client.stream.certificate:
            await process.err(_handshake(client.stream, verified=fetch.verify))
        await _tell(process, options, "using HTTP/1.x")
        await process.err(f"> {fetch.method} {url.target} HTTP/1.1\n> Host: {url.authority}\n")
        await process.err("".join(f"> {name}: {value}\n" for name, value in fetch.headers if value) + "> \n")
        await _tell(process, options, "Request completely sent off")
    try:
        response = await send(client, fetch)
    except ProtocolError as error:
        if "no response" in str(error):
            raise Failed(52, "Empty reply from server") from None
        raise Failed(1, "Received HTTP/0.9 when not allowed") from None
    except (ConnectionResetError, BrokenPipeError):
        raise Failed(56, "Recv failure: Connection reset by peer") from None
    if "verbose" in options.flags:
        await process.err(f"< HTTP/1.1 {response.status} {response.reason}\n")
        await process.err("".join(f"< {name}: {value}\n" for name, value in response.headers) + "< \n")
    return response


def _handshake(stream: Stream, *, verified: bool) -> str:
    lines = [f"SSL connection using {stream.cipher}", "Server certificate:"]
    lines += [f" {name}: {value}" for name, value in described(stream.certificate).items()]
    lines.append(" SSL certificate verify ok." if verified else " SSL certificate verification is disabled.")
    return "".join(f"* {line}\n" for line in lines)


async def _deliver(process: Process, options: Options, url: Url, response: Response, body: bytes, number: int) -> None:
    head = b""
    if "include" in options.flags or "head" in options.flags:
        lines = [
            f"HTTP/1.1 {response.status} {response.reason}",
            *(f"{name}: {value}" for name, value in response.headers),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    name = options.outputs[number] if number < len(options.outputs) else ""
    if "remote-name" in options.flags and not name:
        name = posixpath.basename(urlsplit(str(url)).path)
    if name and name != "-":
        try:
            process.files.write(process.path(name), head + body, process.user)
        except OSError as error:
            if process.path(name) != "/dev/null":
                raise Failed(23, f"client returned ERROR on write, 0 bytes: {error.strerror}") from None
    else:
        await process.stdout(head + body)


def _write_out(form: str, url: Url, response: Response, body: bytes, seconds: float, redirects: int) -> str:
    values = {
        "http_code": f"{response.status:03d}",
        "response_code": f"{response.status:03d}",
        "content_type": response.headers.find("content-type"),
        "size_download": str(len(body)),
        "time_total": f"{seconds:.6f}",
        "time_connect": f"{min(seconds, 0.0005):.6f}",
        "time_namelookup": f"{min(seconds, 0.0002):.6f}",
        "time_starttransfer": f"{seconds:.6f}",
        "num_redirects": str(redirects),
        "url_effective": str(url),
        "redirect_url": response.headers.find("location"),
        "remote_port": str(url.port),
        "http_version": "1.1",
    }
    for name, value in values.items():
        form = form.replace("%{" + name + "}", value)
    return form.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r").replace("%%", "%")
