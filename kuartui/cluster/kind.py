"""A kind cluster of our own, through kind's command line: `--cluster kind`.

Its kubeconfig is written into our state directory (`--kubeconfig`), never into the player's. What kind says while it
works is what the player sees. A cluster that did not come up whole is removed again.
"""

from __future__ import annotations

import re
from pathlib import Path

from kuartui.cluster import tool
from kuartui.cluster.access import Access, read_access
from kuartui.cluster.base import ClusterStatus, Kind, Progress, Report, silent
from kuartui.cluster.clock import Clock
from kuartui.cluster.shared import SharedCluster
from kuartui.errors import ClusterError, KuartuiError
from kuartui.paths import private_dir

INSTALL = "install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
NODE_IMAGE = "kindest/node"
CREATE_SECONDS = 900.0  # a node image is several hundred MiB
READY = "180s"

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


class KindCluster(SharedCluster):
    """`image`, or the `version` of Kubernetes (1.36.2) for kind's own image; `provider` is docker, podman or ""."""

    kind: Kind = "kind"

    def __init__(
        self, name: str, *, image: str = "", version: str = "", provider: str = "", clock: Clock | None = None
    ) -> None:
        super().__init__(name, clock=clock)
        self._image = image or (f"{NODE_IMAGE}:v{version.removeprefix('v')}" if version else "")
        self._provider = provider

    @property
    def kubeconfig(self) -> Path:
        return self.folder / f"{self.name}.kubeconfig"

    def access(self) -> Access:
        return read_access(self.kubeconfig)

    @property
    def _environment(self) -> dict[str, str]:
        return {"KIND_EXPERIMENTAL_PROVIDER": self._provider} if self._provider else {}

    async def _kind(self, *arguments: str, what: str, report: Report = silent, timeout: float = 60.0) -> str:
        program = tool.need("kind", INSTALL)
        return await tool.run(
            [program, *arguments],
            what=what,
            on_line=lambda line: _tell(line, report),
            environment=self._environment,
            timeout=timeout,
        )

    async def exists(self) -> bool:
        """kind says "No kind clusters found." on standard error when there is none."""
        listed = await self._kind("get", "clusters", what="listing the kind clusters")
        return self.name in listed.split()

    async def up(self, report: Report = silent) -> None:
        if not await self.exists():
            await self._create(report)
        elif not self.kubeconfig.is_file():
            await self._export()
        await super().up(report)

    async def _create(self, report: Report) -> None:
        private_dir(self.folder)
        options = ["--image", self._image] if self._image else []
        config = configuration()
        try:
            await self._kind(
                "create",
                "cluster",
                "--name",
                self.name,
                "--config",
                str(config),
                "--kubeconfig",
                str(self.kubeconfig),
                "--wait",
                READY,
                *options,
                what="creating the kind cluster",
                report=report,
                timeout=CREATE_SECONDS,
            )
        except BaseException:
            report(Progress("removing what is there of the cluster"))
            await self._delete()
            raise

    async def _export(self) -> None:
        private_dir(self.folder)
        place = str(self.kubeconfig)
        await self._kind(
            "export", "kubeconfig", "--name", self.name, "--kubeconfig", place, what="asking kind for a kubeconfig"
        )

    async def _delete(self) -> None:
        try:
            place = str(self.kubeconfig)
            await self._kind(
                "delete",
                "cluster",
                "--name",
                self.name,
                "--kubeconfig",
                place,
                what="deleting the kind cluster",
                timeout=180.0,
            )
        except KuartuiError:  # what went wrong before is what the player has to know
            return
        finally:
            self.kubeconfig.unlink(missing_ok=True)

    async def down(self, report: Report = silent) -> None:
        """Delete the cluster."""
        report(Progress(f"deleting kind cluster {self.name}"))
        if await self.exists():
            await self._delete()
            if await self.exists():
                raise ClusterError(
                    f"kind cluster {self.name} is still there", hint=f"kind delete cluster -n {self.name}"
                )

    async def reset(self, report: Report = silent) -> None:
        """A new cluster of the same name."""
        await self.down(report)
        self._capabilities = None
        await self.up(report)

    async def status(self) -> ClusterStatus:
        try:
            there = await self.exists()
        except KuartuiError as error:
            return ClusterStatus("broken", error.message)
        return await super().status() if there else ClusterStatus("absent")

    async def load(self, archive: Path, report: Report = silent) -> None:
        """Give all nodes the images of a `docker save` archive."""
        report(Progress(f"loading {archive.name} into {self.name}"))
        await self._kind(
            "load", "image-archive", str(archive), "--name", self.name, what="loading images into kind", timeout=600.0
        )


def configuration() -> Path:
    """The file of our cluster's nodes, in the source tree or in the installed package."""
    package = Path(__file__).parents[1]
    for base in (package, package.parent):
        if (place := base / "manifests" / "kind" / "cluster.yaml").is_file():
            return place
    raise ClusterError("manifests/kind/cluster.yaml is missing from this installation", hint="install kuartui anew")


def step_of(line: str) -> Progress | None:
    """What a line of kind's output tells of the progress; None for other lines."""
    text = re.sub(r"^[^A-Za-z]*", "", tool.plain(line))
    for number, words in enumerate(STEPS, 1):
        if text.startswith(words):
            return Progress(text.rstrip(" .").replace("\u2026", ""), number, len(STEPS))
    return None


def _tell(line: str, report: Report) -> None:
    progress = step_of(line)
    if progress is not None:
        report(progress)
