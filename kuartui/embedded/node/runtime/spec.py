"""What a kubelet tells the runtime, and what it hears back. The names are those of CRI where CRI has one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime

from msgspec import Struct, field

from kuartui.embedded.images.model import Image
from kuartui.embedded.node.runtime.capabilities import DEFAULT
from kuartui.embedded.node.runtime.volumes import Volume

Sink = Callable[[bytes], Awaitable[None]]

SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15}
SIGNAL_NAMES = {number: name for name, number in SIGNALS.items()}


NOT_CREATED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
)
IN_INIT = "unable to start container process: error during container init: "
OUT_OF_MEMORY = "unable to start container process: container init was OOM-killed (memory limit too low?)"
MEMORY_OF_INIT = 3 << 20  # with less runc's own process does not live until the container's begins


class RuntimeFailure(Exception):
    """Something that the kubelet reports in a pod's status or event, in the runtime's words."""


class CreateError(RuntimeFailure):
    """CreateContainerError: the runtime could not make the container."""


class StartError(RuntimeFailure):
    """RunContainerError: the container was made, its first process could not start. Terminated with `exit_code`."""

    exit_code = 128
    reason = "StartError"


class ExecError(RuntimeFailure):
    """An exec that could not start; what CRI reports after `failed to exec in container: `."""


class Mount(Struct, frozen=True):
    """A volume at a path. A `sub_path` that names a file is copied once, at start, as the kubelet's bind mount is."""

    path: str
    volume: Volume
    sub_path: str = ""
    read_only: bool = False
    source: str = ""  # on the node, for messages


class Credentials(Struct, frozen=True):
    """Ids from the security context; None leaves what the image says."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()  # supplementalGroups and fsGroup
    capabilities: frozenset[str] = DEFAULT
    no_new_privileges: bool = False
    image_groups: bool = True  # what the image's /etc/group says counts too (supplementalGroupsPolicy: Merge)


class Resources(Struct, frozen=True):
    """Cores and bytes; None is no limit."""

    cpu_limit: float | None = None
    memory_limit: int | None = None


class MemoryMeter(Struct):
    """Bytes that all processes of a node hold, kept up to date by them: nobody has to add them up."""

    held: int = 0


class Sandbox(Struct):
    """What the containers of a pod share: the network namespace, host name and name resolution files."""

    namespace: str
    name: str
    uid: str
    ip: str
    hostname: str
    node: str = ""
    host_ip: str = ""
    hosts: str = ""  # text of /etc/hosts
    resolv_conf: str = ""
    cores: float = 4.0  # of the node: what a container without limit can use
    node_memory: int = 8 << 30
    meter: MemoryMeter = field(default_factory=MemoryMeter)  # of the node
    share_processes: bool = False  # shareProcessNamespace
    host_processes: bool = False  # hostPID
    host_network: bool = False
    host_users: bool = True  # no user namespace of the pod's own
    sysctls: Mapping[str, str] = field(default_factory=dict)  # /proc/sys, by dotted name


class ContainerSpec(Struct, frozen=True):
    """One container to be."""

    name: str
    image: Image
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    mounts: tuple[Mount, ...] = ()
    user: Credentials = Credentials()
    resources: Resources = Resources()
    read_only_root: bool = False
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    termination_message_path: str = "/dev/termination-log"

    def environment(self, hostname: str, home: str) -> dict[str, str]:
        """What the first process finds: the image's variables, the runtime's, those of the pod, and HOME if none says it."""
        terminal = {"TERM": "xterm"} if self.tty else {}
        own = dict(self.image.config.env)
        path = {"PATH": own["PATH"]} if "PATH" in own else {}
        found = {**path, "HOSTNAME": hostname, **own, **terminal, **self.env}  # in containerd's order
        found.setdefault("HOME", home)
        return found

    @property
    def argv(self) -> tuple[str, ...]:
        """command replaces ENTRYPOINT and CMD, args replaces CMD."""
        config = self.image.config
        if self.command:
            return self.command + self.args
        return config.entrypoint + (self.args or config.cmd)


class Exit(Struct, frozen=True):
    """How a container ended. `reason` is the kubelet's: Completed, Error, OOMKilled or StartError."""

    code: int
    reason: str
    started_at: datetime
    finished_at: datetime
    message: str = ""

    @property
    def signal(self) -> int:
        """CRI reports none; kubectl shows the code only."""
        return 0


class Usage(Struct, frozen=True):
    """What a container uses: cumulative CPU, its rate over the last window, and working set."""

    cpu_seconds: float
    cpu_nanocores: int
    memory_bytes: int


class ExecIO(Struct):
    """The streams of an exec or attach. With tty everything goes to `stdout`."""

    stdout: Sink
    stderr: Sink | None = None
    stdin: AsyncIterator[bytes] | None = None
    tty: bool = False
    resize: AsyncIterator[tuple[int, int]] | None = None  # columns, rows


class Capture:
    """A sink that keeps what it gets: for probes, hooks and tests."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self._data = bytearray()
        self._limit = limit

    async def write(self, data: bytes) -> None:
        """Keep up to the limit, drop the rest."""
        self._data += data[: self._limit - len(self._data)]

    @property
    def text(self) -> str:
        """What was written, as text."""
        return self._data.decode(errors="replace")

    def io(self) -> ExecIO:
        """Streams that end here, stdout and stderr together."""
        return ExecIO(self.write, self.write)


async def once(data: bytes) -> AsyncIterator[bytes]:
    """Standard input with known content."""
    yield data
    await asyncio.sleep(0)
