"""Whether the API servers behind APIServices with a Service can be reached.

kube-aggregator's pkg/controllers/status/remote/remote_available_controller.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kuartui.embedded.api.resources import Resources
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition, without
from kuartui.embedded.controllers.objects import condition
from kuartui.embedded.crd.apiservices import API_SERVICES
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
RESYNC = 30.0  # seconds

Ask = Callable[[str, int, str], Awaitable[str]]
"""(address, port, path): GET over TLS; what went wrong, "" for an answer of 2xx."""
Discover = Callable[[str, str], Awaitable[list[Obj]]]
"""(group, version): the resources that the server there says it has."""


class RemoteApiServices(Controller):
    """Keeps the condition Available of APIServices that another server answers."""

    name = "apiservice-status-remote-available-controller"

    def __init__(self, client: Client, resources: Resources, ask: Ask, discover: Discover) -> None:
        super().__init__(client)
        self._resources = resources
        self.client = client.as_user("system:apiserver", "system:masters", manager="kube-apiserver")
        self._ask, self._discover = ask, discover
        self._behind: dict[str, tuple[str, str]] = {}
        """Namespace and name of the Service behind each APIService that has one; most clusters have none."""

    def setup(self) -> None:
        self.watch(API_SERVICES, self._changed)
        self.watch("services", lambda event: self._of_service(event.obj.key.namespace, event.obj.key.name))
        self.watch(SLICES, self._slice_changed)

    def _changed(self, event: Event) -> None:
        name, service = event.obj.key.name, event.obj.data["spec"].get("service")
        if not service and name not in self._behind:
            return
        if service and event.type is not EventType.DELETED:
            self._behind[name] = service.get("namespace", ""), service.get("name", "")
        else:
            self._behind.pop(name, None)
        groups: dict[str, list[str]] = {}
        for one in self.client.list(API_SERVICES):
            if one["spec"].get("service"):
                groups.setdefault(one["spec"].get("group", ""), []).append(one["spec"]["version"])
        self._resources.set_remote(groups)
        if service:
            self.enqueue_object(event)

    def _slice_changed(self, event: Event) -> None:
        labels = event.obj.data["metadata"].get("labels") or {}
        self._of_service(event.obj.key.namespace, labels.get(SERVICE_NAME, ""))

    def _of_service(self, namespace: str, name: str) -> None:
        for one, service in self._behind.items():
            if service == (namespace, name):
                self.enqueue("", one)

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get(API_SERVICES, "", name)
        reference = (found or {}).get("spec", {}).get("service")
        if found is None or reference is None:
            return
        group, version = found["spec"].get("group", ""), found["spec"]["version"]
        status, reason, message = self._state(reference) or await self._discovery(found["spec"], reference)
        entries, _ = self._resources.discovered(group, version)
        if status == "True":
            entries = await self._discover(group, version) or entries
        self._resources.set_discovered(group, version, entries, current=status == "True")
        old = (found.get("status") or {}).get("conditions") or []
        new = new_condition("Available", status, reason, message, self.clock.now())
        known = condition(old, "Available")
        if known and known["status"] == status:
            new["lastTransitionTime"] = known["lastTransitionTime"]
        if new != known:
            conditions = [*without(old, "Available"), new]
            changed = {**found, "status": {**(found.get("status") or {}), "conditions": conditions}}
            await self.client.update_status(API_SERVICES, changed)
        if reason in ("FailedDiscoveryCheck", "Passed"):
            self.enqueue_after("", name, RESYNC)

    def _state(self, reference: Obj) -> tuple[str, str, str] | None:
        """Status, reason and message if the Service alone tells that nobody can answer."""
        namespace, name, number = reference["namespace"], reference["name"], reference.get("port", 443)
        service = self.client.get("services", namespace, name)
        where = f'service/{name} in "{namespace}"'
        if service is None:
            return "False", "ServiceNotFound", f"{where} is not present"
        if service["spec"].get("type") != "ClusterIP":
            return None
        port = next((port for port in service["spec"].get("ports") or () if port["port"] == number), None)
        if port is None:
            return "False", "ServicePortError", f"{where} is not listening on port {number}"
        slices = [
            stored.data
            for stored in self.client.store.list(SLICES, namespace)
            if (stored.data["metadata"].get("labels") or {}).get(SERVICE_NAME) == name
        ]
        if not slices:
            return "False", "EndpointsNotFound", f"cannot find endpointslices for {where}"
        if not _ready(slices, port.get("name", "")):
            why = f'endpointslices for {where} have no addresses with port name "{port.get("name", "")}"'
            return "False", "MissingEndpoints", why
        return None

    async def _discovery(self, spec: Obj, reference: Obj) -> tuple[str, str, str]:
        """Status, reason and message after asking the server for its group version."""
        service = self.client.get("services", reference["namespace"], reference["name"]) or {"spec": {}}
        address, port = service["spec"].get("clusterIP") or "", reference.get("port", 443)
        if service["spec"].get("type") == "ExternalName":
            address = service["spec"].get("externalName", "")
        path = f"/apis/{spec['group']}/{spec['version']}" if spec.get("group") else f"/api/{spec['version']}"
        problem = await self._ask(address, port, path)
        if not problem:
            return "True", "Passed", "all checks passed"
        url = f"https://{address}:{port}{path}"
        return "False", "FailedDiscoveryCheck", f"failing or missing response from {url}: {problem}"


def _ready(slices: Iterable[Obj], port_name: str) -> bool:
    return any(
        any((endpoint.get("conditions") or {}).get("ready", True) for endpoint in one.get("endpoints") or ())
        and any(port.get("name", "") == port_name and port.get("port") for port in one.get("ports") or ())
        for one in slices
    )
