"""Shells as programs: `sh -c script`, `sh file`, `sh` at a prompt; and commands that only the shell has.

Standard input is piped into the script, signals reach its traps by the rules of a container's first process, `exec`
hands signals to what replaces the shell, and a script that only burns CPU is seen for what it is.
"""

from __future__ import annotations

import asyncio
import posixpath
import re

from bashkit import CommandContext

from kuartui.embedded.images.model import PATH
from kuartui.embedded.node.runtime.interpreter import Interpreter
from kuartui.embedded.node.runtime.process import SIGNAL_NUMBERS, NoInput, Process
from kuartui.embedded.node.runtime.prompt import Prompt
from kuartui.embedded.node.runtime.script import (
    DEAF,
    Script,
    foreign_syntax,
    quote,
    with_name,
    without_brace_expansion,
    without_input_for_the_deaf,
)
from kuartui.embedded.node.runtime.wording import Voice

NAME = re.compile(r"[\w./+-]*")  # what means nothing to a shell


async def run_shell(process: Process) -> int:
    """A shell as a program."""
    flavour = process.container.spec.image.shells.get(_path_of(process), "ash")
    flags, rest = _options(process.argv[1:])
    name = posixpath.basename(process.argv[0])
    if "c" in flags:
        if not rest:
            await process.err(f"{name}: -c requires an argument\n")
            return 2
        zero = rest[1] if len(rest) > 1 else name
        return await ShellRun(process, flavour, zero, rest[2:], flags).run(rest[0], from_flag=True)
    if not rest or "s" in flags:
        return await Prompt(process, flavour, name, rest).run()
    try:
        text = process.read(rest[0]).decode(errors="replace")
    except OSError as error:
        complaint = {
            "ash": f"{name}: can't open '{rest[0]}': {error.strerror}",
            "dash": f"{name}: 0: cannot open {rest[0]}: No such file",
        }.get(flavour, f"{name}: {rest[0]}: {error.strerror}")
        await process.err(complaint + "\n")
        return 127 if flavour == "bash" else 2
    return await ShellRun(process, flavour, rest[0], rest[1:], flags).run(text, from_flag=False)


async def run_command(process: Process) -> int:
    """A command that only the shell has, run directly."""
    name = posixpath.basename(process.argv[0])
    script = " ".join([name, *map(quote, process.argv[1:])])
    shells = process.container.spec.image.shells
    flavour = "ash" if "ash" in shells.values() or not shells else "dash"
    return await ShellRun(process, flavour, name, [], "").run(script, from_flag=True)


def _path_of(process: Process) -> str:
    name = process.argv[0]
    if "/" in name:
        return process.path(name)
    shells = process.container.spec.image.shells
    directories = (process.env.get("PATH") or PATH).split(":")
    return next((f"{d}/{name}" for d in directories if f"{d}/{name}" in shells), name)


def _options(words: list[str]) -> tuple[str, list[str]]:
    flags = ""
    while words and words[0][:1] in "-+" and len(words[0]) > 1:
        word, *words = words
        if word == "--":
            break
        if word[0] == "-" and not word.startswith("--"):
            flags += word[1:]
            if "o" in word and words:
                flags += {"errexit": "e", "xtrace": "x", "nounset": "u"}.get(words.pop(0), "")
    return flags, words


