"""busybox wget."""

from __future__ import annotations

import posixpath
import ssl
from urllib.parse import urljoin

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.applets.web import Fetch, Url, open_client, parse_url, send
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import ProtocolError, Response
from kuartui.embedded.node.runtime.process import Process, ProcessExit

LONG = (
    "quiet", "output-document=", "timeout=", "header=", "post-data=", "post-file=", "spider", "user-agent=", "continue",
    "no-check-certificate", "server-response", "tries=", "proxy=", "directory-prefix=", "retry-connrefused",
)  # fmt: skip
LINKS = 5


async def wget(process: Process) -> int:
    """wget [-qS] [-O file] [-T seconds] [--header H] [--post-data D] [--spider] URL…"""
    headers = [("User-Agent", "Wget"), ("Connection", "close")]
    for at, word in enumerate(process.argv):
        text = word.partition("=")[2] if word.startswith("--header=") else ""
        text = process.argv[at + 1] if word == "--header" and at + 1 < len(process.argv) else text
        if text:
            name, _, value = text.partition(":")
            headers = [h for h in headers if h[0].lower() != name.lower()] + [(name, value.strip())]
    options, urls = await parse(process, "cqSO:o:T:t:P:U:Y:b", LONG)
    if not urls:
        await process.err("BusyBox v1.36.1 multi-call binary.\n\nUsage: wget [OPTIONS] URL...\n")
        return 1
    agent = options.get("U") or options.get("user-agent")
    if agent:
        headers[0] = ("User-Agent", agent)
    for url in urls:
        limit = float(options.get("T") or options.get("timeout") or 900)
        try:
            await _one(process, url, headers, options, limit)
        except TimeoutError:
            await process.err("wget: download timed out\n")
            return 1
    return 0


async def _one(
    process: Process, text: str, headers: list[tuple[str, str]], options: dict[str, str], limit: float
) -> None:
    quiet = "q" in options or "quiet" in options
    body = options.get("post-data", "").encode()
    try:
        url = parse_url(text)
    except ValueError:
        raise await _fail(process, f"not an http or ftp url: {text}") from None
    for _ in range(LINKS):
        fetch = Fetch(url, "POST" if "post-data" in options else "GET", headers, body, verify=False)
        fetch.connect_seconds = limit + 1
        if "spider" in options:
            fetch.method = "HEAD" if not body else "POST"
        addresses = await _addresses(process, fetch.url)
        async with process.clock.timeout(limit):
            response = await _response(process, fetch, addresses, quiet=quiet)
        location = response.headers.find("location")
        if "S" in options or "server-response" in options:
            await process.err(_shown(response, bool(location)))
        if response.status in (301, 302, 303, 307, 308) and location:
            url = parse_url(urljoin(str(url), location))
            continue
        break
    else:
        raise await _fail(process, "too many redirections")
    if response.status >= 300:
        raise await _fail(process, f"server returned error: HTTP/1.1 {response.status} {response.reason}")
    if "spider" in options:
        if not quiet:
            await process.err("remote file exists\n")
        return
    async with process.clock.timeout(limit):
        data = await response.read()
    name = options.get("O") or options.get("output-document") or posixpath.basename(url.target.partition("?")[0])
    name = name or "index.html"
    if name == "-":
        await process.stdout(data)
    else:
        try:
            process.files.write(process.path(posixpath.join(options.get("P", ""), name)), data, process.user)
        except OSError as error:
            raise await _fail(process, f"can't open '{name}': {error.strerror}") from None
    if not quiet:
        shown = "writing to stdout" if name == "-" else f"saving to '{name}'"
        done = "written to stdout" if name == "-" else f"'{name}' saved"
        bar = f"{name[:20]:20s} 100% |********************************| {len(data):5d}  0:00:00 ETA"
        await process.err(f"{shown}\n{bar}\n{done}\n")


def _shown(response: Response, leads_on: bool) -> str:
    """What -S prints: wget gives up after the status line of an error, and follows a redirection once it read where to."""
    lines = [f"  HTTP/1.1 {response.status} {response.reason}"]
    if response.status < 300:
        lines += [*(f"  {name}: {value}" for name, value in response.headers), "  "]
    elif leads_on:
        for name, value in response.headers:
            lines.append(f"  {name}: {value}")
            if name.lower() == "location":
                break
    return "\n".join(lines) + "\n"


async def _addresses(process: Process, url: Url) -> list[str]:
    """Where a name leads, however long that takes: -T is about connections."""
    try:
        return await process.resolve(url.host)
    except NameNotResolved:
        raise await _fail(process, f"bad address '{url.authority}'") from None


async def _response(process: Process, fetch: Fetch, addresses: list[str], *, quiet: bool) -> Response:
    url = fetch.url
    if not quiet:
        await process.err(f"Connecting to {url.authority} ({addresses[0]}:{url.port})\n")
    try:
        client = await open_client(process, fetch)
        return await send(client, fetch)
    except ssl.SSLError:
        raise await _fail(process, "error getting response") from None
    except ProtocolError:
        raise await _fail(process, "error getting response") from None
    except (ConnectionResetError, BrokenPipeError):
        raise await _fail(process, "error getting response: Connection reset by peer") from None
    except TimeoutError as error:
        if error.errno is None:
            raise  # the -T limit
        raise await _fail(process, f"can't connect to remote host ({addresses[0]}): {error.strerror}") from None
    except OSError as error:
        raise await _fail(process, f"can't connect to remote host ({addresses[0]}): {error.strerror}") from None


async def _fail(process: Process, text: str) -> ProcessExit:
    await process.err(f"wget: {text}\n")
    return ProcessExit(1)
