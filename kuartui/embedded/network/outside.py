"""A little of the world outside of a cluster: web sites that examples fetch, so that there is somewhere to go.

The names that RFC 2606 sets apart for examples, and the oldest of all sites. They live at addresses that RFC 5737 sets
apart for documentation, and speak plain HTTP only. Nothing leaves this machine.
"""

from __future__ import annotations

from kuartui.embedded.network.http import App, Request, Response, reply, server
from kuartui.embedded.network.table import Network

PAGE = """<!doctype html>
<html>
<head><title>{title}</title></head>
<body>
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"""
SITES = {
    "192.0.2.10": (
        ("example.com", "example.net", "example.org", "www.example.com", "www.example.net", "www.example.org"),
        PAGE.format(title="Example Domain", text="This domain is for use in examples of documents."),
    ),
    "192.0.2.11": (
        ("info.cern.ch",),
        PAGE.format(title="info.cern.ch", text="Home of the first website."),
    ),
}


def settle(network: Network) -> None:
    """Add the sites to a network."""
    for ip, (names, page) in SITES.items():
        network.add_outside(ip, *names)
        network.listen(ip, 80, server(_app(page)))


def _app(page: str) -> App:
    async def answer(request: Request) -> Response:
        return reply(200 if request.target.partition("?")[0] == "/" else 404, page, "text/html; charset=utf-8")

    return answer
