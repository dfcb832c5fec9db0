"""exec and attach over a WebSocket: numbered channels in one connection.

k8s.io/apimachinery/pkg/util/remotecommand and kubelet's wsstream: each message begins with its channel. Version 4 has
stdin, stdout, stderr, the closing Status and terminal sizes; version 5 adds a message that closes a channel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from kuartui.embedded.api.streams.websocket import INTERNAL_ERROR, Disconnected, Duplex

if TYPE_CHECKING:
    from kuartui.embedded.node.runtime import ExecIO

Obj = dict[str, Any]

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
SUCCESS: Obj = {"metadata": {}, "status": "Success"}

Run = Callable[["ExecIO"], Awaitable[int]]
"""Does it, with these streams; gives the exit code."""


class CommandFailed(Exception):
    """It could not be done; the client gets the text as an internal error."""


async def serve(socket: Duplex, protocol: str, run: Run, *, stdin: bool, stderr: bool, tty: bool) -> None:
    """Run a command for the client of an accepted WebSocket, and tell it how that ended."""
    from kuartui.embedded.node.runtime import ExecIO

    incoming = _Incoming(socket, protocol)
    reading = asyncio.ensure_future(incoming.pump())

    async def out(data: bytes) -> None:
        await _send(socket, STDOUT, data)

    async def err(data: bytes) -> None:
        await _send(socket, STDERR, data)

    io = ExecIO(
        stdout=out,
        stderr=err if stderr and not tty else None,
        stdin=incoming.stdin() if stdin else None,
        tty=tty,
        resize=incoming.sizes() if tty else None,
    )
    running = asyncio.ensure_future(run(io))
    try:
        await asyncio.wait({running, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():  # the client hung up
            return
        status = _outcome(running)
        await _send(socket, ERROR, orjson.dumps(status))
        await socket.close()
    except Disconnected:
        return
    finally:
        for task in (running, reading):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Disconnected, CommandFailed):
                await task


def _outcome(running: asyncio.Future[int]) -> Obj:
    try:
        code = running.result()
    except CommandFailed as error:
        return failure(str(error))
    if code == 0:
        return SUCCESS
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(message: str) -> Obj:
    """The closing Status for what could not be done."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


async def _send(socket: Duplex, channel: int, data: bytes) -> None:
    await socket.send(bytes((channel,)) + data)


class _Incoming:
    """What the client sends, sorted into channels."""

    def __init__(self, socket: Duplex, protocol: str) -> None:
        self._socket = socket
        self._closes = protocol == V5
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        self._sizes: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue(16)

    async def pump(self) -> None:
        """Read until the client hangs up."""
        try:
            while True:
                message = await self._socket.receive()
                if not message:
                    continue
                channel, data = message[0], message[1:]
                if channel == STDIN:
                    if data:
                        await self._input.put(data)
                elif channel == RESIZE:
                    self._resize(data)
                elif channel == CLOSE and self._closes:
                    if data[:1] == bytes((STDIN,)):
                        await self._input.put(None)
                else:
                    await self._socket.close(INTERNAL_ERROR)
                    return
        except Disconnected:
            return

    def _resize(self, data: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError, asyncio.QueueFull):
            size = orjson.loads(data)
            self._sizes.put_nowait((int(size["Width"]), int(size["Height"])))

    async def stdin(self) -> AsyncIterator[bytes]:
        """Standard input, until the client closes it."""
        while (data := await self._input.get()) is not None:
            yield data

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """Terminal sizes as they change: columns, rows."""
        while (size := await self._sizes.get()) is not None:
            yield size
