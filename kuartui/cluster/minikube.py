"""A minikube profile of our own, through minikube's command line: `--cluster minikube`.

`minikube start --output=json` tells its steps as CloudEvents (https://minikube.sigs.k8s.io/docs/contrib/json_output/).
It writes a context into the kubeconfig that $KUBECONFIG names: we name one in our state directory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kuartui.cluster import addons, tool
from kuartui.cluster.base import Kind, Progress, Report, silent
from kuartui.cluster.clock import Clock
from kuartui.cluster.engine import Engine
from kuartui.cluster.local import Life, LocalCluster, version_of
from kuartui.cluster.machines import MinikubeMachines
from kuartui.cluster.versions import MINIKUBE
from kuartui.errors import ClusterError
from kuartui.message import later
from kuartui.paths import private_dir

INSTALL = later("install minikube: https://minikube.sigs.k8s.io/docs/start/")
START_SECONDS = 900.0
LOAD_SECONDS = 600.0
ADDON_SECONDS = 300.0
#: volumes on the node of the pod that asks. Those of minikube's usual class are made on its first node, wherever
#: the pod is, and a pod that moves finds another folder (kubernetes/minikube#12165)
STORAGE = "storage-provisioner-rancher"
STEP = "io.k8s.sigs.minikube.step"
ERROR = "io.k8s.sigs.minikube.error"
RUNNING = ("Running", "OK")
ASLEEP = ("Stopped", "Paused")  # all of it; with one node off it is OK, Stopping or Degraded, by the version


class MinikubeCluster(LocalCluster):
    """`driver` is docker, podman, kvm2 …; minikube's choice when empty."""

    kind: Kind = "minikube"
    noun = "minikube profile"

    def __init__(
        self, name: str, *, driver: str = "", version: str = "", nodes: int = 3, clock: Clock | None = None
    ) -> None:
        super().__init__(name, clock=clock)
        made = self.made_with()
        self._driver, self._version = driver or made.get("driver", ""), version or made.get("version", "")
        self._nodes = nodes
        self.engine = Engine("podman" if self._driver == "podman" else "docker")

    @property
    def delete_command(self) -> str:
        return f"minikube delete --profile {self.name}"

    async def _minikube(self, *arguments: str, what: str, report: Report = silent, timeout: float = 60.0) -> str:
        program = tool.need("minikube", INSTALL)
        private_dir(self.folder)
        failure: list[str] = []

        def hear(line: str) -> None:
            event = event_of(line)
            if event.get("type") == STEP:
                data = event["data"]
                report(Progress(data["name"], int(data["currentstep"]), int(data["totalsteps"])))
            elif event.get("type") == ERROR:
                failure.append(str(event["data"].get("message", "")))

        command = [program, *arguments, "--profile", self.name]
        try:
            environment = {"KUBECONFIG": str(self.kubeconfig)}
            return await tool.run(command, what=what, on_line=hear, environment=environment, timeout=timeout)
        except ClusterError as error:
            if not failure:
                raise
            raise tool.explain(what, [line for text in failure for line in text.splitlines()], 1) from error

    @property
    def machines(self) -> MinikubeMachines:
        return MinikubeMachines(self._machines_record, self._minikube)

    async def check_tool(self) -> None:
        MINIKUBE.need(await version_of("minikube", ["version", "--short"], INSTALL))

    async def life(self) -> tuple[Life, str]:
        """By the status that `minikube profile list` shows: Running, OK, Paused, Stopped, Degraded, Unknown …"""
        program = tool.need("minikube", INSTALL)
        listed = await tool.run(
            [program, "profile", "list", "--output=json"], what=later("listing the minikube profiles")
        )
        try:
            found = json.loads(listed[listed.index("{") :])
        except ValueError as error:
            raise ClusterError(later("minikube profile list answered something that is not JSON")) from error
        for item in [*(found.get("valid") or []), *(found.get("invalid") or [])]:
            if item.get("Name") == self.name:
                status = str(item.get("Status") or "broken")
                running = status in RUNNING or (bool(self.machines.off()) and status not in ASLEEP)
                return ("running" if running else "stopped"), status
        return "absent", ""

    async def _make(self, report: Report) -> None:
        options = [f"--nodes={self._nodes}", "--cni=calico"]
        options += [f"--driver={self._driver}"] if self._driver else []
        options += [f"--kubernetes-version={self._version}"] if self._version else []
        self.remember(driver=self._driver, version=self._version)
        await self._start(report, *options)
        await self._addon("disable", "default-storageclass", later("putting minikube's storage aside"))
        await self._enable(STORAGE, report)

    async def _wake(self, word: str, report: Report) -> None:
        if word == "Paused":
            await self._minikube("unpause", what=later("waking the paused minikube profile"))
        else:
            await self._start(report)

    async def _fetch_kubeconfig(self) -> None:
        """Starting what runs changes nothing but writes its context anew."""
        await self._start(silent)

    async def _start(self, report: Report, *options: str) -> None:
        what = later("starting the minikube profile")
        await self._minikube("start", "--output=json", *options, what=what, report=report, timeout=START_SECONDS)

    async def _remove(self) -> None:
        await self._minikube("delete", what=later("deleting the minikube profile"), timeout=180.0)

    async def enable(self, addon: addons.Addon, report: Report) -> None:
        """Minikube's own add-on where it has one."""
        if not addon.minikube:
            await super().enable(addon, report)
            return
        await self._enable(addon.minikube, report)

    async def _enable(self, addon: str, report: Report) -> None:
        what = later("enabling minikube's {addon}", addon=addon)
        report(Progress(what))
        await self._addon("enable", addon, what)

    async def _addon(self, verb: str, addon: str, what: str) -> None:
        await self._minikube("addons", verb, addon, what=what, timeout=ADDON_SECONDS)

    def images_of(self, addon: addons.Addon) -> tuple[str, ...]:
        """Minikube's own add-ons come with images of their own."""
        return () if addon.minikube else addon.images

    async def load(self, archive: Path, report: Report = silent) -> None:
        report(Progress(later("loading {file} into {name}", file=archive.name, name=self.name)))
        what = later("loading images into minikube")
        await self._minikube("image", "load", str(archive), what=what, timeout=LOAD_SECONDS)


def event_of(line: str) -> dict[str, Any]:
    """A CloudEvent of minikube's output; empty for other lines."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and isinstance(event.get("data"), dict) else {}
