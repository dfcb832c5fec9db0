"""`kuartui serve`: this machine only, this player only, and it plays in a real browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kuartui.cluster.host import stop_all
from kuartui.errors import UsageError
from kuartui.tui.web import Game, game, loopback

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
async def server() -> AsyncIterator[Game]:
    made = game("127.0.0.1", 0, "embedded")
    runner = web.AppRunner(await made.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()
    stop_all()  # the cluster that the app in the browser started


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", "10.0.0.1"])
def test_other_addresses_are_refused_with_the_reason(host: str) -> None:
    with pytest.raises(UsageError, match="gets a shell as you"):
        loopback(host)


def test_loopback_addresses_are_fine() -> None:
    assert loopback("localhost") == "127.0.0.1"
    assert loopback("127.0.0.2") == "127.0.0.2"
    assert loopback("[::1]") == "::1"
    assert game("::1", 8000, "embedded").url.startswith("http://[::1]:8000/?key=")


async def test_strangers_get_nothing(server: Game) -> None:
    base = server.public_url
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        for path in ("/", "/ws", "/static/js/textual.js", "/?key=wrong"):
            async with browser.get(base + path) as answer:
                assert answer.status == 403, path
        async with browser.get(server.url) as answer:
            assert answer.status == 200
            assert "key=" not in str(answer.url)
            assert "connect-src" in answer.headers["Content-Security-Policy"]
        async with browser.get(base, headers={"Host": "evil.example:80"}) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.ws_connect(f"{base}/ws", origin="http://evil.example")


class Browser:
    """Chromium by its DevTools protocol: what goes over the page's socket, and keys."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number, self.seen, self._url = socket, 0, "", ""

    async def send(self, method: str, **params: Any) -> None:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})

    async def go(self, url: str) -> None:
        self._url = url
        await self.send("Page.navigate", url=url)

    async def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def type(self, letter: str) -> None:
        await self.send("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=letter)

    async def until(self, text: str) -> None:
        """Wait until the app painted a text, or the page sent it."""
        while text not in self.seen:
            event = await self._socket.receive_json()
            if event.get("method") == "Inspector.targetCrashed":  # on a busy machine, while Chromium itself starts
                await self.go(self._url)
            if event.get("method", "").startswith("Network.webSocketFrame"):
                frame = event["params"]["response"]
                data = frame["payloadData"]
                self.seen += base64.b64decode(data).decode(errors="ignore") if frame["opcode"] == 2 else data


@contextlib.asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Browser]:
    assert CHROMIUM is not None
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        told = profile / "DevToolsActivePort"
        while not (told.is_file() and told.read_text().count("\n")):
            await asyncio.sleep(0.05)
        port = told.read_text().splitlines()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                page = next(item for item in await answer.json() if item["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Browser(socket)
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.skipif(
    CHROMIUM is None or "KUARTUI_TEST_BROWSER" not in os.environ,
    reason="a browser is started on request only: KUARTUI_TEST_BROWSER=1, with Chromium installed",
)
async def test_it_plays_in_a_browser(server: Game, tmp_path: Path) -> None:
    async with asyncio.timeout(60), chromium(tmp_path / "profile") as browser:
        await browser.send("Network.enable")
        await browser.send("Page.enable")
        await browser.send("Emulation.setFocusEmulationEnabled", enabled=True)
        await browser.go(server.url)
        await browser.until("ring the bell twice")
        await browser.click(300, 8)
        await browser.until('["focus"]')
        await browser.type("?")
        await browser.until("Show all keys")
