"""What makes a pod an endpoint of a Service: its ports, its host name, and what of it matters.

After staging/src/k8s.io/endpointslice/util and pkg/controller/util/endpoint.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.labels import from_map
from kuartui.embedded.meta.time import format_time, parse_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS = "service.kubernetes.io/headless"
RESERVED_LABELS = {HEADLESS, "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"}


class ServiceFollower(Controller):
    """Reconciles Services when they or the pods that they select change."""

    def follow_services(self) -> None:
        """Watch Services and pods."""
        self.watch("services", self.enqueue_object)
        self.watch("pods", self._pod_changed)

    def _pod_changed(self, event: Event) -> None:
        pod, old = event.obj.data, event.old.data if event.old else None
        if event.type is EventType.MODIFIED and old is not None and relevant(pod) == relevant(old):
            return
        every = [objects.labels_of(pod)]
        if old is not None and objects.labels_of(old) != every[0]:
            every.append(objects.labels_of(old))
        for stored in self.client.store.list("services", event.obj.key.namespace):
            selector = stored.data["spec"].get("selector")
            if selector and any(_subset(selector, labels) for labels in every):
                self.enqueue(*stored.key[1:])


def _subset(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def relevant(pod: Obj) -> tuple[Any, ...]:
    """What of a pod endpoints depend on."""
    status, spec = pod.get("status", {}), pod["spec"]
    return (
        pods.finished(pod),
        pods.ready(pod),
        objects.being_deleted(pod),
        status.get("podIPs") or status.get("podIP"),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
        objects.labels_of(pod),
    )


def selected(controller: Controller, service: Obj) -> list[Obj]:
    """The Service's pods, by name."""
    selector = from_map(service["spec"]["selector"])
    listed = controller.client.store.list("pods", objects.namespace_of(service))
    return [one.data for one in listed if selector.matches(objects.labels_of(one.data))]


def has_address(pod: Obj) -> bool:
    """Whether a pod can be an endpoint at all."""
    return not pods.finished(pod) and bool(addresses(pod))


def addresses(pod: Obj, family: str = "") -> list[str]:
    """The pod's IPs (of one family: IPv4 or IPv6)."""
    status = pod.get("status", {})
    found = [one["ip"] for one in status.get("podIPs") or ()] or ([status["podIP"]] if status.get("podIP") else [])
    if not family:
        return found
    return [ip for ip in found if (":" in ip) == (family == "IPv6")]


def host_name(pod: Obj, service: Obj) -> str:
    """The name that DNS gives the pod below the Service; "" for none."""
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == objects.name_of(service):
        return str(spec["hostname"])
    return ""


def target_port(pod: Obj, port: Obj) -> int | None:
    """The number of a Service port's target in a pod; None if the pod has no port of that name."""
    target = port.get("targetPort")
    if target in (None, 0, ""):
        return int(port["port"])
    if isinstance(target, int):
        return target
    sidecars = [one for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for own in container.get("ports") or ():
            if own.get("name") == target and own.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(own["containerPort"])
    return None


def endpoint_ports(pod: Obj, service: Obj) -> list[Obj]:
    """The Service's ports that this pod has, with the pod's numbers."""
    ports = []
    for port in service["spec"].get("ports") or ():
        number = target_port(pod, port)
        if number is None:
            continue
        made = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            made["appProtocol"] = port["appProtocol"]
        ports.append(made)
    return ports


def target_reference(pod: Obj) -> Obj:
    """targetRef of an endpoint."""
    return {
        "kind": "Pod",
        "namespace": objects.namespace_of(pod),
        "name": objects.name_of(pod),
        "uid": objects.uid_of(pod),
    }


def headless(service: Obj) -> bool:
    """Whether the Service has no virtual IP."""
    return service["spec"].get("clusterIP", "") in ("None", "")


class TriggerTimes:
    """When the change happened that endpoints now follow; feeds the annotation of that name."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[dict[str, tuple[str, str]], str]] = {}

    def changed(self, service: Obj, members: list[Obj]) -> str:
        """The earliest new change; "" for none.

        Kubernetes goes by the second that a pod became ready in. Containers here start faster than that, so a pod that is
        ready in the second it was not counts, too.
        """
        uid = objects.uid_of(service)
        before, service_before = self._known.get(uid, ({}, ""))
        times = {}
        for pod in members:
            condition = objects.condition(pod.get("status", {}).get("conditions"), "Ready")
            if condition and condition.get("lastTransitionTime"):
                times[objects.name_of(pod)] = condition["lastTransitionTime"], condition.get("status", "")
        created = service["metadata"].get("creationTimestamp", "")
        fresh = [now[0] for name, now in times.items() if now > before.get(name, ("", ""))]
        if created > service_before:
            fresh.append(created)
        self._known[uid] = times, created
        return format_time(parse_time(min(fresh))) if fresh else ""

    def forget(self, uid: str) -> None:
        """The Service is gone."""
        self._known.pop(uid, None)
