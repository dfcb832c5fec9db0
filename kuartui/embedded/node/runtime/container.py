"""Containers: processes over a file system, with a log, limits and an end.

A `Container` is made by `ContainerRuntime.create`, started once, and ends once; a restart is a new one. What it prints
goes to its log and to whoever is attached.
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace

from kuartui.embedded.clock import Clock
from kuartui.embedded.images.model import Program
from kuartui.embedded.network import Network
from kuartui.embedded.node.runtime import programs
from kuartui.embedded.node.runtime.files import Files, User
from kuartui.embedded.node.runtime.logs import ContainerLog
from kuartui.embedded.node.runtime.pids import numbered
from kuartui.embedded.node.runtime.process import ByteSource, NoInput, Process, Write
from kuartui.embedded.node.runtime.rootfs import CGROUP, build, cgroup, system_tree
from kuartui.embedded.node.runtime.spec import (
    IN_INIT,
    MEMORY_OF_INIT,
    NOT_CREATED,
    OUT_OF_MEMORY,
    ContainerSpec,
    CreateError,
    ExecError,
    ExecIO,
    Exit,
    Resources,
    RuntimeFailure,
    Sandbox,
    Sink,
    StartError,
    Usage,
)
from kuartui.embedded.node.runtime.terminal import Terminal
from kuartui.embedded.node.runtime.usage import CpuAccount
from kuartui.embedded.node.runtime.users import resolve_user


class State(StrEnum):
    """Of a container."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class ContainerRuntime:
    """Makes containers; one for the whole cluster."""

    def __init__(self, clock: Clock, network: Network) -> None:
        self.clock = clock
        self.network = network
        self.containers: dict[str, Container] = {}

    def create(self, spec: ContainerSpec, sandbox: Sandbox, target: Container | None = None) -> Container:
        """A container, not yet started. `target` is whose processes an ephemeral container shares.

        The pod's address must have been added to the network. Raises CreateError.
        """
        container = Container(self.clock, self.network, spec, sandbox, target)
        container.neighbours = lambda: self._neighbours(container)
        self.containers[container.id] = container
        container.on_remove = lambda: self._forget(container)
        return container

    def _neighbours(self, container: Container) -> list[Container]:
        """The containers whose processes one sees, itself included, in the order in which they were made."""
        sandbox = container.sandbox
        if sandbox.host_processes:
            return [one for one in self.containers.values() if one.sandbox.node == sandbox.node]
        if sandbox.share_processes:
            return [one for one in self.containers.values() if one.sandbox is sandbox]
        return [*([container.target] if container.target is not None else ()), container]

    def _forget(self, container: Container) -> None:
        self.containers.pop(container.id, None)


