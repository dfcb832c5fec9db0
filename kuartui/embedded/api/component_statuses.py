"""componentstatuses: asked from the components at every look, never stored (pkg/registry/core/componentstatus)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from kuartui.embedded.api import negotiate, tables
from kuartui.embedded.api.request import Request, Response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.selection import selection
from kuartui.embedded.clock import Clock
from kuartui.embedded.meta import errors
from kuartui.embedded.store import Key, Stored

Obj = dict[str, Any]

COMPONENTS = {  # by name: the process, and where it tells of its health
    "controller-manager": ("kube-controller-manager", "https://127.0.0.1:10257/healthz"),
    "etcd-0": ("", ""),  # the API would not answer without it
    "scheduler": ("kube-scheduler", "https://127.0.0.1:10259/healthz"),
}


class ComponentStatuses:
    """Answers GETs. `running` names the processes of the control plane that work."""

    def __init__(self, clock: Clock, running: Callable[[], Collection[str]]) -> None:
        self._clock, self._running = clock, running

    def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """One status or the list of them. Raises an error without reason for a component that is not known."""
        if endpoint.strategy.deprecated:
            request.warnings.append(endpoint.strategy.deprecated)
        name = request.info.name
        if name and name not in COMPONENTS:
            raise errors.go_error(f"Component not found: {name}")
        chosen = selection(request, endpoint)
        found = [self._status(one) for one in ([name] if name else COMPONENTS)]
        found = [one for one in found if name or chosen.matches(one)]
        want = negotiate.wanted(request)
        if want.table:
            include = request.param("includeObject", "Metadata")
            body = tables.table(endpoint, found, self._clock.now(), want.version, include, {})
            return Response(200, body, want.content_type)
        if name:
            return negotiate.respond(request, found[0].data, want=want)
        items = [{"metadata": one.data["metadata"], "conditions": one.data["conditions"]} for one in found]
        head = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}}
        return negotiate.respond(request, {**head, "items": items}, want=want)

    def _status(self, name: str) -> Stored:
        process, url = COMPONENTS[name]
        healthy = not process or process in self._running()
        port = url.removesuffix("/healthz").rpartition(":")[2]
        message = "ok" if healthy else f'Get "{url}": dial tcp 127.0.0.1:{port}: connect: connection refused'
        condition = {"type": "Healthy", "status": "True" if healthy else "False", "message": message}
        data = {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}
        return Stored(Key("componentstatuses", "", name), data, 0)
