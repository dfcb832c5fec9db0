"""Services: defaults, the row, what may change (pkg/apis/core/v1/defaults.go, pkg/registry/core/service)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, service_allocation, service_rules
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.fill import empty
from kuartui.embedded.kinds.service_rules import INTERNAL_TYPES, externally_accessible
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError

_AFFINITY_SECONDS = 10800


@register("services")
class Services(Strategy):
    returns_deleted = True
    create_on_update = True
    generation = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("sessionAffinity"):
            spec["sessionAffinity"] = "None"
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        if spec["sessionAffinity"] == "ClientIP":
            client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
            if client.get("timeoutSeconds") is None:
                spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}}
        if not spec.get("type"):
            spec["type"] = "ClusterIP"
        for port in spec.get("ports") or []:
            if not port.get("protocol"):
                port["protocol"] = "TCP"
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        if externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
            spec["externalTrafficPolicy"] = "Cluster"
        if spec["type"] in INTERNAL_TYPES and spec.get("internalTrafficPolicy") is None:
            spec["internalTrafficPolicy"] = "Cluster"
        if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        status = obj.get("status") or {}
        balancer = status.setdefault("loadBalancer", {})
        for point in balancer.get("ingress") or []:
            if point.get("ip") and point.get("ipMode") is None:
                point["ipMode"] = "VIP"
        obj["status"] = status

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        _normalize(obj["spec"], None)
        _drop_unused(obj["spec"])
        service_allocation.allocate(obj, None, ctx)
        obj["status"] = {"loadBalancer": {}}

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        _patch_allocated(new["spec"], old["spec"])
        _normalize(new["spec"], old["spec"])
        _drop_type_dependent(new["spec"], old["spec"])
        service_allocation.allocate(new, old, ctx)

    def settle(self, obj: Obj, old: Obj | None, ctx: WriteContext) -> None:
        service_allocation.verify(obj, old, ctx)

    def validate(self, obj: Obj) -> list[FieldError]:
        return service_rules.service_errors(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return service_rules.update_errors(new, old) + service_rules.service_errors(new)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return service_rules.status_errors(new)

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.dns1123_label(name, prefix)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        return service_rules.warnings(obj)

    def fields(self, obj: Obj) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.clusterIP": spec.get("clusterIP", ""), "spec.type": spec.get("type", "")}

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        addresses = spec.get("clusterIPs") or [cells.NONE]
        ports = ",".join(
            f"{port.get('port', 0)}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol')}"
            for port in spec.get("ports") or []
        )
        return [
            cells.name(obj),
            spec.get("type", ""),
            addresses[0],
            _external(obj),
            ports or cells.NONE,
            cells.age(obj, now),
            cells.labels(spec.get("selector")),
        ]


def _external(obj: Obj) -> str:
    spec = obj.get("spec") or {}
    kind = spec.get("type")
    given = spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(given) or cells.NONE
    if kind == "LoadBalancer":
        balanced = cells.load_balancer((obj.get("status") or {}).get("loadBalancer"))
        return ",".join(filter(None, [balanced, *given])) or "<pending>"
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    return "<unknown>"


def _normalize(spec: Obj, old: Obj | None) -> None:
    """Keep clusterIP and clusterIPs[0] the same thing, whichever a client knows (normalizeClusterIPs)."""
    one, many = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if old is None:
        if one and not many:
            spec["clusterIPs"] = [one]
        return
    before, before_many = old.get("clusterIP") or "", old.get("clusterIPs") or []
    if one == before:
        return
    if not one and many == before_many:
        spec.pop("clusterIPs", None)
    elif one and many == before_many:
        spec["clusterIPs"] = [one]


def _patch_allocated(new: Obj, old: Obj) -> None:
    """An update without the allocated values means "as they are" (patchAllocatedValues)."""
    if _needs_cluster_ip(old) and _needs_cluster_ip(new):
        if not new.get("clusterIP") and old.get("clusterIP"):
            new["clusterIP"] = old["clusterIP"]
        if not new.get("clusterIPs") and new.get("clusterIP") == old.get("clusterIP") and old.get("clusterIPs"):
            new["clusterIPs"] = list(old["clusterIPs"])
    if _needs_node_port(old) and _needs_node_port(new):
        before = {(p.get("port"), p.get("protocol")): p.get("nodePort") for p in old.get("ports") or []}
        taken = {p.get("nodePort") for p in new.get("ports") or []}
        for port in new.get("ports") or []:
            known = before.get((port.get("port"), port.get("protocol")))
            if not port.get("nodePort") and known and known not in taken:
                port["nodePort"] = known
                taken.add(known)
    if _needs_health_port(old) and _needs_health_port(new) and old.get("healthCheckNodePort"):
        empty(new, healthCheckNodePort=old["healthCheckNodePort"])


def _drop_unused(spec: Obj) -> None:
    if spec.get("type") != "LoadBalancer":
        spec.pop("allocateLoadBalancerNodePorts", None)


def _drop_type_dependent(new: Obj, old: Obj) -> None:
    """Fields that a change of type makes meaningless go, unless the writer changed them too."""
    if _needs_cluster_ip(old) and not _needs_cluster_ip(new):
        if new.get("clusterIP") == old.get("clusterIP") and new.get("clusterIPs") == old.get("clusterIPs"):
            for field in ("clusterIP", "clusterIPs"):
                new.pop(field, None)
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if new.get(field) == old.get(field):
                new.pop(field, None)
    if _needs_node_port(old) and not _needs_node_port(new):
        before = [p.get("nodePort") for p in old.get("ports") or []]
        if [p.get("nodePort") for p in new.get("ports") or []] == before:
            for port in new.get("ports") or []:
                port.pop("nodePort", None)
    for needs, field in (
        (_needs_health_port, "healthCheckNodePort"),
        (_is_balanced, "allocateLoadBalancerNodePorts"),
        (_is_balanced, "loadBalancerClass"),
        (externally_accessible, "externalTrafficPolicy"),
        (_needs_cluster_ip, "internalTrafficPolicy"),
    ):
        if needs(old) and not needs(new) and new.get(field) == old.get(field):
            new.pop(field, None)


def _needs_cluster_ip(spec: Obj) -> bool:
    return spec.get("type") != "ExternalName"


def _needs_node_port(spec: Obj) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def _needs_health_port(spec: Obj) -> bool:
    return _is_balanced(spec) and spec.get("externalTrafficPolicy") == "Local"


def _is_balanced(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer"
