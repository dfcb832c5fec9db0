"""The pseudo-terminal of an exec or attach with `-t`: echo, line editing, Ctrl-C and Ctrl-D, carriage returns.

What the kernel's line discipline and a shell's line editor do together, as far as somebody at a prompt notices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from kuartui.embedded.node.runtime.process import Write

INTERRUPT, END, ERASE_WORD, KILL_LINE, CLEAR = "\x03", "\x04", "\x17", "\x15", "\x0c"


class Terminal:
    """Reads keys, gives lines. `on_interrupt` is called for Ctrl-C while nobody reads a line."""

    def __init__(
        self, out: Write, source: AsyncIterator[bytes] | None, resize: AsyncIterator[tuple[int, int]] | None
    ) -> None:
        self._out = out
        self._source = source
        self._resize = resize
        self._keys: asyncio.Queue[str | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._history: list[str] = []
        self._reading = False
        self._ended = False
        self._cooked: deque[bytes] = deque()
        self.columns, self.rows = 80, 24
        self.on_interrupt: Callable[[], None] = lambda: None
        self.complete: Callable[[str], list[str]] = lambda _: []

    def start(self) -> None:
        """Begin to read keys."""
        loop = asyncio.get_running_loop()
        if self._source is not None:
            self._tasks.append(loop.create_task(self._pump(self._source)))
        else:
            self._ended = True
        if self._resize is not None:
            self._tasks.append(loop.create_task(self._follow_size(self._resize)))

    def stop(self) -> None:
        """Let go of the streams."""
        for task in self._tasks:
            task.cancel()

    async def write(self, data: bytes) -> None:
        """Show output: newlines get their carriage return."""
        await self._out(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    async def read(self, size: int = 1 << 16) -> bytes:
        """Standard input of a program: edited lines, as in cooked mode."""
        if not self._cooked:
            line = await self.line("", remember=False)
            if line is None:
                return b""
            self._cooked.append(line.encode() + b"\n")
        data = self._cooked.popleft()
        if len(data) > size:
            self._cooked.appendleft(data[size:])
        return data[:size]

    async def line(self, prompt: str, *, remember: bool = True) -> str | None:
        """One edited line; None at the end of input. Raises KeyboardInterrupt for Ctrl-C."""
        await self._out(prompt.encode())
        self._reading = True
        try:
            line = await self._edit(prompt)
        finally:
            self._reading = False
        if line and remember and (not self._history or self._history[-1] != line):
            self._history.append(line)
        return line

    async def _edit(self, prompt: str) -> str | None:
        text, at, back = "", 0, len(self._history)
        while True:
            key = await self._key()
            if key is None or (key == END and not text):
                await self._out(b"\r\n" if key is None else b"")
                return None
            if key in ("\r", "\n"):
                await self._out(b"\r\n")
                return text
            if key == INTERRUPT:
                await self._out(b"^C\r\n")
                raise KeyboardInterrupt
            if key == "\t":
                added = self._completion(text[:at])
                text, at = text[:at] + added + text[at:], at + len(added)
            elif key in ("\x7f", "\b"):
                text, at = (text[: at - 1] + text[at:], at - 1) if at else (text, at)
            elif key == KILL_LINE:
                text, at = text[at:], 0
            elif key == ERASE_WORD:
                kept = text[:at].rstrip().rpartition(" ")
                start = len(kept[0]) + len(kept[1])
                text, at = text[:start] + text[at:], start
            elif key == CLEAR:
                await self._out(b"\x1b[H\x1b[J")
            elif key in ("\x1b[A", "\x1bOA", "\x1b[B", "\x1bOB"):
                back = max(0, back - 1) if key.endswith("A") else min(len(self._history), back + 1)
                text = self._history[back] if back < len(self._history) else ""
                at = len(text)
            elif key in ("\x1b[D", "\x1bOD"):
                at = max(0, at - 1)
            elif key in ("\x1b[C", "\x1bOC"):
                at = min(len(text), at + 1)
            elif key in ("\x1b[H", "\x1bOH", "\x01"):
                at = 0
            elif key in ("\x1b[F", "\x1bOF", "\x05"):
                at = len(text)
            elif key == "\x1b[3~":
                text = text[:at] + text[at + 1 :]
            elif key.isprintable():
                text, at = text[:at] + key + text[at:], at + len(key)
                if at == len(text):
                    await self._out(key.encode())
                    continue
            else:
                continue
            left = f"\x1b[{len(text) - at}D" if at < len(text) else ""
            await self._out(f"\r\x1b[K{prompt}{text}{left}".encode())

    def _completion(self, left: str) -> str:
        word = left.rpartition(" ")[2]
        found = self.complete(word)
        return found[0][len(word) :] if len(found) == 1 else ""

    async def _key(self) -> str | None:
        if self._ended and self._keys.empty():
            return None
        return await self._keys.get()

    async def _pump(self, source: AsyncIterator[bytes]) -> None:
        held = ""
        async for data in source:
            text = held + data.decode(errors="replace")
            held = ""
            while text:
                key, text = _first_key(text)
                if key == INTERRUPT and not self._reading:
                    await self._out(b"^C\r\n")
                    self.on_interrupt()
                else:
                    self._keys.put_nowait(key)
        self._ended = True
        self._keys.put_nowait(None)

    async def _follow_size(self, resize: AsyncIterator[tuple[int, int]]) -> None:
        async for columns, rows in resize:
            self.columns, self.rows = columns, rows


def _first_key(text: str) -> tuple[str, str]:
    """The first key of what a terminal sent, escape sequences whole."""
    if text.startswith(("\x1b[", "\x1bO")):
        for end in range(2, len(text)):
            if text[end].isalpha() or text[end] == "~":
                return text[: end + 1], text[end + 1 :]
    return text[0], text[1:]
