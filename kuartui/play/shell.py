"""Runs lines as a player would: the real kubectl, a home of its own, the player's credentials and no others.

kubectl spends a third of its time on asking what the cluster serves, and caches the answer. Players have that cache
after their first command, so a `Memory` gives each later home of the same level what its first one had.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from kuartui.cluster.access import read_access
from kuartui.message import later
from kuartui.paths import scratch_dir
from kuartui.play.processes import Glance, glance

COMMAND_SECONDS = 120.0  # real time that one line may take
ERROR = re.compile(r"[Ee]rror\b")  # how kubectl and the server begin what is the matter; usage may follow
STARTING = Glance(working=True, processes=frozenset(), spent=0)
FORBIDDEN = re.compile(r"\(Forbidden\)|is forbidden: ")
UNFIT = re.compile(r"[^(\w/.)]")  # client-go's overlyCautiousIllegalFileCharacters


class Memory:
    """What one run learnt and the next ones need not ask again: kubectl about clusters that serve the same, in a
    directory with one entry per `kind` of cluster; and checks about what rules allow."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.allowed: dict[Hashable, bool] = {}

    def recall(self, kind: str, home: Path, server: str) -> None:
        """Put it where kubectl looks for it."""
        if (self.place / kind).exists():
            _link_all(self.place / kind, _discovery(home, server))

    def keep(self, kind: str, home: Path, server: str) -> None:
        """Remember what a first command learnt, whole or not at all: other runs look at the same time."""
        if not (self.place / kind).exists():
            with contextlib.suppress(OSError):  # nothing was learnt, or another run was quicker
                new = shutil.copytree(_discovery(home, server), self.place / f"{kind}.{home.name}")
                new.rename(self.place / kind)


@contextlib.contextmanager
def remembering() -> Iterator[Memory]:
    """A memory for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="kuartui-memory-", dir=scratch_dir()) as place:
        yield Memory(Path(place))


def _link_all(source: Path, target: Path) -> None:
    """What is known of each group, by a link to it; which groups there are, in a file that is the run's own: one that
    makes a kind of a new group keeps that to itself."""
    target.mkdir(parents=True)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir():
                os.symlink(entry.path, target / entry.name)
            else:
                shutil.copy2(entry, target / entry.name)


def _search_path() -> Iterator[str]:
    """The directories of PATH, each once, whatever it is called (/bin is /usr/bin on most systems): kubectl reads all
    of them whenever it runs, in search of plugins."""
    seen = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        real = os.path.realpath(folder)
        if real not in seen and os.path.isdir(real):
            seen.add(real)
            yield folder


def _discovery(home: Path, server: str) -> Path:
    return home / ".kube" / "cache" / "discovery" / UNFIT.sub("_", urlsplit(server).netloc)


class Shell:
    """The player's side of one run, in the workspace. `serves` names what the cluster serves, for the memory."""

    def __init__(
        self, home: Path, kubeconfig: Path, kubectl: Path, memory: Memory, serves: str, workspace: Path
    ) -> None:
        self.home, self.workspace, self._memory, self._serves = home, workspace, memory, serves
        self._server = read_access(kubeconfig).server
        self.refused = False  # whether the cluster said that the player may not
        self._leader = 0  # the process of the line that runs
        tools = home / ".bin"
        tools.mkdir()
        memory.recall(serves, home, self._server)
        (tools / "kubectl").symlink_to(kubectl)
        self.environment = {
            "PATH": os.pathsep.join((str(tools), *_search_path())),
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "LANG": "C.UTF-8",
            "TMPDIR": str(home),
            # kubectl lives for a moment: a quarter of its time would go to collecting garbage and to waking threads
            "GOGC": "800",
            "GOMAXPROCS": "1",
            # and half of it to reading its catalogue of English messages, which say what its code says already; Korean
            # has a catalogue that is empty but for the head of `kubectl --help` (k8s.io/kubectl/pkg/util/i18n)
            "LC_MESSAGES": "ko_KR.UTF-8",
        }

    def glance(self) -> Glance | None:
        """What the processes of the line that runs do. Until there are any, there is work to do: to begin them."""
        return glance(self._leader) if self._leader else STARTING

    async def run(self, line: str) -> tuple[int, str]:
        """The exit code of a line, and what it said: its error, or else its last line."""
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            line,
            env=self.environment,
            cwd=self.workspace,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._leader = process.pid
        try:
            output, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        except TimeoutError:
            return 124, later("did not end within {seconds:g} s", seconds=COMMAND_SECONDS)
        finally:
            self._leader = 0
            if process.returncode is None:  # it would go on writing to its home, which is removed
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._memory.keep(self._serves, self.home, self._server)
        text = output.decode(errors="replace")
        self.refused = self.refused or bool(process.returncode and FORBIDDEN.search(text))
        lines = text.strip().splitlines()
        said = next((line for line in lines if ERROR.match(line)), lines[-1] if lines else "")
        return process.returncode or 0, said.strip()[:300]
