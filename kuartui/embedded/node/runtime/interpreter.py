"""bashkit, as the shells here use it. Nobody else runs scripts in it (`volumes` stores files there, `lull` and `live_fork`
have a command of theirs called on its thread).

bashkit is a young library that interprets bash in a thread of its own, over a virtual file system. What it leaves out
or does otherwise is made up for here: an image's programs and our own commands replace its builtins, commands that the
image lacks are taken away, complaints are reworded, and fast time stands still while it works.
tests/embedded/runtime/test_bashkit.py holds it to the behaviour that this relies on.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from bashkit import Bash, BashError, CommandContext, ExecutionProfile

from kuartui.embedded.images.model import PATH, Program
from kuartui.embedded.node.runtime.files import EXECUTE, Files
from kuartui.embedded.node.runtime.guard import guarded
from kuartui.embedded.node.runtime.pids import numbered
from kuartui.embedded.node.runtime.process import Process, Write
from kuartui.embedded.node.runtime.rootfs import set_uptime
from kuartui.embedded.node.runtime.script import BUILTINS, EXTERNAL, Script
from kuartui.embedded.node.runtime.strands import Strands
from kuartui.embedded.node.runtime.wording import Voice

UNLIMITED = 10**12
CHANGED_PROGRAMS = re.compile(
    r"\b(?:mv|rm|cp|ln|chmod|install|tee|touch|truncate)\b.*\bs?bin\b|>\s*/\S*\bs?bin/|\bcd\s.*bin\b"
)
OTHERS_ROOTS = re.compile(r"/proc/\S+/root")
STREAMS = "/proc/1/fd"  # of the container's first process: where its log comes from
SPAWN_SECONDS = 0.004  # CPU that starting a command costs: more than in reality, because ours costs real CPU, too
WRITE_SECONDS = 1 / (256 << 10)  # CPU that a byte of output costs
AHEAD_SECONDS = 0.4  # how far a script may get ahead of the CPU it uses before it has to wait

CANCELLED = b"execution budget exhausted: request closed"  # what a job in the background says when a script is stopped

OTHER_SHELLS = ("ash", "dash")  # beside sh and bash, which bashkit is itself
BASH = "__bash"
NO_BASH = f'bash() {{ {BASH} "$@"; }}; '
ENTER = "__enter"
CHECKED_CD = f'cd() {{ {ENTER} "$@" && builtin cd "$@"; }}; '  # bashkit asks nobody whether a user may enter

RIGHTS = re.compile(r"(\[|\btest)\s[^\n;]*-[rwx]\s")  # a test of what the user may do with a file

Callback = Callable[[CommandContext], Awaitable[int]]


DASH_ECHO = re.compile(r"\becho\b(?=(?s:.*\\)|\s+-e)")  # a script for which dash's echo is not bash's
DASH_ESCAPE = re.compile(r"\\(?:([abfnrtv\\])|0?([0-7]{1,3}))")
DASH_CHARACTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


async def _dash_echo(context: CommandContext) -> int:
    """dash's echo: it reads escapes and knows no option but -n."""
    words = list(context.argv)
    newline = words[:1] != ["-n"]
    text, stop, _ = " ".join(words if newline else words[1:]).partition("\\c")
    text = DASH_ESCAPE.sub(lambda found: DASH_CHARACTERS[found[1]] if found[1] else chr(int(found[2], 8) & 0xFF), text)
    await context.stdout.write((text + ("\n" if newline and not stop else "")).encode(errors="surrogateescape"))
    return 0


