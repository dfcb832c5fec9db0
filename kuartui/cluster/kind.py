"""A kind cluster of our own, through kind's command line: `--cluster kind`.

Its kubeconfig is written into our state directory (`--kubeconfig`), never into the player's. What kind says while it
works is what the player sees. A cluster that did not come up whole is removed again.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from kuartui.cluster import tool
from kuartui.cluster.addons import manifest
from kuartui.cluster.base import Kind, Progress, Report, silent
from kuartui.cluster.clock import Clock
from kuartui.cluster.engine import Engine
from kuartui.cluster.local import Life, LocalCluster, version_of
from kuartui.cluster.machines import KindMachines
from kuartui.cluster.versions import KIND
from kuartui.message import later

INSTALL = later("install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation")
NODE_IMAGE = "kindest/node"
CREATE_SECONDS = 900.0  # a node image is several hundred MiB
DELETE_SECONDS = 180.0
LOAD_SECONDS = 600.0
READY = "180s"
LABEL = "io.x-k8s.kind.cluster"  # on each node's container

#: kind's words for its steps (pkg/cluster/internal/create), in order
STEPS = (
    "Ensuring node image",
    "Preparing nodes",
    "Writing configuration",
    "Starting control-plane",
    "Installing CNI",
    "Installing StorageClass",
    "Joining worker nodes",
    "Waiting",
)


class KindCluster(LocalCluster):
    """`image`, or the `version` of Kubernetes (1.36.2) for kind's own image; `provider` is docker, podman or ""."""

    kind: Kind = "kind"
    noun = "kind cluster"

    def __init__(
        self, name: str, *, image: str = "", version: str = "", provider: str = "", clock: Clock | None = None
    ) -> None:
        super().__init__(name, clock=clock)
        made = self.made_with()
        self._image = image or (f"{NODE_IMAGE}:v{version.removeprefix('v')}" if version else made.get("image", ""))
        # kind would look for the cluster with its own choice of an engine only
        self._provider = provider or made.get("provider", "")
        self.engine = Engine(self._provider or ("docker" if shutil.which("docker") else "podman"))

    @property
    def context(self) -> str:
        return f"kind-{self.name}"

    @property
    def delete_command(self) -> str:
        return f"kind delete cluster --name {self.name}"

    async def _kind(self, *arguments: str, what: str, report: Report = silent, timeout: float = 60.0) -> str:
        program = tool.need("kind", INSTALL)
        told: list[Progress] = []

        def hear(line: str) -> None:  # each step has a line when it begins and one when it is over
            progress = step_of(line)
            if progress is not None and progress not in told:
                told.append(progress)
                report(progress)

        return await tool.run(
            [program, *arguments],
            what=what,
            on_line=hear,
            environment={"KIND_EXPERIMENTAL_PROVIDER": self._provider} if self._provider else {},
            timeout=timeout,
        )

    async def check_tool(self) -> None:
        KIND.need(await version_of("kind", ["version", "--quiet"], INSTALL))

    async def life(self) -> tuple[Life, str]:
        """kind says "No kind clusters found." on standard error when there is none, and nothing of whether nodes run;
        the engine does."""
        listed = await self._kind("get", "clusters", what=later("listing the kind clusters"))
        if self.name not in listed.split():
            return "absent", ""
        states, off = await self._nodes(), self.machines.off()
        idle = {state for name, state in states.items() if state != "running" and name not in off}
        return ("stopped", f"nodes are {', '.join(sorted(idle))}") if idle else ("running", "")

    @property
    def machines(self) -> KindMachines:
        return KindMachines(self._machines_record, self._run_engine, self._nodes, self.name)

    async def _run_engine(self, *arguments: str, what: str, timeout: float = 60.0) -> str:
        program = tool.need(self.engine.program, f"kind needs {self.engine.program}")
        return await tool.run([program, *arguments], what=what, timeout=timeout)

    async def _nodes(self) -> dict[str, str]:
        """The node containers and their states: running, exited, paused, created …"""
        command = ["ps", "--all", "--filter", f"label={LABEL}={self.name}", "--format", "{{.Names}} {{.State}}"]
        said = await self._run_engine(*command, what=later("listing the nodes of kind cluster {name}", name=self.name))
        pairs = [line.split() for line in said.splitlines() if len(line.split()) == 2]
        return {name: state.lower() for name, state in pairs}

    async def _wake(self, word: str, report: Report) -> None:
        """kind has no command for it; its documentation says to start the containers."""
        what = later("starting the nodes of kind cluster {name}", name=self.name)
        report(Progress(what))
        nodes, off = await self._nodes(), self.machines.off()
        for verb, state in (("unpause", "paused"), ("start", "")):
            chosen = [
                name
                for name, now in nodes.items()
                if name not in off and (now == state if state else now not in ("running", "paused"))
            ]
            if chosen:
                await self._run_engine(verb, *chosen, what=what, timeout=DELETE_SECONDS)

    async def _make(self, report: Report) -> None:
        self.remember(image=self._image, provider=self._provider)
        place = ["--config", str(manifest("kind/cluster.yaml")), "--kubeconfig", str(self.kubeconfig), "--wait", READY]
        await self._kind(
            *("create", "cluster", "--name", self.name, *place, *(["--image", self._image] if self._image else [])),
            what=later("creating the kind cluster"),
            report=report,
            timeout=CREATE_SECONDS,
        )

    async def _fetch_kubeconfig(self) -> None:
        place = str(self.kubeconfig)
        await self._kind(
            "export",
            "kubeconfig",
            "--name",
            self.name,
            "--kubeconfig",
            place,
            what=later("asking kind for a kubeconfig"),
        )

    async def _remove(self) -> None:
        place = str(self.kubeconfig)
        await self._kind(
            *("delete", "cluster", "--name", self.name, "--kubeconfig", place),
            what=later("deleting the kind cluster"),
            timeout=DELETE_SECONDS,
        )

    async def load(self, archive: Path, report: Report = silent) -> None:
        report(Progress(later("loading {file} into {name}", file=archive.name, name=self.name)))
        await self._kind(
            *("load", "image-archive", str(archive), "--name", self.name),
            what=later("loading images into kind"),
            timeout=LOAD_SECONDS,
        )


def step_of(line: str) -> Progress | None:
    """What a line of kind's output tells of the progress; None for other lines."""
    text = re.sub(r"^[^A-Za-z]*", "", tool.plain(line))
    for number, words in enumerate(STEPS, 1):
        if text.startswith(words):
            return Progress(text.rstrip(" .").replace("\u2026", ""), number, len(STEPS))
    return None
