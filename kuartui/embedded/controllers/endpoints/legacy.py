"""The Endpoints controller, after pkg/controller/endpoint/endpoints_controller.go."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.endpoints import members
from kuartui.embedded.controllers.endpoints.members import HEADLESS, TRIGGER_TIME
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event

Obj = dict[str, Any]

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


class EndpointsController(members.ServiceFollower):
    """Keeps the v1 Endpoints of Services with a selector."""

    name = "endpoint-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._triggers = members.TriggerTimes()

    def setup(self) -> None:
        self.follow_services()
        self.watch("endpoints", self._endpoints_changed)

    def _endpoints_changed(self, event: Event) -> None:
        if objects.labels_of(event.obj.data).get(MANAGED_BY) == MANAGER:
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        service = self.client.get("services", namespace, name)
        current = self.client.get("endpoints", namespace, name)
        if service is None:
            if current is not None and objects.labels_of(current).get(MANAGED_BY) == MANAGER:
                await self._delete(namespace, name)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        chosen = [
            pod
            for pod in members.selected(self, service)
            if members.has_address(pod) and (publish or not objects.being_deleted(pod))
        ]
        trigger = self._triggers.changed(service, chosen)
        labels = {key: value for key, value in objects.labels_of(service).items() if key != HEADLESS}
        labels[MANAGED_BY] = MANAGER
        if members.headless(service):
            labels[HEADLESS] = ""
        subsets = subsets_of(service, chosen)
        if current is not None:
            if (current.get("subsets") or []) == subsets and objects.labels_of(current) == labels:
                return
            meta = {**current["metadata"], "labels": labels}
        else:
            meta = {"name": name, "namespace": namespace, "labels": labels}
        annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != TRIGGER_TIME}
        if trigger:
            annotations[TRIGGER_TIME] = trigger
        meta["annotations"] = annotations
        await self._write(
            service, {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets}, current
        )

    async def _write(self, service: Obj, new: Obj, current: Obj | None) -> None:
        if not new["subsets"]:
            del new["subsets"]
        try:
            if current is None:
                await self.client.create("endpoints", new)
            else:
                await self.client.update("endpoints", new)
        except StatusError as error:
            if pods.namespace_terminating(error):
                return
            verb = "create" if current is None else "update"
            where = f"{objects.namespace_of(service)}/{objects.name_of(service)}"
            message = f"Failed to {verb} endpoint {where}: {error}"
            self.client.record(service, "Warning", f"FailedTo{verb.capitalize()}Endpoint", message, self.name)
            raise

    async def _delete(self, namespace: str, name: str) -> None:
        try:
            await self.client.delete("endpoints", namespace, name)
        except StatusError as error:
            if error.code != 404:
                raise


def subsets_of(service: Obj, chosen: list[Obj]) -> list[Obj]:
    """Pods grouped by the ports that they have (RepackSubsets)."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[str, Obj] = {}
    for pod in chosen:
        ports = members.endpoint_ports(pod, service)
        if not ports and (service["spec"].get("ports") or not members.headless(service)):
            continue
        ports = [{key: value for key, value in port.items() if value != ""} for port in ports]
        subset = groups.setdefault(
            repr(sorted(map(repr, ports))), {"addresses": [], "notReadyAddresses": [], "ports": ports}
        )
        ready = publish or pods.ready(pod)
        subset["addresses" if ready else "notReadyAddresses"].append(_address(pod, service))
    made = []
    for subset in groups.values():
        for field in ("addresses", "notReadyAddresses"):
            subset[field].sort(
                key=lambda one: tuple(int(part) if part.isdigit() else 0 for part in one["ip"].split("."))
            )
        made.append({key: value for key, value in subset.items() if value})
    return made


def _address(pod: Obj, service: Obj) -> Obj:
    address: Obj = {"ip": members.addresses(pod)[0]}
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    hostname = members.host_name(pod, service)
    if hostname:
        address["hostname"] = hostname
    address["targetRef"] = members.target_reference(pod)
    return address
