"""What admission is told of a connection: exec, attach, port-forward and proxies are CONNECT to it.

k8s.io/apiserver/pkg/endpoints/handlers/rest.go, ConnectResource; the objects are those of core/v1 that hold the options
of each, as the query gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.api.request import Request
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest, Write

Obj = dict[str, Any]

KINDS = {
    ("pods", "exec"): "PodExecOptions",
    ("pods", "attach"): "PodAttachOptions",
    ("pods", "portforward"): "PodPortForwardOptions",
    ("pods", "proxy"): "PodProxyOptions",
    ("services", "proxy"): "ServiceProxyOptions",
    ("nodes", "proxy"): "NodeProxyOptions",
}
STREAMS = ("stdin", "stdout", "stderr", "tty")


class Connections:
    """Asks admission before anything is connected."""

    def __init__(self, rest: Rest, write: Callable[[Request], Write]) -> None:
        self._rest, self._write = rest, write

    async def admit(self, request: Request, endpoint: Endpoint) -> None:
        """Nothing for what is no connection. Raises StatusError where a plugin refuses."""
        info = request.info
        kind = KINDS.get((endpoint.resource.name, info.subresource))
        if kind is not None:
            options = options_of(kind, request)
            await self._rest.connect(endpoint, info.namespace, info.name, options, self._write(request))


def options_of(kind: str, request: Request) -> Obj:
    """The options of a connection as an object of their kind."""
    found: Obj = {"kind": kind, "apiVersion": "v1"}
    if kind.endswith("ProxyOptions"):
        return {**found, "path": "/" + "/".join(request.info.parts)}
    if kind == "PodPortForwardOptions":
        ports = [int(port) for text in request.query.get("ports", []) for port in text.split(",") if port.isdigit()]
        return {**found, "ports": ports} if ports else found
    found |= {name: True for name in STREAMS if request.flag(name)}
    if request.param("container"):
        found["container"] = request.param("container")
    if kind == "PodExecOptions" and request.query.get("command"):
        found["command"] = list(request.query["command"])
    return found
