"""Shells, on bashkit. This is the only module that runs it (`volumes` stores files in it).

bashkit is a young library that interprets bash in a thread, over a virtual file system. What it leaves out or does
otherwise is made up for here: an image's programs and our own commands replace its builtins, commands that the image
lacks are taken away, complaints are reworded, signals reach traps, standard input is piped in, and fast time stands
still while it works. tests/embedded/runtime/test_bashkit.py holds it to the behaviour that this relies on.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from bashkit import Bash, BashError, CommandContext, ExecutionProfile

from kuartui.embedded.images.model import PATH, Program
from kuartui.embedded.node.runtime.files import WRITE
from kuartui.embedded.node.runtime.process import ByteSource, NoInput, Process, ProcessExit, Write
from kuartui.embedded.node.runtime.script import Script, quote
from kuartui.embedded.node.runtime.strands import Strands
from kuartui.embedded.node.runtime.wording import Voice

if TYPE_CHECKING:
    from kuartui.embedded.node.runtime.files import MountPoint

UNLIMITED = 10**12
SPAWN_SECONDS = 0.001  # CPU that starting a command costs
BURST_COMMANDS = 500  # commands without time passing after which the shell has to wait for its CPU
BURST_BYTES = 256 << 10
OUTPUT_SECONDS = 0.05

# Commands that bashkit brings and that are programs in reality: an image has them or not.
EXTERNAL = frozenset(
    """arch awk b2sum base32 base64 basename basenc bc bunzip2 busybox bzcat bzip2 cat chgrp chmod chown cksum clear cmp
    column comm cp csv curl cut date dd df diff dirname dotenv du egrep env envsubst expand expr factor fgrep file find
    flock fmt fold free gawk getconf glob grep groups gunzip gzip head hexdump hostid hostname http iconv id install
    join jq json less link ln locale log logname ls make man mawk md5sum mkdir mkfifo mktemp more mv nano nawk nice nl
    nohup nproc numfmt od openssl parallel paste patch pgrep pk pkill pr printenv ps readlink realpath retry rev rg rm
    rmdir sed semver seq sha1sum sha224sum sha256sum sha384sum sha512sum shasum shuf sleep sort split stat strings sudo
    sum sync tac tail tar tee template timeout tomlq touch tr tree truncate tsort tty uname unexpand uniq unlink unzip
    uptime users uuidgen verify vi watch wc wget which who whoami xargs xxd yes yq zip""".split()
)


async def run_shell(process: Process) -> int:
    """A shell as a program: `sh`, `sh -c script`, `sh file`."""
    flavour = process.container.spec.image.shells.get(_path_of(process), "ash")
    flags, rest = _options(process.argv[1:])
    name = posixpath.basename(process.argv[0])
    if "c" in flags:
        if not rest:
            await process.err(f"{name}: -c requires an argument\n")
            return 2
        zero = rest[1] if len(rest) > 1 else name
        return await ShellRun(process, flavour, zero, rest[2:], flags).script(rest[0], from_flag=True)
    if rest and "s" not in flags:
        try:
            text = process.read(rest[0]).decode(errors="replace")
        except OSError as error:
            said = (
                f"{name}: can't open '{rest[0]}': {error.strerror}"
                if flavour == "ash"
                else f"{name}: 0: cannot open {rest[0]}: No such file"
            )
            if flavour == "bash":
                said = f"{name}: {rest[0]}: {error.strerror}"
            await process.err(said + "\n")
            return 127 if flavour == "bash" else 2
        return await ShellRun(process, flavour, rest[0], rest[1:], flags).script(text, from_flag=False)
    return await ShellRun(process, flavour, name, rest, flags).prompt()


async def run_command(process: Process) -> int:
    """A command that only the shell has, run directly."""
    name = posixpath.basename(process.argv[0])
    script = " ".join([name, *map(quote, process.argv[1:])])
    shells = process.container.spec.image.shells
    flavour = "ash" if "ash" in shells.values() or not shells else "dash"
    return await ShellRun(process, flavour, name, [], "").script(script, from_flag=True)


def _path_of(process: Process) -> str:
    name = process.argv[0]
    if "/" in name:
        return process.path(name)
    shells = process.container.spec.image.shells
    for directory in (process.env.get("PATH") or PATH).split(":"):
        if f"{directory}/{name}" in shells:
            return f"{directory}/{name}"
    return name


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
    """One shell process."""

    def __init__(self, process: Process, flavour: str, name: str, args: list[str], flags: str) -> None:
        self.process = process
        self.flavour = flavour
        self.name = name
        self.args = args
        self.flags = "".join(flag for flag in "exufn" if flag in flags)
        self.interactive = False
        self._strands: Strands | None = None
        self._bash: Any = None
        self._script = Script("")
        self._becomes: frozenset[str] = frozenset()
        self._replaced_by: Process | None = None
        self._signal = ""
        self._spinning = False
        self._foreground = 0
        self._at = -1.0
        self._burst = 0
        self._written = 0
        self._written_at = -1.0
        self._over = asyncio.Event()
        self._status = 0

    # --- ways to run ---

    async def script(self, text: str, *, from_flag: bool) -> int:
        """Run a whole script; its exit code."""
        text = _with_name(text, self.name)
        self._script = Script(text)
        if self._script.spins:
            await self._spin()
        self._becomes = self._script.becomes(from_flag=from_flag and self.flavour != "bash")
        self._catch_signals()
        before = f"set -{self.flags}; " if self.flags else ""
        if self.args:
            before += "set -- " + " ".join(map(quote, self.args)) + "; "
        piped = not isinstance(self.process.stdin, NoInput)
        offset = 0
        body = before + text
        if piped:
            body = f"__stdin | {{ (\n{body}\n); __over $?; }}"
            offset = 1
        voice = self._voice(text, script=not from_flag, offset=offset)
        self._make_bash(Script(body), piped=piped)
        code, error = await self._execute(body, voice)
        if self._signal:
            return await self._trapped(voice)
        if self._spinning:
            await self._spin()
        return await self._verdict(code, error, voice)

    async def prompt(self) -> int:
        """Read commands from standard input, with a prompt if it is a terminal."""
        terminal = self.process.terminal
        self.interactive = terminal is not None
        self._make_bash(Script("eval |"), piped=False)
        if terminal is not None:
            terminal.on_interrupt = self._interrupt
            terminal.complete = self._completions
            self.process.on_signal("INT", self._interrupt)
            self.process.on_signal("TERM", lambda: None)
        lines = _Lines(self.process.stdin)
        status = 0
        pending = ""
        while True:
            try:
                line = await (terminal.line("> " if pending else self._prompt_text()) if terminal else lines.next())
            except KeyboardInterrupt:
                pending, status = "", 130
                continue
            if line is None:
                if pending:
                    await self._complain(self._voice(pending).syntax("syntax error: unexpected end of file"))
                    return 2
                return status
            pending = f"{pending}\n{line}" if pending else line
            if not pending.strip() or pending.rstrip().endswith("\\"):
                continue
            if self._incomplete(pending):
                continue
            text, pending = pending, ""
            self._over.clear()
            start = f"__status {status}\n" if status else ""
            voice = self._voice(text, offset=1 if status else 0)
            code, error = await self._execute(f"{start}{text}\n__over $?\n", voice)
            if error and error.startswith("parse error"):
                await self._complain(voice.syntax(error))
                status = 2
            elif self._over.is_set() or error:
                status = self._status if self._over.is_set() else 130
            else:
                return code

    async def _verdict(self, code: int, error: str | None, voice: Voice) -> int:
        if not error:
            return code
        if error.startswith("parse error"):
            await self._complain(voice.syntax(error))
            return 2
        if "memory limit" in error or "live intermediate bytes" in error:
            self.process.memory = 1 << 40  # a shell that outgrows bashkit's own limit outgrows any container's
            await self._complain(f"{self.name}: out of memory")
            return 1
        if "resource limit" in error:
            await self._spin()
        return code or 1

    # --- bash ---

    def _voice(self, text: str, *, script: bool = False, offset: int = 0) -> Voice:
        return Voice(self.flavour, self.name, script, self.process.files, text, offset)

    def _make_bash(self, script: Script, *, piped: bool) -> None:
        process = self.process
        self._bash = bash = Bash(
            profile=ExecutionProfile.Interactive,
            timeout_seconds=1e9,
            max_commands=UNLIMITED,
            max_loop_iterations=UNLIMITED,
            username=process.user.name or str(process.user.uid),
            hostname=process.container.sandbox.hostname,
            env={**process.env, "PWD": process.cwd},
            cwd=process.cwd,
        )
        for mount in process.files.mounts:
            bash.mount(mount.path, mount.volume.fs, read_only=not self._writable(mount))
        for name, program in self._commands(script).items():
            bash.add_command(name, self._callback(program))
        bash.add_command("__stdin", self._stdin)
        bash.add_command("__over", self._note_over)
        bash.add_command("__status", self._return_status)
        self._strands = Strands(process.clock, single=script.single and not piped, stuck=self._stuck)

    def _writable(self, mount: MountPoint) -> bool:
        if mount.read_only or mount.volume.read_only:
            return False
        return self.process.files.allowed(mount.path, WRITE, self.process.user)

    def _commands(self, script: Script) -> dict[str, Program]:
        """What to register: the image's programs that the script may call, and refusals for what the image lacks."""
        image = self.process.container.spec.image
        words = script.words
        hidden = bool(
            re.search(r"\beval\b|\bsource\b|(^|[;\s])\.\s|\$\w*\s|\$\{|\bsh\b|\bxargs\b|-exec\b", script.text)
        )
        found: dict[str, Program] = {}
        names: set[str] = set()
        for directory in (self.process.env.get("PATH") or PATH).split(":"):
            prefix = directory.rstrip("/") + "/"
            for path, program in image.programs.items():
                if path.startswith(prefix) and "/" not in path[len(prefix) :]:
                    found.setdefault(path[len(prefix) :], program)
            names |= {path[len(prefix) :] for path in image.executables if path.startswith(prefix)}
        for path in image.executables:
            if hidden or path in words:
                found[path] = _run_by_path
        for name in EXTERNAL - names:
            found[name] = self._absent
        if not hidden:
            found = {name: program for name, program in found.items() if name in words}
            for name in self._unknown(script.text, names):
                found[name] = self._absent
        return found

    def _unknown(self, text: str, names: set[str]) -> set[str]:
        try:
            analysis = Bash().analyze(text)
        except BashError:
            return set()
        return {
            name
            for name in analysis.command_names
            if name
            and "/" not in name
            and name not in names
            and name not in analysis.functions
            and name not in BUILTINS
        }

    async def _absent(self, process: Process) -> int:
        await process.err(self._voice("", script=False).not_found(process.argv[0]) + "\n")
        return 127

    def _callback(self, program: Program) -> Callable[[CommandContext], Awaitable[int]]:
        async def call(context: CommandContext) -> int:
            strands = self._strands
            assert strands is not None
            self._foreground += 1
            try:
                with strands.waiting():
                    code = await self._run_child(program, context, strands)
            finally:
                self._foreground -= 1
            if self._signal and not self._foreground:
                self._bash.cancel()
            return code

        return call

    async def _run_child(self, program: Program, context: CommandContext, strands: Strands) -> int:
        await self._charge()
        process = self.process
        child = process.container.adopt(
            program,
            [context.name, *context.argv],
            process,
            _exported(context.env, process.env),
            context.cwd,
            _Input(context, strands),
            _writer(context.stdout, strands),
            _writer(context.stderr, strands),
            process.terminal,
        )
        if context.name in self._becomes:
            self._replaced_by = child
        try:
            return await child.wait()
        except asyncio.CancelledError:
            child.kill(15)
            raise

    async def _charge(self) -> None:
        """A loop without waiting must not run faster than its CPU allows."""
        cpu, clock = self.process.container.cpu, self.process.clock
        now = clock.monotonic()
        self._burst = self._burst + 1 if now == self._at else 1
        self._at = now
        if self._burst < BURST_COMMANDS:
            cpu.spend(SPAWN_SECONDS)
        else:
            self._burst = 0
            await cpu.run(SPAWN_SECONDS * BURST_COMMANDS)

    async def _execute(self, text: str, voice: Voice) -> tuple[int, str | None]:
        strands = self._strands
        assert strands is not None
        errors = _Rewording(self._sink(self.process.stderr), voice)
        strands.start()
        try:
            result = await self._bash.execute(
                text, stdout=self._sink(self.process.stdout), stderr=errors.write, capture=0
            )
            await errors.flush()
        except asyncio.CancelledError:
            self._bash.cancel()
            raise
        finally:
            strands.finish()
        return result.exit_code, result.error

    def _sink(self, write: Write) -> Write:
        async def sink(data: bytes) -> None:
            assert self._strands is not None
            with self._strands.waiting():
                now = self.process.clock.monotonic()
                self._written = self._written + len(data) if now == self._written_at else len(data)
                self._written_at = now
                if self._written > BURST_BYTES:
                    self._written = 0
                    await self.process.container.cpu.run(OUTPUT_SECONDS)
                await write(data)

        return sink

    async def _complain(self, line: str) -> None:
        await self.process.err(line + "\n")

    # --- helpers that scripts call ---

    async def _stdin(self, context: CommandContext) -> int:
        """Standard input as the first command of a pipe; ends when the script does, read or not."""
        assert self._strands is not None
        reader = asyncio.ensure_future(self._pour(context))
        over = asyncio.ensure_future(self._over.wait())
        try:
            with self._strands.waiting():
                await asyncio.wait({reader, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            over.cancel()
        return 0

    async def _pour(self, context: CommandContext) -> None:
        assert self._strands is not None
        while data := await self.process.stdin.read():
            with self._strands.working():
                try:
                    await context.stdout.write(data)
                except BrokenPipeError:
                    return

    async def _note_over(self, context: CommandContext) -> int:
        """Placed after a script's text: it was reached, so nothing called exit."""
        self._status = int(context.argv[0]) if context.argv else 0
        self._over.set()
        return self._status

    @staticmethod
    async def _return_status(context: CommandContext) -> int:
        """Gives $? of the line before, which bashkit forgets between two lines."""
        return int(context.argv[0])

    # --- signals and spinning ---

    def _catch_signals(self) -> None:
        for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2"):
            if self._becomes or self._script.traps(name):
                self.process.on_signal(name, lambda name=name: self._on_signal(name))  # type: ignore[misc]

    def _on_signal(self, name: str) -> None:
        if self._replaced_by is not None and self._replaced_by.pid in self.process.container.processes:
            child = self._replaced_by
            if name in child.handlers:
                child.signal(name)
            return  # as the container's first process it would ignore what it does not handle
        if not self._script.traps(name):
            return
        self._signal = name
        if self._script.waits or not self._foreground:
            self._bash.cancel()

    async def _trapped(self, voice: Voice) -> int:
        """The script was stopped for a signal: run its trap. A trap that does not exit leaves the shell as it was."""
        traps = dict(self._bash.shell_state().traps)
        self._bash.clear_cancel()
        body = traps.get(self._signal) or traps.get("SIG" + self._signal) or ""
        number = {"HUP": 1, "INT": 2, "QUIT": 3, "USR1": 10, "USR2": 12}.get(self._signal, 15)
        self._signal = ""
        self._over.clear()
        self._becomes = frozenset()
        code, _ = await self._execute(f"{body}\n__over $?\n", voice)
        if not self._over.is_set():
            if traps.get("EXIT"):
                await self._execute(traps["EXIT"], voice)
            return code
        if self._script.waits:
            return 128 + number
        await asyncio.Event().wait()  # goes on with its loop; only KILL ends it
        return 0

    def _interrupt(self) -> None:
        if self._bash is not None:
            self._bash.cancel()
            asyncio.get_running_loop().call_soon(self._bash.clear_cancel)

    def _stuck(self) -> None:
        self._spinning = True
        self._bash.cancel()

    async def _spin(self) -> None:
        """Burn CPU until killed."""
        self.process.container.cpu.steady(self.process.pid, 1.0)
        await asyncio.Event().wait()

    # --- the prompt ---

    def _prompt_text(self) -> str:
        state = self._bash.shell_state()
        mark = "#" if self.process.user.uid == 0 else "$"
        if self.flavour == "bash":
            return f"{self.process.user.name or 'I have no name!'}@{self.process.container.sandbox.hostname}:{state.cwd}{mark} "
        return f"{mark} " if self.flavour == "dash" else f"{state.cwd} {mark} "

    def _incomplete(self, text: str) -> bool:
        try:
            self._bash.analyze(text)
        except BashError as error:
            said = str(error)
            return "unexpected end of file" in said or "unexpected EOF" in said
        return False

    def _completions(self, word: str) -> list[str]:
        directory, _, start = word.rpartition("/")
        cwd = self._bash.shell_state().cwd
        try:
            names = self.process.files.listdir(posixpath.join(cwd, directory or ("/" if word.startswith("/") else "")))
        except OSError:
            return []
        prefix = directory + "/" if "/" in word else ""
        return [prefix + name for name in names if name.startswith(start)]


async def _run_by_path(process: Process) -> int:
    """`/bin/ls` in a script: the program at that path, as exec would find it."""
    return await process.run([process.argv[0], *process.argv[1:]])


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
        self._left = b""
        said = b"".join(
            self._voice.error(line.decode(errors="surrogateescape")).encode(errors="surrogateescape") + b"\n"
            for line in lines
        )
        if rest and not rest.startswith((b"bash:", b"sh:")):
            said, rest = said + rest, b""
        self._left = rest
        if said:
            await self._write(said)

    async def flush(self) -> None:
        if self._left:
            await self.write(b"\n")


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


def _with_name(text: str, name: str) -> str:
    """bashkit has no way to set $0."""
    if "$0" not in text and "${0" not in text:
        return text
    return re.sub(r"\$0(?!\d)|\$\{0\}", lambda _: name, text)


def _exported(env: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """The environment of a command; bashkit adds USER, which no container has of itself."""
    return {name: value for name, value in env.items() if name != "USER" or "USER" in known}


BUILTINS = frozenset(
    """! . : [ [[ alias bg break builtin case cd command compgen continue coproc declare dirs disown echo else enable esac
    eval exec exit export false fc fg fi for function getopts hash help history if jobs kill let local mapfile popd
    printf pushd pwd read readarray readonly return select set shift shopt source test then time times trap true type
    typeset ulimit umask unalias unset until wait while { } sh bash ash dash nohup timeout xargs env find""".split()
)