class ShellRun:
    """A shell that runs one script."""

    def __init__(self, process: Process, flavour: str, name: str, args: list[str], flags: str) -> None:
        self.process = process
        self.flavour = flavour
        self.name = name
        self.args = args
        self.flags = "".join(flag for flag in "exufn" if flag in flags)
        self._script = Script("")
        self._signal = ""
        self._over = asyncio.Event()
        self._bash: Interpreter | None = None

    async def run(self, text: str, *, from_flag: bool) -> int:
        """Run the script; its exit code."""
        if self.flavour != "bash":
            foreign = foreign_syntax(text)
            if foreign is not None:
                voice = Voice(self.flavour, self.name, not from_flag, self.process.files)
                await self.process.err(voice.unexpected(*foreign) + "\n")
                return 2
            text = without_brace_expansion(text)
        plain = NAME.fullmatch(self.name) is not None
        text = with_name(text, self.name if plain else "${__zero}")
        self._script = Script(text)
        if self._script.spins:
            await self._spin()
        before = "" if plain else f"__zero={quote(self.name)}; "
        before += f"set -{self.flags}; " if self.flags else ""
        if self.args:
            before += "set -- " + " ".join(map(quote, self.args)) + "; "
        body, offset = before + text, 0
        piped = not isinstance(self.process.stdin, NoInput)
        if piped:
            body, offset = f"__stdin | {{ (\n{before}{without_input_for_the_deaf(text)}\n); __over $?; }}", 1
        voice = Voice(self.flavour, self.name, not from_flag, self.process.files, text, offset)
        self._bash = bash = Interpreter(self.process, Script(body, is_file=not from_flag), self.flavour)
        bash.add("__stdin", self._stdin)
        bash.add("__over", self._note_over)
        for name in DEAF & self._script.words if piped else ():
            bash.replace(name, _deaf)
        bash.becomes = self._script.becomes(self.flavour, from_flag=from_flag)
        bash.after_command = self._after_command
        self._catch_signals(bash)
        try:
            code, error = await bash.execute(body, voice)
            if self._signal:
                return await self._trapped(bash, voice)
            if bash.stuck:
                await self._spin()
            return await self._verdict(code, error, voice)
        finally:
            bash.close()

    async def _verdict(self, code: int, error: str | None, voice: Voice) -> int:
        if not error:
            return code
        if error.startswith("parse error"):
            await self.process.err(voice.syntax(error) + "\n")
            return 2
        if "memory limit" in error or "live intermediate bytes" in error:
            # A shell that outgrows bashkit's own limit outgrows a container's, too.
            self.process.memory = self.process.container.sandbox.node_memory
            await self.process.err(f"{self.name}: out of memory\n")
            return 1
        if "resource limit" in error:
            await self._spin()
        return code or 1

    async def _stdin(self, context: CommandContext) -> int:
        """Standard input as the first command of a pipe; ends when the script does, read or not."""
        reader = asyncio.ensure_future(self._pour(context))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({reader, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            over.cancel()
        return 0

    async def _pour(self, context: CommandContext) -> None:
        assert self._bash is not None
        while data := await self.process.stdin.read():
            if not await self._bash.feed(context, data):
                return

    async def _note_over(self, context: CommandContext) -> int:
        """Stands after a script's text: it was reached, so nothing called exit."""
        self._over.set()
        return int(context.argv[0]) if context.argv else 0

    # --- signals ---

    def _catch_signals(self, bash: Interpreter) -> None:
        for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2"):
            if bash.becomes or self._script.traps(name):
                self.process.on_signal(name, lambda name=name: self._on_signal(bash, name))  # type: ignore[misc]

    def _on_signal(self, bash: Interpreter, name: str) -> None:
        child = self.process.replaced_by
        if child is not None and child.pid in self.process.container.processes:
            if name in child.handlers or self.process.pid != 1:
                child.signal(name)
            return  # the container's first process ignores what it does not handle
        if not self._script.traps(name):
            return
        self._signal = name
        if self._script.waits or not bash.foreground:
            # What runs beside `wait` outlives it; where the trap is to kill it, it goes with the script: the new one knows no jobs.
            bash.cancel(jobs_too="kill" in self._script.words)

    def _after_command(self) -> None:
        """A trap runs when the command in the foreground has ended."""
        assert self._bash is not None
        if self._signal and not self._bash.foreground:
            self._bash.cancel()

    async def _trapped(self, bash: Interpreter, voice: Voice) -> int:
        """The script was stopped for a signal: run its trap. A trap that does not exit leaves the shell as it was."""
        traps = bash.traps
        bash.revive()
        body = traps.get(self._signal) or traps.get("SIG" + self._signal) or ""
        number = SIGNAL_NUMBERS[self._signal]
        self._signal = ""
        self._over.clear()
        bash.becomes = frozenset()
        code, _ = await bash.execute(f"{body}\n__over $?\n", voice)
        if not self._over.is_set():
            if traps.get("EXIT"):
                await bash.execute(traps["EXIT"], voice)
            return code
        if self._script.waits:
            return 128 + number
        await asyncio.Event().wait()  # goes on with its loop; only KILL ends it
        return 0

    async def _spin(self) -> None:
        """Burn CPU until killed."""
        self.process.container.cpu.steady(self.process.pid, 1.0)
        await asyncio.Event().wait()


async def _deaf(process: Process) -> int:
    """A command that does not read standard input, in a shell of its own: bashkit would wait for its end before it runs
    the command."""
    if "sed" in process.argv[0] and not any(re.match(r"-[nErsz]*i|--in-place", word) for word in process.argv[1:]):
        return await process.run(process.argv)
    return await process.run(process.argv, stdin=NoInput())
