"""APIServices of what the API server answers itself: one per group version, built in or of a CRD, always available.

kube-aggregator's autoregister and status/local controllers, pkg/controlplane/apiserver/aggregator.go,
crdregistration_controller.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded import data
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition, put
from kuartui.embedded.meta import random
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Event

Obj = dict[str, Any]

API_SERVICES = "apiservices.apiregistration.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
OWN_GROUP = "apiregistration.k8s.io"
"""The aggregator serves it itself and has no entry for it."""

GROUP_PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 15900,
    "metrics.k8s.io": 100,
}
METRICS = ("metrics.k8s.io", "v1beta1")
VERSION_PRIORITIES = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    METRICS: 100,
}
"""Those that are not 15."""
CUSTOM_GROUP, CUSTOM_VERSION = 1000, 100
"""Priorities of what a CRD defines."""


def install(client: Client, *, metrics: bool = False) -> None:
    """Put in those of the built-in group versions that are missing, as available ones; with that of metrics.k8s.io if
    the API server answers it, too.

    Straight into the store: nobody may have a say, and it happens at every start.
    """
    now = client.clock.now()
    served = [(one["group"], one["version"]) for one in data.discovery()] + ([METRICS] if metrics else [])
    for group, version in served:
        name = f"{version}.{group}"
        if group == OWN_GROUP or client.get(API_SERVICES, "", name) is not None:
            continue
        priorities = GROUP_PRIORITIES[group], VERSION_PRIORITIES.get((group, version), 15)
        made = _api_service(group, version, ON_START, *priorities)
        made["metadata"] |= {"uid": random.uid(), "creationTimestamp": format_time(now)}
        client.store.create(API_SERVICES, "", name, {**made, "status": {"conditions": [_available(now)]}})


class ApiServices(Controller):
    """Keeps one APIService for each version that a CRD serves, and calls the local ones available."""

    name = "apiservice-registration-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        # these controllers run in the API server's own process
        self.client = client.as_user("system:apiserver", "system:masters", manager="kube-apiserver")

    def setup(self) -> None:
        self.watch(CRDS, self._defined)
        self.watch(API_SERVICES, self.enqueue_object)

    def _defined(self, event: Event) -> None:
        spec = event.obj.data["spec"]
        for version in spec["versions"]:
            self.enqueue("", f"{version['name']}.{spec['group']}")
        for one in self.client.list(API_SERVICES):
            if _managed(one) == ALWAYS and one["spec"].get("group") == spec["group"]:
                self.enqueue("", one["metadata"]["name"])  # its version may be gone

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get(API_SERVICES, "", name)
        version, _, group = name.partition(".")
        wanted = self._serves(group, version)
        if found is None:
            if wanted:
                made = _api_service(group, version, ALWAYS, CUSTOM_GROUP, CUSTOM_VERSION)
                await self.client.create(API_SERVICES, made)
        elif _managed(found) == ALWAYS and not wanted:
            await self.client.delete(API_SERVICES, "", name, uid=found["metadata"]["uid"])
        elif (found.get("spec") or {}).get("service") is None:
            status = found.get("status") or {}
            old = status.get("conditions") or []
            conditions = put(old, _available(self.clock.now()))
            if conditions != old:
                await self.client.update_status(API_SERVICES, {**found, "status": {**status, "conditions": conditions}})

    def _serves(self, group: str, version: str) -> bool:
        """Whether a CRD has such a version and serves it."""
        return any(
            one["name"] == version and one["served"]
            for crd in self.client.list(CRDS)
            if crd["spec"]["group"] == group
            for one in crd["spec"]["versions"]
        )


def _managed(obj: Obj) -> str:
    return str((obj["metadata"].get("labels") or {}).get(MANAGED, ""))


def _api_service(group: str, version: str, managed: str, group_priority: int, version_priority: int) -> Obj:
    spec: Obj = {"version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority}
    if group:
        spec["group"] = group
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {MANAGED: managed}},
        "spec": spec,
    }


def _available(now: datetime) -> Obj:
    return new_condition("Available", "True", "Local", "Local APIServices are always available", now)
