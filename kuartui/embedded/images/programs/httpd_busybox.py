"""busybox httpd: `httpd -f -p 8080 -h /www`."""

from __future__ import annotations

import asyncio
import posixpath
import re

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.programs.files_server import date, inside, media_type, validators
from kuartui.embedded.network.http import Headers, Request, Response, server
from kuartui.embedded.network.plain_http import CLOSE
from kuartui.embedded.node.runtime.files import EXECUTE
from kuartui.embedded.node.runtime.process import Process

PAGES = {
    404: ("Not Found", "The requested URL was not found"),
    501: ("Not Implemented", "The requested method is not recognized"),
}


async def httpd(process: Process) -> int:
    """Serve files; without -f it goes to the background, and a container ends whose first process it was.

    It handles no signal: as a container's first process it lives until it is killed.
    """
    options, _ = await parse(process, "fvip:u:r:h:c:m:d:e:")
    verbose = sum(word.count("v") for word in process.argv if re.fullmatch("-[fiv]+", word))
    home = process.path(options.get("h", ""))
    port = int(options.get("p", "80").rpartition(":")[2])
    reason = _bar(process, home)
    if reason:
        await process.err(f"httpd: can't change directory to '{options.get('h', home)}': {reason}\n")
        return 1

    def answer(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _page(501)
        path = inside(home, request.path)
        is_named_as_directory = request.path.endswith("/")
        if process.files.is_dir(path):
            if not is_named_as_directory:
                query = request.target.partition("?")[2]
                where = f"{request.path}/" + (f"?{query}" if query else "")
                return Response(302, Headers([("Content-type", "text/html"), ("Location", where)]))
            path = posixpath.join(path, "index.html")
        elif is_named_as_directory:
            return _page(404)
        try:
            body, kind = process.read(path), media_type(path, "")
            facts = [("Accept-Ranges", "bytes"), *validators(process, path)]
        except OSError:
            return _page(404)
        return Response(200, Headers([*([("Content-type", kind)] if kind else []), *facts]), body)

    async def app(request: Request) -> Response:
        said, peer = answer(request), f"[::ffff:{request.peer[0]}]:{request.peer[1]}"
        said.headers[:0] = [date(process), CLOSE]
        if verbose > 1:
            await process.err(f"{peer}: url:{request.target}\n")
        if verbose:
            await process.err(f"{peer}: response:{said.status}\n")
        return said

    async def serve(process: Process) -> int:
        process.listen(port, server(app))
        await asyncio.Event().wait()
        return 0

    try:
        if "f" in options:
            return await serve(process)
        process.listen(port, server(app)).close()  # whoever called it hears of a port that is taken
    except OSError as error:
        await process.err(f"httpd: bind: {error.strerror}\n")
        return 1
    if process.pid != 1:
        process.detach(serve)
    return 0


def _bar(process: Process, home: str) -> str:
    """What keeps the process from entering a directory, if anything does."""
    try:
        stat = process.files.stat(home, process.user)
    except OSError as error:
        return error.strerror or ""
    if not stat.is_dir:
        return "Not a directory"
    return "Permission denied" if process.user.checked and not stat.rights(process.user) & EXECUTE else ""


def _page(status: int) -> Response:
    name, text = PAGES[status]
    page = (
        f"<HTML><HEAD><TITLE>{status} {name}</TITLE></HEAD>\n<BODY><H1>{status} {name}</H1>\n{text}\n</BODY></HTML>\n"
    )
    return Response(status, Headers([("Content-type", "text/html")]), page.encode())
