"""The EndpointSlice controller, after staging/src/k8s.io/endpointslice/reconciler.go."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.endpoints import members, topology
from kuartui.embedded.controllers.endpoints.members import HEADLESS, RESERVED_LABELS, TRIGGER_TIME
from kuartui.embedded.controllers.pods import namespace_terminating
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event

Obj = dict[str, Any]

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100


class Incomplete(Exception):
    """A slice could not be written, or pods are on nodes that are not there (any more): to be looked at again."""


class EndpointSliceController(members.ServiceFollower):
    """Keeps the slices of Services with a selector."""

    name = "endpointslice-controller"
    first_retry = 1.0  # defaultSyncBackOff

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._triggers = members.TriggerTimes()
        self._hinted: set[tuple[str, str]] = set()
        """Services whose endpoints have hints by `topology-mode`."""

    def setup(self) -> None:
        self.follow_services()
        self.watch(SLICES, self._slice_changed)
        self.watch("nodes", self._node_changed)

    def _slice_changed(self, event: Event) -> None:
        labels = objects.labels_of(event.obj.data)
        if labels.get(MANAGED_BY) == MANAGER and SERVICE_NAME in labels:
            self.enqueue(event.obj.key.namespace, labels[SERVICE_NAME])

    def _node_changed(self, event: Event) -> None:
        """Zones are part of endpoints; they seldom change."""
        if event.old is not None and _zone(event.obj.data) != _zone(event.old.data):
            for stored in self.client.store.list("services"):
                self.enqueue(*stored.key[1:])
        elif self._hinted and (
            event.old is None or topology.matters(event.obj.data) != topology.matters(event.old.data)
        ):
            for key in sorted(self._hinted):
                self.enqueue(*key)

    async def reconcile(self, namespace: str, name: str) -> None:
        service = self.client.get("services", namespace, name)
        if service is None:
            self._hinted.discard((namespace, name))
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        try:
            await self._sync(service)
        except Incomplete as error:
            message = f"Error updating Endpoint Slices for Service {namespace}/{name}: {error}"
            self._tell(service, "Warning", "FailedToUpdateEndpointSlices", message)
            raise

    async def _sync(self, service: Obj) -> None:
        """Bring the slices of a Service up to date. Raises Incomplete."""
        spec, namespace, name = service["spec"], objects.namespace_of(service), objects.name_of(service)
        existing = [
            stored.data
            for stored in self.client.store.list(SLICES, namespace)
            if objects.labels_of(stored.data).get(SERVICE_NAME) == name
            and objects.labels_of(stored.data).get(MANAGED_BY) == MANAGER
            and not objects.being_deleted(stored.data)
        ]
        chosen = [pod for pod in members.selected(self, service) if members.has_address(pod)]
        lost = [] if spec.get("publishNotReadyAddresses") else [pod for pod in chosen if self._lost(pod)]
        chosen = [pod for pod in chosen if pod not in lost] if lost else chosen
        trigger = self._triggers.changed(service, chosen)
        families = spec.get("ipFamilies") or ["IPv4"]
        for family in families:
            own = [one for one in existing if one["addressType"] == family]
            await self._reconcile_family(service, family, chosen, own, trigger)
        for stray in existing:
            if stray["addressType"] not in families:
                await self._delete(stray)
        if lost:
            raise Incomplete(_skipped(service, lost))

    def _lost(self, pod: Obj) -> bool:
        """Whether the pod's node is gone: nobody knows whether it still runs."""
        node = pod["spec"].get("nodeName")
        return bool(node) and self.client.get("nodes", "", node) is None

    async def _reconcile_family(
        self, service: Obj, family: str, chosen: list[Obj], existing: list[Obj], trigger: str
    ) -> None:
        groups: dict[str, tuple[list[Obj], list[Obj]]] = {}
        for pod in chosen:
            if members.addresses(pod, family):
                ports = members.endpoint_ports(pod, service)
                groups.setdefault(_port_key(ports), (ports, []))[1].append(self._endpoint(pod, service, family))
        self._hint(service, family, [endpoint for _, endpoints in groups.values() for endpoint in endpoints])
        create: list[Obj] = []
        spare: list[Obj] = []
        update: list[tuple[Obj, Obj]] = []
        for key, (ports, endpoints) in groups.items():
            own = [one for one in existing if _port_key(one.get("ports") or []) == key]
            for old, filled in _fill(own, endpoints):
                if old is None:
                    create.append(self._slice(service, family, ports, filled))
                elif filled:
                    update.append((old, self._slice(service, family, ports, filled)))
                else:
                    spare.append(old)
        spare += [one for one in existing if _port_key(one.get("ports") or []) not in groups]
        if not create and not update:
            create.append(self._slice(service, family, [], []))
        while create and spare:
            update.append((spare.pop(0), create.pop(0)))
        for old, new in update:
            await self._update(old, new, trigger)
        if not objects.being_deleted(service):
            for new in create:
                await self._create(new, trigger)
        for old in spare:
            await self._delete(old)

    def _hint(self, service: Obj, family: str, endpoints: list[Obj]) -> None:
        """Share the endpoints out among the zones if the Service asks for it, and tell of what changes."""
        key = objects.namespace_of(service), objects.name_of(service)
        hinted = key in self._hinted
        if topology.wanted(service):
            obstacle = topology.share_out(self.client.list("nodes"), endpoints)
        elif hinted:
            obstacle = topology.NOW_DISABLED
        else:
            return
        if obstacle:
            self._hinted.discard(key)
            self._tell(service, "Warning", topology.DISABLED, f"{obstacle}, addressType: {family}")
        elif not hinted:
            self._hinted.add(key)
            self._tell(service, "Normal", topology.ENABLED, f"{topology.NOW_ENABLED}, addressType: {family}")

    def _tell(self, service: Obj, type_: str, reason: str, message: str) -> None:
        self.client.record(service, type_, reason, message, "endpoint-slice-controller")

    def _endpoint(self, pod: Obj, service: Obj, family: str) -> Obj:
        serving, terminating = pods.ready(pod), objects.being_deleted(pod)
        endpoint: Obj = {
            "addresses": members.addresses(pod, family)[:1],
            "conditions": {"ready": self._ready(pod, service), "serving": serving, "terminating": terminating},
            "targetRef": members.target_reference(pod),
        }
        node_name = pod["spec"].get("nodeName")
        if node_name:
            endpoint["nodeName"] = node_name
            node = self.client.get("nodes", "", node_name)
            if node and _zone(node):
                endpoint["zone"] = _zone(node)
        hostname = members.host_name(pod, service)
        if hostname:
            endpoint["hostname"] = hostname
        distribution = "" if topology.wanted(service) else service["spec"].get("trafficDistribution") or ""
        hints = _hints(distribution, endpoint)
        if hints:
            endpoint["hints"] = hints
        return endpoint

    def _ready(self, pod: Obj, service: Obj) -> bool:
        if service["spec"].get("publishNotReadyAddresses"):
            return True
        return pods.ready(pod) and not objects.being_deleted(pod)

    def _slice(self, service: Obj, family: str, ports: list[Obj], endpoints: list[Obj]) -> Obj:
        name = objects.name_of(service)
        labels = {key: value for key, value in objects.labels_of(service).items() if key not in RESERVED_LABELS}
        if members.headless(service):
            labels[HEADLESS] = ""
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": pods.prefix_of(name),
                "namespace": objects.namespace_of(service),
                "labels": labels | {SERVICE_NAME: name, MANAGED_BY: MANAGER},
                "ownerReferences": [objects.controller_reference(service)],
            },
            "addressType": family,
            "endpoints": endpoints or None,  # as the controller's protobuf arrives at the API server
            "ports": ports or None,
        }

    async def _create(self, new: Obj, trigger: str) -> None:
        if trigger:
            new["metadata"]["annotations"] = {TRIGGER_TIME: trigger}
        try:
            await self.client.create(SLICES, new)
        except StatusError as error:
            if not namespace_terminating(error):
                raise Incomplete(f"failed to create EndpointSlice for Service {_service_of(new)}: {error}") from error

    async def _update(self, old: Obj, new: Obj, trigger: str) -> None:
        same = all((old.get(field) or []) == (new[field] or []) for field in ("endpoints", "ports"))
        meta = {**old["metadata"], "labels": new["metadata"]["labels"]}
        if same and meta["labels"] == objects.labels_of(old):
            return
        annotations = {key: value for key, value in objects.annotations_of(old).items() if key != TRIGGER_TIME}
        if trigger:
            annotations[TRIGGER_TIME] = trigger
        meta["annotations"] = annotations
        try:
            await self.client.update(SLICES, {**old, **new, "metadata": meta})
        except StatusError as error:
            where = f"{objects.name_of(old)} EndpointSlice for Service {_service_of(new)}"
            raise Incomplete(f"failed to update {where}: {error}") from error

    async def _delete(self, old: Obj) -> None:
        try:
            await self.client.delete(SLICES, objects.namespace_of(old), objects.name_of(old))
        except StatusError as error:
            if error.code != 404:
                where = f"{objects.name_of(old)} EndpointSlice for Service {_service_of(old)}"
                raise Incomplete(f"failed to delete {where}: {error}") from error


