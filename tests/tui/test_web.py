"""`kuartui serve`: this machine only, this player only, and it plays in a real browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner
from yarl import URL

from kuartui.cli.app import app
from kuartui.cluster.host import stop_all
from kuartui.errors import UsageError
from kuartui.paths import data_dir, process, state_dir, write_private
from kuartui.progress.store import FILE
from kuartui.tui.failure import LOG
from kuartui.tui.web import Game, game, loopback

NOWHERE = "context:nowhere"  # for an app that shall begin no cluster
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.asynccontextmanager
async def serving(made: Game) -> AsyncIterator[Game]:
    runner = web.AppRunner(await made.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Game]:
    async with serving(game("127.0.0.1", 0, "embedded")) as made:
        yield made
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


def test_the_address_is_written_as_browsers_do() -> None:
    assert loopback("0:0:0:0:0:0:0:1") == "::1"
    assert game("127.0.0.1", 443, "embedded").public_url == "http://127.0.0.1:443"
    assert game("127.0.0.1", 80, "embedded").public_url == "http://127.0.0.1"


async def test_a_port_that_browsers_do_not_name(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setattr("kuartui.tui.web.HTTP", unused_tcp_port)  # 80 itself may not be ours to take
    made = game("127.0.0.1", unused_tcp_port, "embedded")
    async with serving(made), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        url = f"http://127.0.0.1:{unused_tcp_port}/?key={made.secret}"
        async with browser.get(url, headers={"Host": "127.0.0.1"}, allow_redirects=False) as answer:
            assert answer.status == 302


async def test_two_servers_know_one_browser() -> None:
    first, second = game("127.0.0.1", 0, "embedded"), game("127.0.0.1", 0, "embedded")
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving(first), serving(second), aiohttp.ClientSession(cookie_jar=jar) as browser:
        for url in (first.url, second.url, first.public_url, second.public_url):
            async with browser.get(url) as answer:
                assert answer.status == 200, url


def test_an_address_that_this_machine_does_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_free(address: str) -> int:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr("kuartui.tui.web.free_port", none_free)
    result = CliRunner().invoke(app, ["serve", "--host", "::1", "--port", "0"])
    assert result.exit_code == 2
    assert "cannot listen" in result.stderr


def test_records_that_cannot_be_read_are_told_before_the_address(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Game, "run", lambda _: None)
    write_private(data_dir() / FILE, b"no database " * 1000)
    result = CliRunner().invoke(app, ["serve", "--port", "0"])
    assert result.exit_code == 6
    assert "is damaged" in result.stderr
    assert "http://" not in result.stdout


async def test_a_page_whose_app_ended_without_a_word_ends_too() -> None:
    made = Game("exit 3", "127.0.0.1", game("127.0.0.1", 0, "embedded").port)
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving(made), aiohttp.ClientSession(cookie_jar=jar) as browser, asyncio.timeout(30):
        async with browser.get(made.url):
            pass
        async with browser.ws_connect(f"{made.public_url}/ws", origin=made.public_url) as page:
            assert (await page.receive()).type is aiohttp.WSMsgType.CLOSE


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


async def test_control_c_ends_it_at_once_though_a_page_is_open(home: Path) -> None:
    command = [*process("kuartui"), "serve", "--port", "0", "--cluster", NOWHERE]
    serve = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert serve.stdout is not None
    url = URL((await serve.stdout.readline()).decode().strip())
    async with asyncio.timeout(60), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        await reached(browser, url)
        async with browser.ws_connect(url.with_path("/ws"), origin=str(url.origin())) as page:
            await page.receive()
            serve.send_signal(signal.SIGINT)
            await asyncio.wait_for(serve.wait(), 10)  # the page answers pings, and would keep it for a minute


async def reached(browser: aiohttp.ClientSession, url: URL) -> None:
    """Once it listens."""
    while True:
        try:
            async with browser.get(url) as answer:
                assert answer.status == 200
                return
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def shown_to_a_browser() -> Iterator[subprocess.Popen[bytes]]:
    """An app as the server starts it, once it shows something."""
    environment = {
        **os.environ,
        "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
        "COLUMNS": "80",
        "ROWS": "24",
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*process("kuartui"), "--cluster", NOWHERE], **pipes, env=environment) as app:  # type: ignore[call-overload]
        assert app.stdout.readline() == b"__GANGLION__\n"
        app.stdout.read(2000)
        try:
            yield app
        finally:
            app.kill()


def test_an_app_whose_server_was_killed_leaves_in_order(home: Path) -> None:
    with shown_to_a_browser() as app:
        assert app.stdin is not None
        assert app.stdout is not None
        app.stdin.close()
        app.stdout.close()
        app.wait(30)
    assert not (state_dir() / LOG).exists(), "it is no bug"


def test_an_app_whose_terminal_was_closed_leaves_in_order(home: Path) -> None:
    with shown_to_a_browser() as app:
        app.send_signal(signal.SIGHUP)
        app.communicate(timeout=30)
        assert app.returncode == 128 + signal.SIGHUP


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
