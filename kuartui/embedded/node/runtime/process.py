"""A running program in a container: what an image program may ask and do.

A process is an asyncio task. It has argv, environment, working directory, user, streams, listening sockets, memory and
children, and it dies of signals by Linux' rules: a container's first process ignores every signal that it has no
handler for, except KILL.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import Handler, Host, Listener, Network, Stream
from kuartui.embedded.node.runtime.files import Files, User

if TYPE_CHECKING:
    from kuartui.embedded.images.model import Program
    from kuartui.embedded.node.runtime.container import Container
    from kuartui.embedded.node.runtime.terminal import Terminal

log = logging.getLogger(__name__)

Write = Callable[[bytes], Awaitable[None]]
SIGNAL_NUMBERS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15}
IGNORED = frozenset({"CHLD", "WINCH", "URG", "CONT"})


class ByteSource(Protocol):
    """Standard input."""

    async def read(self, size: int = 1 << 16) -> bytes:
        """Some bytes; b"" at the end."""
        ...


class NoInput:
    """/dev/null."""

    async def read(self, size: int = 1 << 16) -> bytes:
        """The end."""
        return b""


class ProcessExit(Exception):
    """Raised by a program to end with a code from deep inside."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Process:
    """One process. Programs get it as their only argument and return the exit code."""

    def __init__(
        self,
        container: Container,
        pid: int,
        argv: list[str],
        env: Mapping[str, str],
        cwd: str,
        user: User,
        stdin: ByteSource,
        stdout: Write,
        stderr: Write,
        terminal: Terminal | None = None,
        parent: Process | None = None,
    ) -> None:
        self.container = container
        self.pid = pid
        self.argv = argv
        self.title = ""  # what ps shows instead of the arguments, for programs that write over them
        self.env = dict(env)
        self.cwd = cwd
        self.user = user
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.terminal = terminal
        self.parent = parent
        self.started = container.clock.monotonic()
        self.children: set[Process] = set()
        self.replaced_by: Process | None = None  # what a shell became by exec: it goes by the shell's number
        self.handlers: dict[str, Callable[[], None]] = {}
        self._listeners: list[Listener] = []
        self._streams: set[Stream] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._memory = 0
        self._killed_by = 0
        self._task: asyncio.Task[int] | None = None

    # --- the world ---

    @property
    def clock(self) -> Clock:
        """The cluster's clock."""
        return self.container.clock

    @property
    def network(self) -> Network:
        """The cluster's network; mostly `listen` and `connect` are enough."""
        return self.container.network

    @property
    def ip(self) -> str:
        """The pod's address."""
        return self.container.sandbox.ip

    @property
    def host(self) -> Host | None:
        """The pod's network namespace."""
        return self.container.network.host(self.ip)

    @property
    def files(self) -> Files:
        """The container's file system."""
        return self.container.files

    def path(self, name: str) -> str:
        """An absolute path for a name relative to the working directory."""
        return posixpath.normpath(posixpath.join(self.cwd, name)) if name else self.cwd

    def read(self, name: str) -> bytes:
        """A file, as this process' user."""
        return self.files.read(self.path(name), self.user)

    async def out(self, text: str) -> None:
        """Print to stdout."""
        await self.stdout(text.encode())

    async def err(self, text: str) -> None:
        """Print to stderr."""
        await self.stderr(text.encode())

    # --- the network ---

    def listen(self, port: int, handler: Handler, protocol: str = "TCP", bind: str = "0.0.0.0") -> Listener:
        """Listen until the process ends; low ports need no right, as containerd sets it. Raises OSError (EADDRINUSE)."""
        listener = self.network.listen(self.ip, port, handler, protocol, bind)
        self._listeners.append(listener)
        return listener

    async def resolve(self, name: str) -> list[str]:
        """Addresses of a name, as the image's C library finds them. Raises NameNotResolved."""
        return await self.network.resolve(self.ip, name, musl=self._has_musl)

    @property
    def _has_musl(self) -> bool:
        return self.container.spec.image.distribution == "alpine"

    async def connect(self, host: str, port: int, protocol: str = "TCP", seconds: float = 127.0) -> Stream:
        """Connect from the pod; see `Network.connect`."""
        stream = await self.network.connect(self.ip, host, port, protocol, seconds, musl=self._has_musl)
        self._streams.add(stream)
        stream.on_close(self._streams.discard)
        return stream

    # --- resources ---

    @property
    def memory(self) -> int:
        """Bytes of working set."""
        return self._memory

    @memory.setter
    def memory(self, size: int) -> None:
        self._hold(size)
        self.container.check_memory()

    def _hold(self, size: int) -> None:
        self.container.sandbox.meter.held += size - self._memory
        self._memory = size

    async def compute(self, seconds: float) -> None:
        """Use CPU time; takes longer under a CPU limit or when others compute too."""
        await self.container.cpu.run(seconds)

    # --- life ---

    def on_signal(self, name: str, handler: Callable[[], None]) -> None:
        """Handle a signal (name without SIG)."""
        self.handlers[name] = handler

    def signals(self, *names: str) -> asyncio.Queue[str]:
        """Handle signals by getting their names from a queue."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        for name in names:
            self.on_signal(name, lambda name=name: queue.put_nowait(name))  # type: ignore[misc]
        return queue

    def signal(self, name: str) -> None:
        """Deliver a signal."""
        if name == "KILL":
            self.kill()
        elif name in self.handlers:
            self.handlers[name]()
        elif self.pid != 1 and name not in IGNORED:
            self.kill(SIGNAL_NUMBERS.get(name, 15))

    def kill(self, number: int = 9) -> None:
        """End at once."""
        if self._task is not None and not self._task.done() and not self._killed_by:
            self._killed_by = number
            self._task.cancel()

    def background(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run something beside the program; it ends with the process."""
        task = asyncio.ensure_future(_forgiving(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start(self, program: Program) -> asyncio.Task[int]:
        """Run a program as this process."""
        self._task = asyncio.get_running_loop().create_task(self._run(program))
        return self._task

    async def _run(self, program: Program) -> int:
        try:
            return await program(self)
        except ProcessExit as exit_:
            return exit_.code
        except BrokenPipeError:
            return 128 + SIGNAL_NUMBERS["PIPE"]
        except asyncio.CancelledError:
            if not self._killed_by:
                raise
            return 128 + self._killed_by
        except Exception:  # a bug in an image program must look like a crash, not stop the node
            log.exception("program %s of image %s failed", self.argv, self.container.spec.image.repository)
            return 134
        finally:
            self._cleanup()

    def _cleanup(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for stream in list(self._streams):
            stream.close()
        for task in list(self._tasks):
            task.cancel()
        for child in list(self.children):
            child.kill()
        self.container.cpu.steady(self.pid, 0.0)
        self._hold(0)
        self.container.forget(self)

    def detach(self, program: Program) -> Process:
        """Go to the background, as daemons do: the program goes on in a process of its own."""
        return self.container.daemon(program, self)

    async def run(self, argv: list[str], **changes: object) -> int:
        """Run a command as a child, with this process' streams unless changed; its exit code."""
        child = self.container.spawn(argv, parent=self, **changes)  # type: ignore[arg-type]
        try:
            return await child.wait()
        except asyncio.CancelledError:
            child.kill()
            raise

    async def wait(self) -> int:
        """The exit code, once the process ended."""
        if self._task is None:
            raise RuntimeError("not started")
        return await asyncio.shield(self._task)


async def _forgiving(work: Awaitable[None]) -> None:
    try:
        await work
    except OSError:
        pass
