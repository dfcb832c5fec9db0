"""What the API connects to for its clients: pods' pages through the proxy, logs over a WebSocket."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import httpx

from tests.embedded.book.conftest import Book

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: pages}
spec:
  containers:
  - name: c
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [porter]
    env: [{name: SERVE_PORT_80, value: '<a href="/more">more</a>'}]
    ports: [{containerPort: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  containers: [{name: c, image: "busybox:1.36", command: [sh, -c, echo alive; sleep infinity]}]
"""


def trust(book: Book) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=book.cluster.identity.authority.certificate.decode())


def token(book: Book) -> dict[str, str]:
    return {"Authorization": f"Bearer {book.cluster.identity.token}"}


async def test_pages_come_through_the_proxy_by_any_method_with_their_links_led_back(book: Book) -> None:
    await book.apply(PODS)
    await book.wait(10)
    proxy = "/api/v1/namespaces/default/pods/pages/proxy"
    async with httpx.AsyncClient(verify=trust(book), headers=token(book), base_url=book.cluster.url) as api:
        moved = await api.get(f"{proxy}?a=b")
        assert (moved.status_code, moved.headers["location"]) == (301, f"{proxy}/?a=b")
        assert (await api.get(f"{proxy}/")).text == f'<a href="{proxy}/more">more</a>'
        for method in ("OPTIONS", "DELETE", "PATCH", "POST", "PUT"):
            assert (await api.request(method, proxy)).status_code == 200, method


async def test_a_log_comes_over_a_websocket(book: Book) -> None:
    await book.apply(PODS)
    await book.wait(10)
    url = f"{book.cluster.url}/api/v1/namespaces/default/pods/talker/log"
    async with (
        aiohttp.ClientSession(headers=token(book)) as api,
        asyncio.timeout(20),
        api.ws_connect(url, protocols=["binary.k8s.io"], ssl=trust(book)) as socket,
    ):
        assert await socket.receive_bytes() == b"alive\n"
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
