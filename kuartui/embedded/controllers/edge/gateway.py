"""Status of GatewayClasses, Gateways and HTTPRoutes: accepted, programmed, with an address; or why not.

The data plane (`network/edge.py`) listens on the address that this controller writes. It stands for any of the
controllers below; a class of another one is nobody's, and its Gateways stay without an address.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition
from kuartui.embedded.controllers.edge import attachment
from kuartui.embedded.controllers.edge.attachment import CLASSES, GATEWAYS, GRANTS, GROUP, ROUTES
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

CONTROLLERS = {
    "gateway.nginx.org/nginx-gateway-controller",
    "gateway.envoyproxy.io/gatewayclass-controller",
    "projectcontour.io/gateway-controller",
    "traefik.io/gateway-controller",
    "istio.io/gateway-controller",
    "kuartui.dev/gateway-controller",
}
PROTOCOLS = {"HTTP", "HTTPS"}
POOL = "172.18.255.{}"
FIRST = 200


class GatewayController(Controller):
    """One queue for three kinds: the key's namespace has the resource in front."""

    name = "gateway-controller"

    def setup(self) -> None:
        for resource in (CLASSES, GATEWAYS, ROUTES):
            self.watch(resource, self._changed)
        for resource in (GRANTS, "secrets", "services", "namespaces"):
            self.watch(resource, self._reference_changed)

    def _changed(self, event: Event) -> None:
        """Gateways count their routes, routes look at their Gateways: with so few, all are looked at."""
        if event.type is EventType.MODIFIED and event.old and _spec(event.old.data) == _spec(event.obj.data):
            return
        self._all()

    def _reference_changed(self, event: Event) -> None:
        if self.client.store.count(GATEWAYS) and event.type is not EventType.MODIFIED:
            self._all()

    def _all(self) -> None:
        for resource in (CLASSES, GATEWAYS, ROUTES):
            for stored in self.client.store.list(resource):
                self.enqueue(f"{resource}|{stored.key.namespace}", stored.key.name)

    async def reconcile(self, namespace: str, name: str) -> None:
        resource, _, namespace = namespace.partition("|")
        obj = self.client.get(resource, namespace, name)
        if obj is None or objects.being_deleted(obj):
            return
        make = {CLASSES: self._class_status, GATEWAYS: self._gateway_status, ROUTES: self._route_status}[resource]
        status = make(obj, self.clock.now())
        if status is not None and status != obj.get("status"):
            await self.client.update_status(resource, objects.with_status(obj, status))

    def _class_status(self, gateway_class: Obj, now: datetime) -> Obj | None:
        if gateway_class["spec"]["controllerName"] not in CONTROLLERS:
            return None
        generation = gateway_class["metadata"].get("generation", 1)
        old = gateway_class.get("status") or {}
        new = _condition("Accepted", True, "Accepted", "GatewayClass is accepted", generation, now)
        return {**old, "conditions": _merge(old.get("conditions"), [new])}

    def _controller(self, gateway: Obj) -> str | None:
        """The controllerName of a Gateway's class if that is one of ours."""
        found = self.client.get(CLASSES, "", gateway["spec"]["gatewayClassName"])
        name = found["spec"]["controllerName"] if found else None
        return name if name in CONTROLLERS else None

    # Gateways

    def _gateway_status(self, gateway: Obj, now: datetime) -> Obj | None:
        if self._controller(gateway) is None:
            return None
        old = gateway.get("status") or {}
        generation = gateway["metadata"].get("generation", 1)
        before = {one["name"]: one for one in old.get("listeners") or ()}
        listeners = [
            self._listener_status(gateway, one, before.get(one["name"], {}), now)
            for one in gateway["spec"].get("listeners") or ()
        ]
        good = [one for one in listeners if objects.condition_true({"status": one}, "Programmed")]
        if len(good) == len(listeners):
            accepted = _condition("Accepted", True, "Accepted", "Gateway is accepted", generation, now)
        else:
            text = "One or more listeners are not valid"
            accepted = _condition("Accepted", bool(good), "ListenersNotValid", text, generation, now)
        programmed = _condition("Programmed", True, "Programmed", "Gateway is programmed", generation, now)
        if not good:
            programmed = _condition("Programmed", False, "Invalid", "Gateway has no valid listeners", generation, now)
        status = {**old, "conditions": _merge(old.get("conditions"), [accepted, programmed]), "listeners": listeners}
        if good and not status.get("addresses"):
            status["addresses"] = [{"type": "IPAddress", "value": self._free_address()}]
        return status

    def _listener_status(self, gateway: Obj, listener: Obj, old: Obj, now: datetime) -> Obj:
        generation = gateway["metadata"].get("generation", 1)
        trouble = self._certificate_trouble(gateway, listener)
        supported = listener["protocol"] in PROTOCOLS
        kinds = (listener.get("allowedRoutes") or {}).get("kinds") or [{"kind": "HTTPRoute"}]
        clash = self._conflict(gateway, listener)
        if not supported:
            text = f'Unsupported value: "{listener["protocol"]}": supported values: "HTTP", "HTTPS"'
            accepted = _condition("Accepted", False, "UnsupportedProtocol", text, generation, now)
        else:
            accepted = _condition("Accepted", True, "Accepted", "Listener is accepted", generation, now)
        fine = supported and trouble is None and clash is None
        programmed = _condition("Programmed", True, "Programmed", "Listener is programmed", generation, now)
        if not fine:
            programmed = _condition("Programmed", False, "Invalid", "Listener is not programmed", generation, now)
        resolved = _condition("ResolvedRefs", True, "ResolvedRefs", "All references are resolved", generation, now)
        if trouble is not None:
            resolved = _condition("ResolvedRefs", False, *trouble, generation, now)
        conflicted = _condition("Conflicted", False, "NoConflicts", "No conflicts", generation, now)
        if clash is not None:
            conflicted = _condition("Conflicted", True, *clash, generation, now)
        routes = self.client.list(ROUTES)
        return {
            "name": listener["name"],
            "attachedRoutes": sum(attachment.attached(self.client, gateway, listener, route) for route in routes),
            "supportedKinds": [{"group": GROUP, "kind": kind["kind"]} for kind in kinds if kind["kind"] == "HTTPRoute"],
            "conditions": _merge(old.get("conditions"), [accepted, programmed, resolved, conflicted]),
        }

    def _conflict(self, gateway: Obj, listener: Obj) -> tuple[str, str] | None:
        for other in gateway["spec"].get("listeners") or ():
            if other is listener:
                return None
            if other["port"] != listener["port"]:
                continue
            if other["protocol"] != listener["protocol"]:
                return "ProtocolConflict", "Multiple listeners for the same port specify incompatible protocols"
            if other.get("hostname") == listener.get("hostname"):
                return "HostnameConflict", "Multiple listeners for the same port use the same hostname"
        return None

    def _certificate_trouble(self, gateway: Obj, listener: Obj) -> tuple[str, str] | None:
        if listener["protocol"] != "HTTPS":
            return None
        refs = (listener.get("tls") or {}).get("certificateRefs") or []
        for ref in refs:
            namespace = ref.get("namespace") or objects.namespace_of(gateway)
            if not attachment.granted(self.client, gateway, "Gateway", namespace, "", "Secret", ref["name"]):
                where = f"{namespace}/{ref['name']}"
                return "RefNotPermitted", f"Certificate ref to secret {where} not permitted by any ReferenceGrant"
            secret = self.client.get("secrets", namespace, ref["name"])
            if secret is None:
                return "InvalidCertificateRef", f'Secret "{namespace}/{ref["name"]}" not found'
            if not {"tls.crt", "tls.key"} <= set(secret.get("data") or {}):
                return "InvalidCertificateRef", f'Secret "{namespace}/{ref["name"]}" has no tls.crt and tls.key'
        return None if refs else ("InvalidCertificateRef", "certificateRefs: Required value")

    def _free_address(self) -> str:
        taken = {
            address["value"]
            for gateway in self.client.list(GATEWAYS)
            for address in (gateway.get("status") or {}).get("addresses") or ()
        }
        return next(ip for number in range(FIRST, 255) if (ip := POOL.format(number)) not in taken)

    # Routes

    def _route_status(self, route: Obj, now: datetime) -> Obj | None:
        old = {_ref_key(one["parentRef"]): one for one in (route.get("status") or {}).get("parents") or ()}
        made = []
        for parent in attachment.parents(route):
            gateway = attachment.gateway_of(self.client, route, parent)
            controller = self._controller(gateway) if gateway is not None else None
            if gateway is not None and controller is not None:
                before = old.get(_ref_key(parent), {})
                made.append(self._parent_status(route, gateway, parent, controller, before, now))
        return {"parents": made} if made or old else None

    def _parent_status(self, route: Obj, gateway: Obj, parent: Obj, controller: str, old: Obj, now: datetime) -> Obj:
        generation = route["metadata"].get("generation", 1)
        refused = attachment.refusal(self.client, gateway, route, parent)
        accepted = _condition("Accepted", True, "Accepted", "The route is accepted", generation, now)
        if refused is not None:
            accepted = _condition("Accepted", False, *refused, generation, now)
        trouble = self._backend_trouble(route)
        resolved = _condition("ResolvedRefs", True, "ResolvedRefs", "All references are resolved", generation, now)
        if trouble is not None:
            resolved = _condition("ResolvedRefs", False, *trouble, generation, now)
        conditions = _merge(old.get("conditions"), [accepted, resolved])
        return {"parentRef": parent, "controllerName": controller, "conditions": conditions}

    def _backend_trouble(self, route: Obj) -> tuple[str, str] | None:
        for rule in route["spec"].get("rules") or ():
            for ref in rule.get("backendRefs") or ():
                kind, name = ref.get("kind") or "Service", ref["name"]
                namespace = ref.get("namespace") or objects.namespace_of(route)
                if kind != "Service" or ref.get("group"):
                    return "InvalidKind", f'Unsupported value: "{kind}": supported values: "Service"'
                if not attachment.granted(self.client, route, "HTTPRoute", namespace, "", "Service", name):
                    where = f"{namespace}/{name}"
                    return "RefNotPermitted", f"Backend ref to Service {where} not permitted by any ReferenceGrant"
                service = self.client.get("services", namespace, name)
                if service is None:
                    return "BackendNotFound", f'Service "{namespace}/{name}" not found'
                ports = {port["port"] for port in service["spec"].get("ports") or ()}
                if ref.get("port") not in ports:
                    return "BackendNotFound", f'Service "{namespace}/{name}" has no port {ref.get("port")}'
        return None


def _spec(obj: Obj) -> Any:
    return obj.get("spec"), objects.labels_of(obj)


def _ref_key(ref: Obj) -> tuple[Any, ...]:
    return tuple(ref.get(field) for field in ("group", "kind", "namespace", "name", "sectionName", "port"))


def _condition(type_: str, holds: bool, reason: str, message: str, generation: int, now: datetime) -> Obj:
    return new_condition(type_, str(holds), reason, message, now) | {"observedGeneration": generation}


def _merge(old: list[Obj] | None, new: list[Obj]) -> list[Obj]:
    """New conditions with the times of those whose status has not changed."""
    made = []
    for one in new:
        before = objects.condition(old, one["type"])
        same = before is not None and before["status"] == one["status"]
        made.append({**one, "lastTransitionTime": before["lastTransitionTime"]} if before and same else one)
    return made
