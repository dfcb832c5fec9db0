"""EndpointSlices for Endpoints that somebody wrote by hand, after pkg/controller/endpointslicemirroring."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.endpoints.legacy import MANAGED_BY as ENDPOINTS_MANAGED_BY
from kuartui.embedded.controllers.endpoints.members import TRIGGER_TIME
from kuartui.embedded.controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, SLICES
from kuartui.embedded.meta.apply import LAST_APPLIED
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event

Obj = dict[str, Any]

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
_NOT_MIRRORED = (TRIGGER_TIME, LAST_APPLIED)
LEADER = "control-plane.alpha.kubernetes.io/leader"


class MirroringController(Controller):
    """Mirrors Endpoints of Services without a selector."""

    name = "endpointslicemirroring-controller"

    def setup(self) -> None:
        self.watch("endpoints", self._hand_made)
        self.watch("services", self._service_changed)

    def _hand_made(self, event: Event) -> None:
        """What the Endpoints controller writes has slices already; a deletion is for the garbage collector."""
        if ENDPOINTS_MANAGED_BY not in objects.labels_of(event.obj.data):
            self.enqueue_object(event)

    def _service_changed(self, event: Event) -> None:
        selects = bool(event.obj.data["spec"].get("selector"))
        selected = bool(event.old and event.old.data["spec"].get("selector"))
        if (not selects or (event.old and not selected)) and self.client.get("endpoints", *event.obj.key[1:]):
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        endpoints = self.client.get("endpoints", namespace, name)
        service = self.client.get("services", namespace, name)
        existing = [
            stored.data
            for stored in self.client.store.list(SLICES, namespace)
            if objects.labels_of(stored.data).get(SERVICE_NAME) == name
            and objects.labels_of(stored.data).get(MANAGED_BY) == MANAGER
        ]
        wanted: dict[tuple[str, str], Obj] = {}
        if (
            endpoints is not None
            and service is not None
            and not service["spec"].get("selector")
            and _mirrored(endpoints)
        ):
            wanted = _slices(endpoints)
        for old in existing:
            new = wanted.pop(_key(old), None)
            if new is None:
                await self._delete(old)
            else:
                await self._update(old, new)
        for new in wanted.values():
            await self.client.create(SLICES, new)

    async def _update(self, old: Obj, new: Obj) -> None:
        now = {field: new[field] for field in ("endpoints", "ports")}
        meta = {field: new["metadata"].get(field) or {} for field in ("labels", "annotations")}
        if any((old.get(field) or []) != now[field] for field in now) or any(
            (old["metadata"].get(field) or {}) != meta[field] for field in meta
        ):
            await self.client.update(SLICES, {**old, **now, "metadata": {**old["metadata"], **meta}})

    async def _delete(self, old: Obj) -> None:
        try:
            await self.client.delete(SLICES, objects.namespace_of(old), objects.name_of(old))
        except StatusError as error:
            if error.code != 404:
                raise


def _mirrored(endpoints: Obj) -> bool:
    return objects.labels_of(endpoints).get(SKIP) != "true" and LEADER not in objects.annotations_of(endpoints)


def _slices(endpoints: Obj) -> dict[tuple[str, str], Obj]:
    """The slices to have by `_key`: one for each family of addresses and set of ports."""
    found: dict[tuple[str, str], Obj] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(field) or ():
                endpoint: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
                endpoint |= {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}
                new = _slice(endpoints, "IPv6" if ":" in address["ip"] else "IPv4", ports)
                found.setdefault(_key(new), new)["endpoints"].append(endpoint)
    return found


def _key(found: Obj) -> tuple[str, str]:
    """What tells the slices of one Service apart, whatever the order of ports."""
    return found["addressType"], repr(sorted(repr(sorted(port.items())) for port in found.get("ports") or ()))


def _slice(endpoints: Obj, family: str, ports: list[Obj]) -> Obj:
    """A slice without endpoints yet."""
    labels = {key: value for key, value in objects.labels_of(endpoints).items() if key != MANAGED_BY}
    annotations = {key: value for key, value in objects.annotations_of(endpoints).items() if key not in _NOT_MIRRORED}
    name = objects.name_of(endpoints)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": pods.prefix_of(name),
            "namespace": objects.namespace_of(endpoints),
            "labels": labels | {SERVICE_NAME: name, MANAGED_BY: MANAGER},
            "annotations": annotations,
            "ownerReferences": [objects.controller_reference(endpoints)],
        },
        "addressType": family,
        "endpoints": [],
        "ports": ports,
    }
