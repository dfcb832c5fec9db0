"""busybox httpd: `httpd -f -p 8080 -h /www`."""

from __future__ import annotations

import posixpath

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.programs.files_server import inside, media_type
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


async def httpd(process: Process) -> int:
    """Serve files; without -f real httpd goes to the background and its container ends."""
    options, _ = await parse(process, "fvip:u:r:h:c:m:d:e:")
    home = process.path(options.get("h", ""))
    port = int(options.get("p", "80").rpartition(":")[2])
    if not process.files.is_dir(home):
        await process.err(f"httpd: can't change directory to '{home}': No such file or directory\n")
        return 1

    async def app(request: Request) -> Response:
        path = inside(home, request.path)
        if process.files.is_dir(path):
            path = posixpath.join(path, "index.html")
        try:
            if request.path.endswith("/") and not path.endswith("/index.html"):
                raise NotADirectoryError(path)
            body = process.read(path)
        except OSError:
            if "v" in options:
                await process.err(f"{request.peer[0]}:{request.peer[1]}: url:{request.path}\n")
            page = "<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n"
            return reply(404, page, "text/html")
        if "v" in options:
            await process.err(f"{request.peer[0]}:{request.peer[1]}: response:200\n")
        return reply(200, body, media_type(path))

    try:
        process.listen(port, server(app))
    except OSError as error:
        await process.err(f"httpd: bind: {error.strerror}\n")
        return 1
    if "f" not in options:
        if process.pid == 1:
            return 0
        # In the background of a script: it lives as long as the container.
        process.background(process.clock.sleep(3.2e9))
    await process.signals("TERM", "INT").get()
    return 0