class Interpreter:
    """One bash, for one shell process."""

    def __init__(self, process: Process, script: Script, flavour: str) -> None:
        self._process = process
        self._flavour = flavour
        self.becomes: frozenset[str] = frozenset()  # names of commands that replace the shell (exec)
        self.foreground = 0  # commands of ours that run
        self._jobs_end = True
        self.stuck = False
        self.after_command: Callable[[], None] = lambda: None
        self._ahead_until = 0.0
        self._kills_by_number = False
        self._asked_for_jobs = False  # whether a variable may hold the number of one
        self._strands = Strands(process.clock, self._on_stuck)
        self._bash: Any = Bash(
            profile=ExecutionProfile.Interactive,
            timeout_seconds=1e9,
            max_commands=UNLIMITED,
            max_loop_iterations=UNLIMITED,
            username=process.user.name or str(process.user.uid),
            hostname=process.container.sandbox.hostname,
            env={**process.env, "PWD": process.cwd},
            cwd=process.cwd,
        )
        if "/proc/uptime" in script.text:
            set_uptime(process.files, process.clock.monotonic())
        self._mount(process.files, script.text)
        for name, program in self._commands(script).items():
            self._bash.add_command(name, self._callback(program))
        if process.user.checked and ("|" in script.text[-1:] or RIGHTS.search(script.text)):
            self._test_rights()
        differs = script.text[-1:] == "|" or DASH_ECHO.search(script.text)
        if flavour == "dash" and differs and "bash" not in script.words:  # that would speak as dash, too
            self.add("echo", _dash_echo)
        self._before = ""
        shells = process.container.spec.image.shells
        if "bash" in script.words and not any(posixpath.basename(path) == "bash" for path in shells):
            self._before = NO_BASH
            self._bash.add_command(BASH, self._callback(self._no_bash))
        traced = re.search(r"\bset -\w*x", script.text)  # it would show
        if process.user.checked and ("cd" in script.words or script.opaque) and not traced:
            self._before += CHECKED_CD
            self.add(ENTER, self._enter)

    def _test_rights(self) -> None:
        """Let `[ -r FILE ]` and its like look at who asks: bashkit sees mode bits only, whosever they are."""
        direct = self._process.container.spec.image.direct
        for path, program in direct.items():
            name = posixpath.basename(path)
            if name in ("[", "test"):
                self._bash.add_command(name, self._callback(program))

    # --- running ---

    async def execute(self, text: str, voice: Voice) -> tuple[int, str | None]:
        """Run a script; exit code, and bashkit's own error if it could not."""
        script = Script(text)
        self._asked_for_jobs = self._asked_for_jobs or "$!" in text
        by_number = script.kills_by_number(first=self._process.pid == 1)
        self._kill_by_number(by_number or (script.kills_by_name and not self._asked_for_jobs))
        errors = _Rewording(self._sink(self._process.stderr), voice)
        text, self._before = self._before + text, ""
        if CHANGED_PROGRAMS.search(text) and not self._process.user.checked:
            for mount in self._process.files.own_programs():
                self._bash.mount(mount.path, mount.volume.fs, read_only=mount.read_only)
        if OTHERS_ROOTS.search(text) and not self._process.user.checked:
            for mount in self._process.files.roots(numbered(self._process.container)):
                self._bash.mount(mount.path, mount.volume.fs, read_only=mount.read_only or mount.volume.read_only)
        self._strands.start()
        running = asyncio.ensure_future(
            self._bash.execute(text, stdout=self._sink(self._process.stdout), stderr=errors.write, capture=0)
        )
        try:
            result = await asyncio.shield(running)
            await errors.flush()
        except asyncio.CancelledError:
            # The thread must have left our callbacks before anything of this process goes away.
            self.cancel()
            with contextlib.suppress(BashError):
                await running
            raise
        finally:
            self._strands.finish()
        return result.exit_code, result.error

    def _kill_by_number(self, wanted: bool) -> None:
        """Whether `kill` is for the container's processes now, or the shell's own, which knows its jobs only."""
        if wanted and not self._kills_by_number:
            self._bash.add_command("kill", self._callback(_run_by_path))
        elif self._kills_by_number and not wanted:
            self._bash.remove_builtin("kill")
        self._kills_by_number = wanted

    def add(self, name: str, callback: Callback) -> None:
        """Register a command that talks to the script itself."""

        async def call(context: CommandContext) -> int:
            with self._strands.waiting():
                return await callback(context)

        self._bash.add_command(name, call)

    def replace(self, name: str, program: Program) -> None:
        """Have a program run for a command that the image has."""
        if name in self._process.container.spec.image.on_path(self._process.env.get("PATH") or PATH)[1]:
            self._bash.add_command(name, self._callback(program))

    async def feed(self, context: CommandContext, data: bytes) -> bool:
        """Hand bytes to the next command of a pipe; False if it has gone."""
        with self._strands.working():
            try:
                await context.stdout.write(data)
            except BrokenPipeError:
                return False
        return True

    def cancel(self, *, jobs_too: bool = True) -> None:
        """Stop what runs, within a moment; programs that it started go on if jobs do."""
        self._jobs_end = jobs_too
        if self._bash is not None:
            self._strands.end()
            self._bash.cancel()

    def close(self) -> None:
        """Let go of bashkit. It holds our callbacks where no garbage collection sees them, and they hold the container."""
        self._bash = None

    def revive(self) -> None:
        """Make it usable again after `cancel`."""
        self._bash.clear_cancel()

    @property
    def traps(self) -> dict[str, str]:
        """Traps that the last execution set; only while nothing runs."""
        return dict(self._bash.shell_state().traps)

    @property
    def cwd(self) -> str:
        """The working directory; only while nothing runs."""
        return str(self._bash.shell_state().cwd)

    def incomplete(self, text: str) -> bool:
        """Whether a command goes on in the next line."""
        try:
            self._bash.analyze(text)
        except BashError as error:
            said = str(error)
            return "unexpected end of file" in said or "unexpected EOF" in said
        return False

    def _on_stuck(self) -> None:
        self.stuck = True
        self.cancel()

    # --- what can be called ---

    def _mount(self, files: Files, text: str) -> None:
        """root sees the volumes themselves; whoever may not do everything passes a guard."""
        if self._process.user.checked:
            self._bash.mount("/", guarded(files, self._process.user), read_only=False)
            return
        for mount in files.mounts:
            self._bash.mount(mount.path, mount.volume.fs, read_only=mount.read_only or mount.volume.read_only)
        if STREAMS in text:
            self._bash.mount(STREAMS, guarded(files, self._process.user, STREAMS), read_only=False)

    def _commands(self, script: Script) -> dict[str, Program]:
        """What to register: the image's programs that the script may call, and refusals for what the image lacks."""
        image = self._process.container.spec.image
        programs, names = image.on_path(self._process.env.get("PATH") or PATH)
        found = dict(programs)
        words = script.words
        for path in image.executables:
            if script.opaque or path in words:
                found[path] = _run_by_path
        for name in EXTERNAL - names:
            found[name] = self._absent
        for name in OTHER_SHELLS:
            has_it = any(posixpath.basename(path) == name for path in image.shells)
            found[name] = _run_by_path if has_it else self._absent
        if not script.opaque:
            found = {name: program for name, program in found.items() if name in words}
            found |= {name: self._absent for name in found if self._removed(name)}
        # In a script file that is opaque the shell itself complains, and names the line.
        if not script.opaque or (script.shows_its_functions and not script.is_file):
            for name in self._unknown(script.text, names):
                found[name] = self._absent
        return found

    def _removed(self, name: str) -> bool:
        """Whether the image's programs of this name are no longer there."""
        paths = self._process.container.spec.image.by_name.get(name, ())
        return bool(paths) and not any(self._process.files.has(path) for path in paths)

    async def _enter(self, context: CommandContext) -> int:
        """Before `cd`: whether the user may enter the directory. What is wrong otherwise is for `cd` to say."""
        files, user = self._process.files, self._process.user
        words = [word for word in context.argv if word == "-" or not word.startswith("-")]
        target = words[0] if words else context.env.get("HOME", "")
        path = context.env.get("OLDPWD", "") if target == "-" else target
        try:
            stat = files.stat(posixpath.normpath(posixpath.join(context.cwd, path)), user)
            denied = stat.is_dir and not stat.rights(user) & EXECUTE
        except PermissionError:
            denied = True
        except OSError:
            denied = False
        if denied:
            await context.stderr.write(
                f"bash: line 1: cd: {target}: Permission denied\n".encode(errors="surrogateescape")
            )
        return int(denied)

    @staticmethod
    def _unknown(text: str, names: frozenset[str]) -> set[str]:
        commands, functions = _analysed(text)
        return {name for name in commands - names - BUILTINS - functions if "/" not in name and "$" not in name}

    async def _no_bash(self, process: Process) -> int:
        process.argv = ["bash", *process.argv[1:]]
        return await self._absent(process)

    async def _absent(self, process: Process) -> int:
        voice = Voice(self._flavour, "bash" if self._flavour == "bash" else "sh", script=False, files=process.files)
        await process.err(voice.not_found(process.argv[0]) + "\n")
        return 127

    def _callback(self, program: Program) -> Callback:
        async def call(context: CommandContext) -> int:
            self.foreground += 1
            try:
                with self._strands.waiting():
                    code = await self._run_child(program, context)
            finally:
                self.foreground -= 1
            self.after_command()
            return code

        return call

    async def _run_child(self, program: Program, context: CommandContext) -> int:
        await self._charge(SPAWN_SECONDS)
        process = self._process
        child = process.container.adopt(
            program,
            [context.name, *context.argv],
            process,
            _exported(context.env, process.env),
            context.cwd,
            _Input(context, self._strands),
            _writer(context.stdout, self._strands),
            _writer(context.stderr, self._strands),
            process.terminal,
        )
        if context.name in self.becomes:
            process.replaced_by = child
        try:
            return await child.wait()
        except asyncio.CancelledError:
            if self._jobs_end:
                child.kill(15)
            raise

    async def _charge(self, seconds: float) -> None:
        """A loop must not run faster than its CPU allows; a script may be a little ahead."""
        cpu, now = self._process.container.cpu, self._process.clock.monotonic()
        cpu.spend(seconds)
        self._ahead_until = max(self._ahead_until, now) + seconds
        ahead = self._ahead_until - now
        if ahead > AHEAD_SECONDS:
            await cpu.run(ahead, spent=True)

    def _sink(self, write: Write) -> Write:
        async def sink(data: bytes) -> None:
            with self._strands.waiting():
                await self._charge(len(data) * WRITE_SECONDS)
                await write(data)

        return sink


