"""Ingresses show the address of the controller that serves them, and that it has seen them.

The data plane is a controller's pod (`images/programs/ingress.py`). What each product writes into status is the same
thing: the address of its Service, or of its node.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.labels import from_map
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

INGRESSES, CLASSES = "ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
FLAG = "--controller-class="
PRODUCTS = {
    "ingress-nginx/controller": ("k8s.io/ingress-nginx", "nginx-ingress-controller"),
    "envoyproxy/envoy": ("projectcontour.io/contour", ""),
    "traefik": ("traefik.io/ingress-controller", ""),
}
"""By a part of the image's name: the controller's class, and the source of its events."""


class IngressStatusController(Controller):
    """Writes status.loadBalancer of Ingresses."""

    name = "ingress-status-controller"

    def setup(self) -> None:
        self.watch(INGRESSES, self._ingress_changed)
        self.watch(CLASSES, self._all)
        self.watch("pods", self._pod_changed)
        self.watch("services", self._service_changed)

    def _ingress_changed(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            return
        if event.old is None or event.old.data["spec"] != event.obj.data["spec"]:
            self._tell(event.obj.data)
        self.enqueue_object(event)

    def _tell(self, ingress: Obj) -> None:
        source = self._event_source(ingress)
        if source:
            self.client.record(ingress, "Normal", "Sync", "Scheduled for sync", source)

    def _all(self, event: Event) -> None:
        for stored in self.client.store.list(INGRESSES):
            self.enqueue(*stored.key[1:])

    def _pod_changed(self, event: Event) -> None:
        product = _product(event.obj.data)
        if product is None:
            return
        old = event.old.data if event.old else None
        if old is None or event.type is EventType.DELETED or pods.ready(old) != pods.ready(event.obj.data):
            self._all(event)
        if event.type is EventType.MODIFIED and pods.ready(event.obj.data) and not (old and pods.ready(old)):
            for ingress in self.client.list(INGRESSES):  # it has just started, and looks at what there is
                if self._controller_of(ingress) == product:
                    self._tell(ingress)

    def _service_changed(self, event: Event) -> None:
        old = event.old.data.get("status") if event.old else None
        if event.obj.data["spec"].get("type") == "LoadBalancer" and old != event.obj.data.get("status"):
            self._all(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        ingress = self.client.get(INGRESSES, namespace, name)
        if ingress is None or objects.being_deleted(ingress):
            return
        controller = self._controller_of(ingress)
        if not controller or not self._is_here(controller):
            return  # somebody else's, or nobody's: its status is theirs
        addresses = self._addresses(controller)
        status = {**(ingress.get("status") or {}), "loadBalancer": {"ingress": addresses} if addresses else {}}
        if status != (ingress.get("status") or {"loadBalancer": {}}):
            await self.client.update_status(INGRESSES, objects.with_status(ingress, status))

    def _is_here(self, controller: str) -> bool:
        """Whether it is a product that we stand in for, or one of its pods has this class."""
        return any(controller == class_ for class_, _ in PRODUCTS.values()) or any(
            _product(stored.data) == controller for stored in self.client.store.list("pods")
        )

    def _controller_of(self, ingress: Obj) -> str | None:
        """spec.controller of the Ingress's class."""
        name = ingress["spec"].get("ingressClassName") or objects.annotations_of(ingress).get(CLASS_ANNOTATION)
        for found in self.client.list(CLASSES):
            default = objects.annotations_of(found).get(IS_DEFAULT) == "true"
            if objects.name_of(found) == name or (not name and default):
                controller: str = found["spec"].get("controller", "")
                return controller
        return None

    def _event_source(self, ingress: Obj) -> str:
        controller = self._controller_of(ingress)
        sources = [source for class_, source in PRODUCTS.values() if class_ == controller]
        return sources[0] if sources and controller and self._pods(controller) else ""

    def _pods(self, controller: str) -> list[Obj]:
        found = [stored.data for stored in self.client.store.list("pods")]
        return [pod for pod in found if _product(pod) == controller and pods.ready(pod)]

    def _addresses(self, controller: str) -> list[Obj]:
        serving = self._pods(controller)
        balanced: list[Obj] = []
        for pod in serving:
            for service in self.client.list("services", objects.namespace_of(pod)):
                spec = service["spec"]
                if spec.get("type") == "LoadBalancer" and from_map(spec.get("selector")).matches(
                    objects.labels_of(pod)
                ):
                    balanced += (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
        hosts = sorted({pod["status"]["hostIP"] for pod in serving if pod["status"].get("hostIP")})
        shown = [{key: one[key] for key in ("ip", "hostname") if one.get(key)} for one in balanced]
        unique = [one for number, one in enumerate(shown) if one not in shown[:number]]
        return unique or [{"ip": ip} for ip in hosts]


def _product(pod: Obj) -> str | None:
    """The class that an Ingress controller's pod serves; None if it is none."""
    for container in pod["spec"]["containers"]:
        for part, (controller, _) in PRODUCTS.items():
            if part in container.get("image", ""):
                words = [*(container.get("command") or ()), *(container.get("args") or ())]
                given = [word.removeprefix(FLAG) for word in words if word.startswith(FLAG)]
                return given[0] if given else controller
    return None
