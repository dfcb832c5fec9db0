"""Serving files over HTTP: what nginx, httpd and Python's http.server share."""

from __future__ import annotations

import posixpath
from email.utils import formatdate
from functools import lru_cache

from kuartui.embedded.network.http import Header
from kuartui.embedded.node.runtime.process import Process

TYPES = {
    ".html": "text/html", ".htm": "text/html", ".css": "text/css", ".js": "application/javascript",
    ".json": "application/json", ".txt": "text/plain", ".xml": "text/xml", ".png": "image/png", ".svg": "image/svg+xml",
    ".jpg": "image/jpeg", ".gif": "image/gif", ".ico": "image/x-icon",
}  # fmt: skip


def media_type(path: str, default: str = "application/octet-stream") -> str:
    """Content-Type by extension."""
    return TYPES.get(posixpath.splitext(path)[1].lower(), default)


@lru_cache(64)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def date(process: Process) -> Header:
    """The Date header of an answer of this moment."""
    return ("Date", _date(int(process.clock.now().timestamp())))


def validators(process: Process, path: str) -> list[Header]:
    """Last-Modified, and the ETag as nginx and BusyBox make it: the time and the length. OSError where there is none."""
    stat = process.files.stat(path)
    modified = int(stat.modified)
    return [("Last-Modified", _date(modified)), ("ETag", f'"{modified:x}-{stat.size:x}"')]


def inside(root: str, path: str) -> str:
    """A URL path below a root directory, without a way out of it."""
    return posixpath.normpath(root + "/" + posixpath.normpath("/" + path).lstrip("/"))