@lru_cache(maxsize=512)
def _analysed(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names of commands and functions in a script; none if it does not parse."""
    try:
        analysis = Bash().analyze(text)
    except BashError:
        return frozenset(), frozenset()
    return frozenset(filter(None, analysis.command_names)), frozenset(analysis.functions)


async def _run_by_path(process: Process) -> int:
    """`/bin/ls` in a script: the program at that path, as exec would find it."""
    return await process.run(process.argv)


class _Input:
    """A command's standard input, from the script."""

    def __init__(self, context: CommandContext, strands: Strands) -> None:
        self._stdin = context.stdin
        self._strands = strands
        self._left = b""

    async def read(self, size: int = 1 << 16) -> bytes:
        if not self._left:
            with self._strands.working():
                self._left = await self._stdin.read_chunk() or b""
        data, self._left = self._left[:size], self._left[size:]
        return data


def _writer(output: Any, strands: Strands) -> Write:
    async def write(data: bytes) -> None:
        if data:
            with strands.working():
                await output.write(data)

    return write


class _Rewording:
    """stderr of a script: whole lines are reworded, half ones kept until they are whole."""

    def __init__(self, write: Write, voice: Voice) -> None:
        self._write = write
        self._voice = voice
        self._left = b""

    async def write(self, data: bytes) -> None:
        *lines, rest = (self._left + data).split(b"\n")
        said = b"".join(self._reword(line) + b"\n" for line in lines if CANCELLED not in line)
        self._left = b""
        if rest and re.match(rb"(ba)?sh: ?|b$|ba$|bas$|bash$|s$|sh$", rest) is None:
            said, rest = said + rest, b""
        self._left = rest
        if said:
            await self._write(said)

    def _reword(self, line: bytes) -> bytes:
        return self._voice.error(line.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    async def flush(self) -> None:
        if self._left:
            left, self._left = self._left, b""
            await self._write(self._reword(left))


def _exported(env: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """The environment of a command; bashkit adds USER, which no container has of itself."""
    return {name: value for name, value in env.items() if name != "USER" or "USER" in known}