def _skipped(service: Obj, lost: list[Obj]) -> str:
    """Which pods were left out, in words."""
    where = f"{objects.namespace_of(service)}/{objects.name_of(service)}"
    texts = [
        f"skipping Pod {objects.name_of(pod)} for Service {where}: Node {pod['spec']['nodeName']} Not Found"
        for pod in lost
    ]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _service_of(found: Obj) -> str:
    """The Service that a slice belongs to."""
    return f"{objects.namespace_of(found)}/{objects.labels_of(found)[SERVICE_NAME]}"


def _hints(distribution: str, endpoint: Obj) -> Obj:
    """Whom an endpoint is best for (staging/src/k8s.io/endpointslice/trafficdist); {} if that is anyone."""
    hints: Obj = {}
    if distribution and endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if distribution == "PreferSameNode" and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


def _zone(node: Obj) -> str:
    return objects.labels_of(node).get("topology.kubernetes.io/zone", "")


def _port_key(ports: list[Obj]) -> str:
    """A name for a set of ports, whatever their order."""
    return ",".join(
        sorted(
            f"{port.get('name') or ''}/{port.get('port')}/{port.get('protocol', 'TCP')}/{port.get('appProtocol', '')}"
            for port in ports
        )
    )


def _fill(existing: list[Obj], endpoints: list[Obj]) -> list[tuple[Obj | None, list[Obj]]]:
    """Endpoints shared out: who is in a slice stays there, new ones go where there is room, then to new slices."""
    wanted = {_identity(endpoint): endpoint for endpoint in endpoints}
    filled: list[tuple[Obj | None, list[Obj]]] = []
    for old in existing:
        kept = [found for one in old.get("endpoints") or () if (found := wanted.pop(_identity(one), None)) is not None]
        filled.append((old, kept))
    left = list(wanted.values())
    for _, kept in filled:
        room = MAX_ENDPOINTS - len(kept)
        if left and kept and room > 0:
            kept += left[:room]
            left = left[room:]
    for index, (_, kept) in enumerate(filled):
        if left and not kept:
            filled[index][1].extend(left[:MAX_ENDPOINTS])
            left = left[MAX_ENDPOINTS:]
    while left:
        filled.append((None, left[:MAX_ENDPOINTS]))
        left = left[MAX_ENDPOINTS:]
    return filled


def _identity(endpoint: Obj) -> tuple[Any, ...]:
    return tuple(endpoint["addresses"]), (endpoint.get("targetRef") or {}).get("uid", "")
