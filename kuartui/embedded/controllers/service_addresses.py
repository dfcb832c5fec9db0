"""Where cluster IPs come from, as objects: an IPAddress for each one in use, and whether a ServiceCIDR is ready.

After pkg/registry/core/service/ipallocator and pkg/controller/servicecidrs. The Services say which addresses are taken;
the IPAddresses follow them.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition, put
from kuartui.embedded.controllers.objects import being_deleted, labels_of
from kuartui.embedded.kinds.service_allocation import ADDRESSES, ALLOCATOR, CIDRS, MANAGED_BY, ready
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

FAMILY = "ipaddress.kubernetes.io/ip-family"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
DELETION_GRACE = 10.0  # seconds; for allocators to learn that a range goes
READY = "Kubernetes Service CIDR is ready"
BLOCKED = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"


class ServiceAddresses(Controller):
    """Keeps one IPAddress for each cluster IP. Keys are addresses."""

    name = "ipallocator-repair-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.client = client.as_user("system:apiserver", "system:masters", manager="kube-apiserver")

    def setup(self) -> None:
        self.watch("services", self._service_changed)
        self.watch(ADDRESSES, self._address_changed)

    def _service_changed(self, event: Event) -> None:
        old = _addresses(event.old.data) if event.old else set()
        new = set() if event.type is EventType.DELETED else _addresses(event.obj.data)
        if event.type is EventType.DELETED:
            old |= _addresses(event.obj.data)
        for address in old ^ new:
            self.enqueue("", address)

    def _address_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            self.enqueue("", event.obj.key.name)

    async def reconcile(self, namespace: str, name: str) -> None:
        owner = next((one for one in self.client.list("services") if name in _addresses(one)), None)
        found = self.client.get(ADDRESSES, "", name)
        if owner is None and found is not None and labels_of(found).get(MANAGED_BY) == ALLOCATOR:
            await self.client.delete(ADDRESSES, "", name, uid=found["metadata"]["uid"])
        if owner is None:
            return
        place = {"namespace": owner["metadata"]["namespace"], "name": owner["metadata"]["name"]}
        parent = {"resource": "services", **place}
        if found is not None and found["spec"].get("parentRef") != parent:
            await self.client.delete(
                ADDRESSES, "", name, uid=found["metadata"]["uid"]
            )  # its Service is another one now
            found = None
        if found is None:
            family = f"IPv{ipaddress.ip_address(name).version}"
            metadata = {"name": name, "labels": {FAMILY: family, MANAGED_BY: ALLOCATOR}}
            await self.client.create(ADDRESSES, {"metadata": metadata, "spec": {"parentRef": parent}})


class ServiceCidrs(Controller):
    """Calls ServiceCIDRs ready, and lets go those whose addresses are all free or in another one, too."""

    name = "service-cidrs-controller"

    def setup(self) -> None:
        self.watch(CIDRS, lambda _: self._all())
        self.watch(ADDRESSES, self._address_changed)

    def _address_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            self._all()

    def _all(self) -> None:
        """What one range does depends on the others."""
        for one in self.client.list(CIDRS):
            if being_deleted(one) or not ready(one) or FINALIZER not in one["metadata"].get("finalizers", ()):
                self.enqueue("", one["metadata"]["name"])

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get(CIDRS, "", name)
        if found is None:
            return
        finalizers = found["metadata"].get("finalizers") or []
        now = self.clock.now()
        if not being_deleted(found):
            if FINALIZER not in finalizers:
                metadata = {**found["metadata"], "finalizers": [*finalizers, FINALIZER]}
                found = await self.client.update(CIDRS, {**found, "metadata": metadata})
            if not ready(found):
                await self._tell(found, {**new_condition("Ready", "True", "", READY, now), "reason": ""})
        elif self._needed(found):
            await self._tell(found, new_condition("Ready", "False", "Terminating", BLOCKED, now))
        else:
            since = (now - parse_time(found["metadata"]["deletionTimestamp"])).total_seconds()
            if since < DELETION_GRACE:
                self.enqueue_after("", name, DELETION_GRACE - since)
            elif FINALIZER in finalizers:
                metadata = {**found["metadata"], "finalizers": [one for one in finalizers if one != FINALIZER]}
                await self.client.update(CIDRS, {**found, "metadata": metadata})

    async def _tell(self, found: Obj, condition: Obj) -> None:
        status = found.get("status") or {}
        old = status.get("conditions") or []
        conditions = put(old, condition)
        if conditions == old:
            return
        try:
            await self.client.update_status(CIDRS, {**found, "status": {**status, "conditions": conditions}})
        except StatusError as error:
            if error.code != 404:
                raise

    def _needed(self, going: Obj) -> bool:
        """Whether an address would be left without a range."""
        own = _networks(going)
        others = [
            network
            for one in self.client.list(CIDRS)
            if one["metadata"]["name"] != going["metadata"]["name"] and not being_deleted(one)
            for network in _networks(one)
        ]
        for one in self.client.list(ADDRESSES):
            address = ipaddress.ip_address(one["metadata"]["name"])
            if any(address in network for network in own) and not any(address in network for network in others):
                return True
        return False


def _addresses(service: Obj) -> set[str]:
    return {ip for ip in service.get("spec", {}).get("clusterIPs") or () if ip and ip != "None"}


def _networks(cidr: Obj) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(one) for one in cidr["spec"].get("cidrs") or ()]