class Container:
    """One run of one container of a pod."""

    def __init__(
        self, clock: Clock, network: Network, spec: ContainerSpec, sandbox: Sandbox, target: Container | None
    ) -> None:
        if not spec.argv:
            raise CreateError("failed to generate container spec: failed to generate spec: no command specified")
        self.id = secrets.token_hex(32)
        self.clock = clock
        self.network = network
        self.spec = spec
        self.sandbox = sandbox
        self.target = target
        self.state = State.CREATED
        self.exit: Exit | None = None
        self.user: User = resolve_user(spec.image, spec.user)
        self.log = ContainerLog(clock)
        self.cpu = CpuAccount(clock, spec.resources.cpu_limit or sandbox.cores)
        self.processes: dict[int, Process] = {}
        self.created_at = clock.now()
        self.started_at: datetime | None = None
        self.on_remove: Callable[[], None] = lambda: None
        self.neighbours: Callable[[], list[Container]] = lambda: [self]
        self._resources = spec.resources
        self._last_pid = 0
        self._files: Files | None = None
        self._out_of_memory = False
        self._done = asyncio.Event()
        self._attached: set[Sink] = set()
        self._input = InputPipe() if spec.stdin else None
        self._terminal: Terminal | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ---

    async def start(self) -> None:
        """Start the first process. Raises StartError; the container is then EXITED with code 128."""
        now = self.clock.now()
        try:
            if any(mount.sub_path for mount in self.spec.mounts):
                _ = self.files  # a subPath shows what is there now, so the tree can't wait for its first use
            self._make_room()
            program, argv = self._first(list(self.spec.argv), self._environment(), self._cwd())
        except programs.NotExecutable as error:
            message = f"{NOT_CREATED}{IN_INIT}{error}"
            self._ended(Exit(128, StartError.reason, EPOCH, now, message))
            raise StartError(message) from None
        except RuntimeFailure as error:
            self._ended(Exit(128, StartError.reason, EPOCH, now, str(error)))
            raise
        self.state, self.started_at = State.RUNNING, now
        stdin: ByteSource = self._input or NoInput()
        if self.spec.tty:
            self._terminal = Terminal(self._tty_out, self._input.chunks() if self._input else None, None)
            self._terminal.start()
            stdin, out, err = self._terminal, self._terminal.write, self._terminal.write
        else:
            out, err = self._stdout, self._stderr
        process = self._process(
            argv, self._environment(), self._cwd(), self.user, stdin, out, err, self._terminal, None
        )
        if self._terminal is not None:
            self._terminal.on_interrupt = lambda: process.signal("INT")
        process.memory = self.spec.image.memory
        task = process.start(program)
        task.add_done_callback(self._first_process_ended)

    async def wait(self) -> Exit:
        """How the container ended, once it has."""
        await self._done.wait()
        assert self.exit is not None
        return self.exit

    def signal(self, name: str) -> None:
        """Send a signal (name without SIG) to the first process."""
        if 1 in self.processes:
            self.processes[1].signal(name)

    async def stop(self, grace: float, signal: str = "") -> Exit:
        """Send the stop signal, wait for `grace` seconds, then kill."""
        if self.state is State.CREATED:
            self._ended(Exit(137, "Error", self.clock.now(), self.clock.now()))
        if self.state is State.RUNNING and grace > 0:
            name = signal or self.spec.image.config.stop_signal
            self.signal(name.removeprefix("SIG"))
            try:
                async with self.clock.timeout(grace):
                    return await self.wait()
            except TimeoutError:
                pass
        self.kill()
        return await self.wait()

    def kill(self) -> None:
        """SIGKILL to everything."""
        if self.state is State.RUNNING:
            self.signal("KILL")

    def remove(self) -> None:
        """Forget the container; its log stays with whoever holds it. It must have ended."""
        self.kill()
        for task in list(self._tasks):
            task.cancel()
        self._files = None
        self.on_remove()

    # --- what others do with it ---

    async def exec(self, argv: list[str], io: ExecIO) -> int:
        """Run a command beside the first process; its exit code. Raises ExecError. Cancelling kills it."""
        if self.state is not State.RUNNING:
            raise ExecError(f'failed to create exec "{secrets.token_hex(32)}": cannot exec in a stopped container')
        env, cwd = self._environment(), self._cwd()
        if io.tty:
            env.setdefault("TERM", "xterm")
        try:
            program, argv = self._first(argv, env, cwd)
        except programs.NotExecutable as error:
            raise ExecError(
                f'failed to start exec "{secrets.token_hex(32)}": OCI runtime exec failed: exec failed: '
                f"unable to start container process: {error}"
            ) from None
        terminal = Terminal(io.stdout, io.stdin, io.resize) if io.tty else None
        if terminal is not None:
            process = self._process(argv, env, cwd, self.user, terminal, terminal.write, terminal.write, terminal, None)
            terminal.on_interrupt = lambda: process.signal("INT")
            terminal.start()
        else:
            stdin: ByteSource = IteratorSource(io.stdin) if io.stdin is not None else NoInput()
            process = self._process(argv, env, cwd, self.user, stdin, io.stdout, io.stderr or io.stdout, None, None)
        try:
            process.start(program)
            return await process.wait()
        finally:
            process.kill()
            if terminal is not None:
                terminal.stop()

    async def attach(self, io: ExecIO) -> None:
        """Join the first process' streams until the container ends."""

        async def out(data: bytes) -> None:
            await io.stdout(data)

        self._attached.add(out)
        pump = asyncio.get_running_loop().create_task(self._feed(io)) if io.stdin is not None and self._input else None
        resize = asyncio.get_running_loop().create_task(self._resize(io)) if io.resize is not None else None
        try:
            await self._done.wait()
        finally:
            self._attached.discard(out)
            for task in (pump, resize):
                if task is not None:
                    task.cancel()

    def usage(self) -> Usage:
        """CPU and memory as metrics report them."""
        return Usage(self.cpu.total(), round(self.cpu.rate() * 1e9), self._memory())

    def update(self, resources: Resources) -> None:
        """Change limits while it runs (in-place resize)."""
        self.cpu.resize(resources.cpu_limit or self.sandbox.cores)
        self._resources = resources
        if self._files is not None:
            self._files.exchange(CGROUP, cgroup(resources))
        self.check_memory()

    @property
    def limits(self) -> Resources:
        """What its control group allows it now."""
        return self._resources

    @property
    def memory(self) -> int:
        """Bytes of working set of all its processes."""
        return self._memory()

    def disk_usage(self) -> int:
        """Bytes on the node's disk: what it wrote beside its image and its volumes, and its log."""
        if self._files is None:
            return self.log.size
        written = sum(mount.volume.used() for mount in self._files.mounts if mount.volume.kind == "overlay")
        shipped = sum(len(entry.data or b"") for entry in self.spec.image.files.values())
        return max(0, written - shipped) + self.log.size

    @property
    def files(self) -> Files:
        """The container's file system, built on first use. Raises StartError if a mount is impossible."""
        if self._files is None:
            self._files = build(self.spec, self.sandbox, self.user, self.id)
            self._files.root_of = self._root_of
            self._files.exchange(CGROUP, cgroup(self._resources))
            for number, write in ((1, self._stdout), (2, self._stderr)):
                self._files.outlets[f"/proc/1/fd/{number}"] = self._outlet(self._tty_out if self.spec.tty else write)
        return self._files

    def _root_of(self, pid: int) -> Files | None:
        """The tree that /proc/PID/root shows; None if there is no such process."""
        found = numbered(self).get(pid)
        return found.container.files if found is not None else None

    def _outlet(self, write: Write) -> Callable[[bytes], None]:
        """`echo … > /proc/1/fd/1`, from any process and any thread, is output of the container."""
        loop = asyncio.get_running_loop()

        def deliver(data: bytes) -> None:
            loop.call_soon_threadsafe(self._emit, write, data)

        return deliver

    def _emit(self, write: Write, data: bytes) -> None:
        task = asyncio.ensure_future(write(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def read_file(self, path: str, limit: int = 1 << 20) -> bytes:
        """A file as root sees it, b"" if there is none: for termination messages."""
        try:
            return self.files.read(path)[:limit]
        except OSError:
            return b""

    # --- what its processes do with it ---

    def spawn(
        self,
        argv: list[str],
        *,
        parent: Process,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
        stdin: ByteSource | None = None,
        stdout: Write | None = None,
        stderr: Write | None = None,
    ) -> Process:
        """Start a child of a process. Raises programs.NotExecutable."""
        environment = dict(parent.env if env is None else env)
        directory = cwd or parent.cwd
        program, argv = self._find(argv, environment, directory)
        child = self._process(
            argv,
            environment,
            directory,
            user or parent.user,
            parent.stdin if stdin is None else stdin,
            stdout or parent.stdout,
            stderr or parent.stderr,
            parent.terminal if stdin is None else None,
            parent,
        )
        child.start(program)
        return child

    def adopt(
        self, program: Program, argv: list[str], parent: Process, env: Mapping[str, str], cwd: str,
        stdin: ByteSource, stdout: Write, stderr: Write, terminal: Terminal | None,
    ) -> Process:  # fmt: skip
        """Start a known program as a child: how the shell runs commands."""
        child = self._process(argv, env, cwd, parent.user, stdin, stdout, stderr, terminal, parent)
        child.start(program)
        return child

    def find(self, argv: list[str], process: Process) -> tuple[Program, list[str]]:
        """What a process would become by exec(2). Raises programs.NotExecutable."""
        return self._find(argv, process.env, process.cwd)

    def daemon(self, program: Program, parent: Process) -> Process:
        """Start a process that nobody waits for: it lives until the container ends."""
        process = self._process(
            parent.argv, parent.env, parent.cwd, parent.user, NoInput(), parent.stdout, parent.stderr, None, None
        )
        process.start(program)
        return process

    def fork(self, program: Program, parent: Process, user: User, pid: int = 0) -> Process:
        """Start a child that runs on in its parent's program, with a number of at least `pid`."""
        self._last_pid = max(self._last_pid, pid - 1)
        child = self._process(
            parent.argv, parent.env, parent.cwd, user, NoInput(), parent.stdout, parent.stderr, None, parent
        )
        child.start(program)
        return child

    def rooted(self, top: str) -> Container | None:
        """The same container with a directory as its root, for chroot(2): what runs there are the programs of the system
        that is installed there. None if there is none. Raises OSError."""
        real = self.files.real(top)
        if not self.files.stat(real, self.user).is_dir:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), top)
        mount, inner = self.files.mount_of(real)
        image = (
            self.spec.image if real == "/" else mount.volume.system() if mount.volume.system and inner == "/" else None
        )
        if image is None:
            return None
        spec = replace(self.spec, image=image, command=self.spec.argv, args=(), mounts=(), working_dir="/")
        inside = Container(self.clock, self.network, spec, self.sandbox, None)
        inside.cpu, inside.user = self.cpu, replace(inside.user, capabilities=self.user.capabilities)
        inside.state, inside.started_at = self.state, self.started_at
        inside.neighbours = self.neighbours
        inside._files = self.files if real == "/" else system_tree(self.files, real, spec, inside.user, self.sandbox)
        return inside

    def forget(self, process: Process) -> None:
        """A process ended."""
        self.processes.pop(process.pid, None)
        if process.parent is not None:
            process.parent.children.discard(process)

    def check_memory(self) -> None:
        """Kill everything if the limit is exceeded (memory.oom.group, as the kubelet sets it)."""
        limit = self._resources.memory_limit
        if limit is not None and self._memory() > limit and self.state is State.RUNNING:
            self._out_of_memory = True
            for process in list(self.processes.values()):
                process.kill()

    # --- inside ---

    def _memory(self) -> int:
        return sum(process.memory for process in self.processes.values())

    def _find(self, argv: list[str], env: Mapping[str, str], cwd: str) -> tuple[Program, list[str]]:
        return programs.find(self.spec, lambda: self.files, self._files, self.user, argv, env, cwd)

    def _first(self, argv: list[str], env: Mapping[str, str], cwd: str) -> tuple[Program, list[str]]:
        """What runc runs: it has begun when the kernel refuses a program."""
        try:
            return self._find(argv, env, cwd)
        except programs.NotRunnable as error:
            return error.told, argv

    def _make_room(self) -> None:
        """What runc does before it looks for the program. Raises StartError."""
        if self.spec.working_dir and not self.spec.working_dir.startswith("/"):
            raise StartError(f"{NOT_CREATED}Cwd must be an absolute path")
        limit = self._resources.memory_limit
        if limit is not None and 0 < limit <= MEMORY_OF_INIT:
            raise StartError(f"{NOT_CREATED}{OUT_OF_MEMORY}")
        if self.spec.working_dir or any(
            mount.sub_path or mount.path in self.spec.image.files for mount in self.spec.mounts
        ):
            self.files  # noqa: B018 - mounts that can fail, or copy what is there now, are made at the start

    def _cwd(self) -> str:
        return posixpath.normpath(self.spec.working_dir or self.spec.image.config.working_dir or "/")

    def _environment(self) -> dict[str, str]:
        return self.spec.environment(self.sandbox.hostname, self.user.home)

    def _process(
        self, argv: list[str], env: Mapping[str, str], cwd: str, user: User,
        stdin: ByteSource, stdout: Write, stderr: Write, terminal: Terminal | None, parent: Process | None,
    ) -> Process:  # fmt: skip
        self._last_pid += 1
        process = Process(self, self._last_pid, argv, env, cwd, user, stdin, stdout, stderr, terminal, parent)
        self.processes[process.pid] = process
        if parent is not None:
            parent.children.add(process)
        return process

    async def _stdout(self, data: bytes) -> None:
        self.log.write("stdout", data)
        await self._show(data)

    async def _stderr(self, data: bytes) -> None:
        self.log.write("stderr", data)
        await self._show(data)

    async def _tty_out(self, data: bytes) -> None:
        self.log.write("stdout", data.replace(b"\r\n", b"\n"))
        await self._show(data)

    async def _show(self, data: bytes) -> None:
        for sink in list(self._attached):
            await sink(data)

    async def _feed(self, io: ExecIO) -> None:
        assert io.stdin is not None
        assert self._input is not None
        async for data in io.stdin:
            self._input.write(data)
        if self.spec.stdin_once:
            self._input.close()

    async def _resize(self, io: ExecIO) -> None:
        assert io.resize is not None
        async for columns, rows in io.resize:
            if self._terminal is not None:
                self._terminal.columns, self._terminal.rows = columns, rows

    def _first_process_ended(self, task: asyncio.Task[int]) -> None:
        code = 137 if task.cancelled() else task.result()
        if self._out_of_memory:
            code, reason = 137, "OOMKilled"
        else:
            reason = "Completed" if code == 0 else "Error"
        for process in list(self.processes.values()):
            process.kill()
        started = self.started_at or self.clock.now()
        self._ended(Exit(code & 0xFF, reason, started, self.clock.now()))

    def _ended(self, exit_: Exit) -> None:
        if self.state is State.EXITED:
            return
        self.state, self.exit = State.EXITED, exit_
        if self._terminal is not None:
            self._terminal.stop()
        self.log.close()
        self._done.set()


EPOCH = datetime.fromtimestamp(0).astimezone()


class IteratorSource:
    """Standard input from an exec's stream."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    async def read(self, size: int = 1 << 16) -> bytes:
        """Some bytes; b"" at the end."""
        while not self._left:
            try:
                self._left = await anext(self._chunks)
            except StopAsyncIteration:
                return b""
        data, self._left = self._left[:size], self._left[size:]
        return data


class InputPipe:
    """Standard input of a container with `stdin: true`: open until closed, whoever attaches writes to it."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._left = b""
        self._closed = False

    def write(self, data: bytes) -> None:
        """Feed bytes."""
        self._chunks.put_nowait(data)

    def close(self) -> None:
        """No more will come."""
        self._chunks.put_nowait(None)

    async def read(self, size: int = 1 << 16) -> bytes:
        """Some bytes; b"" at the end."""
        if not self._left and not self._closed:
            chunk = await self._chunks.get()
            if chunk is None:
                self._closed = True
            else:
                self._left = chunk
        data, self._left = self._left[:size], self._left[size:]
        return data

    async def chunks(self) -> AsyncIterator[bytes]:
        """The same as an iterator."""
        while data := await self.read():
            yield data
