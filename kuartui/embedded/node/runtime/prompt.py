"""A shell that reads commands from standard input: at a terminal with prompt, history and Ctrl-C, or from a pipe."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Sequence

from bashkit import CommandContext

from kuartui.embedded.node.runtime.interpreter import Interpreter
from kuartui.embedded.node.runtime.process import ByteSource, Process
from kuartui.embedded.node.runtime.script import Script, quote, with_name
from kuartui.embedded.node.runtime.wording import Voice

INTERRUPTED = 130


class Prompt:
    """One interactive shell."""

    def __init__(self, process: Process, flavour: str, name: str, args: Sequence[str] = ()) -> None:
        self._process = process
        self._flavour = flavour
        self._name = name
        self._args = args
        self._over = asyncio.Event()
        self._status = 0
        self._busy = False
        self._bash = Interpreter(process, Script("eval |"), flavour)
        self._bash.add("__over", self._note_over)
        self._bash.add("__status", self._return_status)
        self._bash.add("__typed", self._typed)

    async def run(self) -> int:
        """Read and run commands until `exit` or the end of input."""
        try:
            return await self._converse()
        finally:
            self._bash.close()

    async def _converse(self) -> int:
        terminal = self._process.terminal
        if terminal is not None:
            terminal.on_interrupt = self._interrupt
            terminal.complete = self._completions
            for name in ("TERM", "INT"):
                self._process.on_signal(name, lambda: None)
        if self._args:
            await self._one("set -- " + " ".join(map(quote, self._args)))
        lines = _Lines(self._process.stdin)
        pending = ""
        while True:
            try:
                line = await (terminal.line(self._mark(pending)) if terminal else lines.next())
            except KeyboardInterrupt:
                pending, self._status = "", INTERRUPTED
                continue
            if line is None:
                if pending:
                    await self._complain(self._voice(pending).syntax("syntax error: unexpected end of file"))
                    return 2
                return self._status
            pending = f"{pending}\n{line}" if pending else line
            if not pending.strip():
                pending = ""
            elif not pending.endswith("\\") and not self._bash.incomplete(pending):
                code = await self._one(pending)
                pending = ""
                if code is not None:
                    return code

    async def _one(self, text: str) -> int | None:
        """Run one command; its code if it was the shell's end."""
        self._over.clear()
        if self._process.terminal is not None and Script(text).reads_what_is_typed:
            text = f"__typed | {text}"
        start = f"__status {self._status}\n" if self._status else ""
        voice = self._voice(text, offset=1 if start else 0)
        self._busy = True
        code, error = await self._bash.execute(f"{start}{with_name(text, self._name)}\n__over $?\n", voice)
        self._busy = False
        self._bash.revive()
        if error and error.startswith("parse error"):
            await self._complain(voice.syntax(error))
            self._status = 2
        elif not self._over.is_set():
            if not error:
                return code
            self._status = INTERRUPTED
        return None

    async def _note_over(self, context: CommandContext) -> int:
        """Stands after each command: it was reached, so nothing called exit."""
        self._status = int(context.argv[0]) if context.argv else 0
        self._over.set()
        return 0

    async def _typed(self, context: CommandContext) -> int:
        """What is typed, line by line, for a command that reads it."""
        try:
            while data := await self._process.stdin.read():
                if not await self._bash.feed(context, data):
                    break
        except KeyboardInterrupt:
            self._bash.cancel()
        return 0

    @staticmethod
    async def _return_status(context: CommandContext) -> int:
        """Gives $? of the command before, which bashkit forgets in between."""
        return int(context.argv[0])

    def _voice(self, text: str, offset: int = 0) -> Voice:
        typed = self._process.terminal is not None
        return Voice(self._flavour, self._name, False, self._process.files, text, offset, typed)

    async def _complain(self, line: str) -> None:
        await self._process.err(line + "\n")

    def _mark(self, pending: str) -> str:
        if pending:
            return "> "
        user, host = self._process.user, self._process.container.sandbox.hostname
        mark = "#" if user.uid == 0 else "$"
        if self._flavour == "bash":
            return f"{user.name or 'I have no name!'}@{host}:{self._bash.cwd}{mark} "
        return f"{mark} " if self._flavour == "dash" else f"{self._bash.cwd} {mark} "

    def _interrupt(self) -> None:
        if self._busy:
            self._bash.cancel()

    def _completions(self, word: str) -> list[str]:
        directory, slash, start = word.rpartition("/")
        base = posixpath.join(self._bash.cwd, directory + slash)
        try:
            names = self._process.files.listdir(base)
        except OSError:
            return []
        return [directory + slash + name for name in names if name.startswith(start)]


class _Lines:
    """Lines of standard input."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._left = b""

    async def next(self) -> str | None:
        while b"\n" not in self._left:
            data = await self._source.read()
            if not data:
                line, self._left = self._left, b""
                return line.decode(errors="replace") if line else None
            self._left += data
        line, _, self._left = self._left.partition(b"\n")
        return line.decode(errors="replace")
