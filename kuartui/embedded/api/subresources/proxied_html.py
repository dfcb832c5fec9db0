"""Links in pages that come through a proxy of the API: made to lead back through it.

k8s.io/apimachinery/pkg/util/proxy/transport.go: links to the server's own root get the proxy's path in front. Relative
links do already lead there, and links to other machines stay.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit, urlunsplit

ATTRIBUTES = {
    "action": ("form",),
    "archive": ("object",),
    "background": ("body",),
    "cite": ("blockquote", "del", "ins", "q"),
    "classid": ("object",),
    "codebase": ("applet", "object"),
    "data": ("object",),
    "formaction": ("button", "input"),
    "href": ("a", "area", "base", "link"),
    "icon": ("command",),
    "longdesc": ("frame", "iframe", "img"),
    "manifest": ("html",),
    "poster": ("video",),
    "profile": ("head",),
    "src": ("audio", "embed", "frame", "iframe", "img", "input", "script", "source", "video"),
    "usemap": ("img", "input", "object"),
}
"""Which elements have a URL in which attribute."""

_TAG = re.compile(r"<([A-Za-z][A-Za-z0-9]*)(\s[^<>]*)?>")
_ATTRIBUTE = re.compile(r"""([A-Za-z]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'<>]+)""")


def led_back(url: str, prefix: str, hosts: tuple[str, ...]) -> str:
    """A URL of a page below `prefix`; `hosts` are the names under which it is its own server's."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if (parts.netloc and parts.netloc not in hosts) or not parts.path.startswith("/"):
        return url
    path = parts.path
    if not path.startswith(prefix):
        path = posixpath.join(prefix, path.lstrip("/"))
    return urlunsplit(("", "", path, parts.query, parts.fragment))


def rewritten(page: str, prefix: str, hosts: tuple[str, ...]) -> str:
    """A page with all its links led back."""

    def tag(found: re.Match[str]) -> str:
        name = found[1].lower()

        def attribute(one: re.Match[str]) -> str:
            if name not in ATTRIBUTES.get(one[1].lower(), ()):
                return one[0]
            quote = one[3][0] if one[3][0] in "\"'" else ""
            return f"{one[1]}{one[2]}{quote}{led_back(one[3].strip(quote or None), prefix, hosts)}{quote}"

        return f"<{found[1]}{_ATTRIBUTE.sub(attribute, found[2] or '')}>"

    return _TAG.sub(tag, page)
