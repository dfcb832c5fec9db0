"""Serving files over HTTP: what nginx, httpd and Python's http.server share."""

from __future__ import annotations

import posixpath

TYPES = {
    ".html": "text/html", ".htm": "text/html", ".css": "text/css", ".js": "application/javascript",
    ".json": "application/json", ".txt": "text/plain", ".xml": "text/xml", ".png": "image/png", ".svg": "image/svg+xml",
    ".jpg": "image/jpeg", ".gif": "image/gif", ".ico": "image/x-icon",
}  # fmt: skip


def media_type(path: str, default: str = "application/octet-stream") -> str:
    """Content-Type by extension."""
    return TYPES.get(posixpath.splitext(path)[1].lower(), default)


def inside(root: str, path: str) -> str:
    """A URL path below a root directory, without a way out of it."""
    return posixpath.normpath(root + "/" + posixpath.normpath("/" + path).lstrip("/"))
