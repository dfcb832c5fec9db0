"""Jupyter's notebook server, as far as a cluster meets it: start-up, the token in its log, pages that want the token.

After jupyter_server 2: the token is random unless JUPYTER_TOKEN or --IdentityProvider.token says one. No kernels.
"""

from __future__ import annotations

import json
import posixpath
import secrets

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

MEMORY = 90 << 20
VERSION = "2.14.2"
NEW = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


async def notebook(process: Process) -> int:
    """start-notebook.sh, start-notebook.py, jupyter lab|notebook [--port N] [--IdentityProvider.token=…]."""
    token = process.env.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    wanted = process.env.get("JUPYTER_PORT", "8888")  # a Service named jupyter gives it an address instead: it stops
    for word in process.argv[1:]:
        name, _, value = word.partition("=")
        if name.endswith((".token", "--token")):
            token = value.strip("'\"")
        elif name in ("--port", "--ServerApp.port"):
            wanted = value
    if not wanted.isdigit():
        await process.err(f"ValueError: invalid literal for int() with base 10: '{wanted}'\n")
        return 1
    port = int(wanted)
    if process.user.uid == 0 and not any(word.endswith("allow-root") for word in process.argv):
        await process.err("[C ServerApp] Running as root is not recommended. Use --allow-root to bypass.\n")
        return 1
    served = Notebook(process, token)
    process.memory = MEMORY
    try:
        process.listen(port, server(served.answer))
    except OSError as error:
        await process.err(
            f"[C ServerApp] ERROR: the Jupyter server could not be started: port {port}: {error.strerror}\n"
        )
        return 1
    host = process.container.sandbox.hostname
    query = f"?token={token}" if token else ""
    stamp = f"{process.clock.now():%Y-%m-%d %H:%M:%S}.000 ServerApp"
    await process.err(
        f"[I {stamp}] Serving notebooks from local directory: {process.cwd}\n"
        f"[I {stamp}] Jupyter Server {VERSION} is running at:\n"
        f"[I {stamp}] http://{host}:{port}/lab{query}\n"
        f"[I {stamp}]     http://127.0.0.1:{port}/lab{query}\n"
        f"[I {stamp}] Use Control-C to stop this server and shut down all kernels (twice to skip confirmation).\n"
    )
    await process.signals("TERM", "INT").get()
    await process.err(f"[C {stamp}] received signal 15, stopping\n")
    return 0


class Notebook:
    """One server over a directory of notebooks."""

    def __init__(self, process: Process, token: str) -> None:
        self._process, self._token = process, token

    async def answer(self, request: Request) -> Response:
        """One request."""
        if request.path == "/api":
            return _json(200, {"version": VERSION})
        if request.path == "/login":
            return reply(200, "<html><title>Jupyter Server</title><p>Password or token:</p></html>\n", "text/html")
        if not self._known(request):
            if request.path.startswith("/api/"):
                return _json(403, {"message": "Forbidden", "reason": None})
            return reply(302, "", headers=[("Location", f"/login?next={request.path}")])
        if request.path == "/":
            return reply(302, "", headers=[("Location", "/lab")])
        if request.path in ("/lab", "/tree"):
            return reply(200, "<html><title>JupyterLab</title></html>\n", "text/html")
        if request.path.startswith("/api/contents"):
            return self._contents(request)
        return _json(200, []) if request.path == "/api/kernels" else reply(404, "404 : Not Found\n")

    def _known(self, request: Request) -> bool:
        given = request.query.get("token", [""])[0]
        header = request.headers.find("authorization").partition(" ")
        return not self._token or self._token in (given, header[2])

    def _contents(self, request: Request) -> Response:
        """Notebooks are files of the working directory: a volume there keeps them."""
        process, top = self._process, self._process.cwd
        name = request.path.removeprefix("/api/contents").strip("/")
        if ".." in name.split("/"):
            return _json(404, {"message": f"No such file or directory: {name}"})
        path = posixpath.join(top, name)
        try:
            if request.method == "PUT":
                content = (json.loads(request.body or b"{}") or {}).get("content") or NEW
                text = content if isinstance(content, str) else json.dumps(content)
                process.files.write(path, text.encode(), process.user)
                return _json(201, {"name": posixpath.basename(name), "path": name, "type": "file"})
            if process.files.is_dir(path):
                names = process.files.listdir(path, process.user)
                return _json(200, {"path": name, "type": "directory", "content": [{"name": one} for one in names]})
            text = process.files.read(path, process.user).decode(errors="replace")
        except PermissionError:
            return _json(403, {"message": f"Permission denied: {name}"})
        except (OSError, ValueError):
            return _json(404, {"message": f"No such file or directory: {name}"})
        return _json(200, {"name": posixpath.basename(name), "path": name, "type": "file", "content": text})


def _json(status: int, body: object) -> Response:
    return reply(status, json.dumps(body), "application/json")
