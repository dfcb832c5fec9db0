"""A minikube profile of our own, through minikube's command line: `--cluster minikube`.

`minikube start --output=json` tells its steps as CloudEvents (https://minikube.sigs.k8s.io/docs/contrib/json_output/).
It writes a context into the kubeconfig that $KUBECONFIG names: we name one in our state directory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kuartui.cluster import tool
from kuartui.cluster.access import Access, read_access
from kuartui.cluster.base import ClusterStatus, Kind, Progress, Report, silent
from kuartui.cluster.clock import Clock
from kuartui.cluster.shared import SharedCluster
from kuartui.errors import ClusterError, KuartuiError
from kuartui.paths import private_dir

INSTALL = "install minikube: https://minikube.sigs.k8s.io/docs/start/"
START_SECONDS = 900.0
ADDONS = ("metrics-server", "ingress")
STEP = "io.k8s.sigs.minikube.step"
ERROR = "io.k8s.sigs.minikube.error"


class MinikubeCluster(SharedCluster):
    """`driver` is docker, podman, kvm2 …; minikube's choice when empty."""

    kind: Kind = "minikube"

    def __init__(
        self, name: str, *, driver: str = "", version: str = "", nodes: int = 2, clock: Clock | None = None
    ) -> None:
        super().__init__(name, clock=clock)
        self._driver, self._version, self._nodes = driver, version, nodes

    @property
    def kubeconfig(self) -> Path:
        return self.folder / f"{self.name}.kubeconfig"

    def access(self) -> Access:
        return read_access(self.kubeconfig, self.name)

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

    async def state(self) -> str:
        """absent, Running, Paused, Stopped … as `minikube profile list` calls it."""
        program = tool.need("minikube", INSTALL)
        listed = await tool.run([program, "profile", "list", "--output=json"], what="listing the minikube profiles")
        try:
            found = json.loads(listed[listed.index("{") :])
        except ValueError as error:
            raise ClusterError("minikube profile list answered something that is not JSON") from error
        for item in [*(found.get("valid") or []), *(found.get("invalid") or [])]:
            if item.get("Name") == self.name:
                return str(item.get("Status") or "broken")
        return "absent"

    async def up(self, report: Report = silent) -> None:
        state = await self.state()
        if state == "Paused":
            await self._minikube("unpause", what="waking the paused minikube profile")
        if state not in ("Running", "OK", "Paused") or not self.kubeconfig.is_file():
            await self._start(report, fresh=state == "absent")
        await super().up(report)

    async def _start(self, report: Report, *, fresh: bool) -> None:
        options = [f"--nodes={self._nodes}", "--cni=calico"] if fresh else []
        options += [f"--driver={self._driver}"] if self._driver else []
        options += [f"--kubernetes-version={self._version}"] if self._version else []
        try:
            await self._minikube(
                "start",
                "--output=json",
                *options,
                what="starting the minikube profile",
                report=report,
                timeout=START_SECONDS,
            )
        except BaseException:
            if fresh:
                report(Progress("removing what is there of the profile"))
                await self._delete()
            raise

    async def _delete(self) -> None:
        try:
            await self._minikube("delete", what="deleting the minikube profile", timeout=180.0)
        except KuartuiError:  # what went wrong before is what the player has to know
            return
        finally:
            self.kubeconfig.unlink(missing_ok=True)

    async def addon(self, name: str, report: Report = silent) -> None:
        """Switch one of minikube's own add-ons on."""
        report(Progress(f"enabling {name}"))
        await self._minikube("addons", "enable", name, what=f"enabling minikube's {name}", timeout=300.0)

    async def down(self, report: Report = silent) -> None:
        """Delete the profile."""
        report(Progress(f"deleting minikube profile {self.name}"))
        if await self.state() != "absent":
            await self._delete()
            if await self.state() != "absent":
                hint = f"minikube delete --profile {self.name}"
                raise ClusterError(f"minikube profile {self.name} is still there", hint=hint)

    async def reset(self, report: Report = silent) -> None:
        """A new profile of the same name."""
        await self.down(report)
        self._capabilities = None
        await self.up(report)

    async def status(self) -> ClusterStatus:
        try:
            state = await self.state()
        except KuartuiError as error:
            return ClusterStatus("broken", error.message)
        if state == "absent":
            return ClusterStatus("absent")
        if state not in ("Running", "OK"):
            return ClusterStatus("stopped", f"minikube says {state}; kuartui cluster up --cluster minikube wakes it")
        return await super().status()


def event_of(line: str) -> dict[str, Any]:
    """A CloudEvent of minikube's output; empty for other lines."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and isinstance(event.get("data"), dict) else {}
