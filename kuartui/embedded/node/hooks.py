"""Lifecycle hooks: postStart and preStop, after pkg/kubelet/lifecycle/handlers.go."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import Network
from kuartui.embedded.node.probes.handlers import PortError, http_target
from kuartui.embedded.node.probes.http import RequestError, get
from kuartui.embedded.node.runtime import Capture, Container, ExecError
from kuartui.embedded.node.wording import go_list, pod_ref, quoted

Obj = dict[str, Any]

HTTP_SECONDS = 30.0


class HookFailed(Exception):
    """A hook failed; the text tells the details."""


class HookRunner(Struct, frozen=True):
    """Runs hooks from one node."""

    clock: Clock
    network: Network
    node_ip: str

    async def run(self, handler: Obj, pod: Obj, spec: Obj, container: Container, pod_ip: str) -> None:
        """Run a LifecycleHandler to its end. Raises HookFailed."""
        if "exec" in handler:
            await self._exec(handler["exec"].get("command") or [], pod, spec, container)
        elif "httpGet" in handler:
            await self._http(handler["httpGet"], pod, spec, pod_ip)
        elif "sleep" in handler:
            await self.clock.sleep(float(handler["sleep"]["seconds"]))
        else:
            raise HookFailed("invalid handler: &LifecycleHandler{}")

    async def _exec(self, command: list[str], pod: Obj, spec: Obj, container: Container) -> None:
        capture = Capture()
        try:
            code = await container.exec(command, capture.io())
        except ExecError as error:
            reason = str(error)
        else:
            if not code:
                return
            reason = f"command '{' '.join(command)}' exited with {code}: {capture.text}"
        raise HookFailed(
            f"Exec lifecycle hook ({go_list(command)}) for Container {quoted(spec['name'])} in Pod "
            f"{quoted(pod_ref(pod))} failed - error: {reason}, message: {quoted(capture.text)}"
        )

    async def _http(self, source: Obj, pod: Obj, spec: Obj, pod_ip: str) -> None:
        path = source.get("path") or ""
        try:
            target = http_target(source, spec, pod_ip)
            answer = await get(self.network, self.clock, self.node_ip, target, HTTP_SECONDS)
            if answer.status < 400:
                return
            reason = f"HTTP probe failed with statuscode: {answer.status}"
        except RequestError as error:
            reason = f"Get {quoted(target.url)}: {error}"
        except PortError as error:
            reason = str(error)
        raise HookFailed(
            f"HTTP lifecycle hook ({path}) for Container {quoted(spec['name'])} in Pod {quoted(pod_ref(pod))} "
            f"failed - error: {reason}"
        )
