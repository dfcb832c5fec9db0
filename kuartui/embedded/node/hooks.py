"""Lifecycle hooks: postStart and preStop, after pkg/kubelet/lifecycle/handlers.go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import Network
from kuartui.embedded.node.probes.handlers import PortError, http_target
from kuartui.embedded.node.probes.http import HTTPS_EXPECTED, RequestError, Target, get
from kuartui.embedded.node.runtime import Capture, Container, ExecError
from kuartui.embedded.node.wording import go_list, pod_ref, quoted

Obj = dict[str, Any]

HTTP_SECONDS = 30.0
AGENT = "kube-lifecycle/1.36"

Event = Callable[[str, str, str], None]
"""Type, reason and message of an event about the pod."""


class HookFailed(Exception):
    """A hook failed; the text tells the details."""


class HookRunner(Struct, frozen=True):
    """Runs hooks from one node."""

    clock: Clock
    network: Network
    node_ip: str

    async def run(self, handler: Obj, pod: Obj, spec: Obj, container: Container, event: Event) -> None:
        """Run a LifecycleHandler to its end. Raises HookFailed."""
        if "exec" in handler:
            await self._exec(handler["exec"].get("command") or [], pod, spec, container)
        elif "httpGet" in handler:
            await self._http(handler["httpGet"], pod, spec, container.sandbox.ip, event)
        elif "sleep" in handler:
            await self.clock.sleep(float(handler["sleep"]["seconds"]))
        else:
            raise HookFailed(f"Cannot run handler: invalid handler: {_go_text(handler)}")

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

    async def _http(self, source: Obj, pod: Obj, spec: Obj, pod_ip: str, event: Event) -> None:
        """Ask for the page; what the answer says is of no matter, if only there is one."""
        path = source.get("path") or ""
        try:
            target = replace(http_target(source, spec, pod_ip), agent=AGENT)
            try:
                await self._get(target)
            except RequestError as error:
                if target.scheme != "https" or str(error) != HTTPS_EXPECTED:
                    raise
                await self._without_tls(target, error, event)
            return
        except RequestError as error:
            reason = f"Get {quoted(target.url)}: {error}"
        except PortError as error:
            reason = str(error)
        raise HookFailed(
            f"HTTP lifecycle hook ({path}) for Container {quoted(spec['name'])} in Pod {quoted(pod_ref(pod))} "
            f"failed - error: {reason}"
        )

    async def _without_tls(self, target: Target, refused: RequestError, event: Event) -> None:
        """A second try with a server that turned out to speak no TLS. Raises the first try's error if that fails, too."""
        headers = tuple(header for header in target.headers if header[0].lower() != "authorization")
        try:
            await self._get(replace(target, scheme="http", headers=headers))
        except RequestError:
            raise refused from None
        message = f"request to HTTPS lifecycle hook {target.address} got HTTP response, retry with HTTP succeeded"
        event("Warning", "LifecycleHTTPFallback", message)

    async def _get(self, target: Target) -> None:
        await get(self.network, self.clock, self.node_ip, target, HTTP_SECONDS)


def _go_text(handler: Obj) -> str:
    """A handler that is none of a hook's, as Go prints it: the API takes tcpSocket, kubelets do not."""
    told = "nil"
    if source := handler.get("tcpSocket"):
        port = source.get("port", 0)
        told = f"{{0 {port} }}" if isinstance(port, int) else f"{{1 0 {port}}}"
        told = f"&TCPSocketAction{{Port:{told},Host:{source.get('host', '')},}}"
    return f"&LifecycleHandler{{Exec:nil,HTTPGet:nil,TCPSocket:{told},Sleep:nil,}}"
