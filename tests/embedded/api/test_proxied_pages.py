"""Links of pages that come through the API's proxy."""

from __future__ import annotations

import pytest

from kuartui.embedded.api.subresources.proxied_html import rewritten

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"
HOSTS = ("10.244.0.5:80", "127.0.0.1:6443")


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ('<a href="/x">', f'<a href="{PREFIX}/x">'),
        ("<IMG alt=a src='/i.png?v=1#f'/>", f"<IMG alt=a src='{PREFIX}/i.png?v=1#f'/>"),
        ("<script src=/s.js></script>", f"<script src={PREFIX}/s.js></script>"),
        ('<a href="/dir/">', f'<a href="{PREFIX}/dir/">'),
        ('<a href="http://10.244.0.5:80/y">', f'<a href="{PREFIX}/y">'),
        (f'<a href="{PREFIX}/z">', f'<a href="{PREFIX}/z">'),
        ('<a href="relative">', '<a href="relative">'),
        ('<a href="https://example.com/x">', '<a href="https://example.com/x">'),
        ('<p title="/x">/y &lt;a href="/z"&gt;</p>', '<p title="/x">/y &lt;a href="/z"&gt;</p>'),
        ('<a href="/%zz[">', f'<a href="{PREFIX}/%zz[">'),
    ],
)
def test_links_to_the_servers_root_lead_back_through_the_proxy(page: str, seen: str) -> None:
    assert rewritten(page, PREFIX, HOSTS) == seen
