"""What services must fulfil (ValidateService in pkg/apis/core/validation, warnings of pkg/api/service)."""

from __future__ import annotations

import ipaddress
from typing import Any

from kuartui.embedded.kinds.checks import (
    PROTOCOLS,
    balancer_points,
    cidr,
    cidr_warnings,
    dns_label,
    dns_subdomain,
    ip_address,
    ip_warnings,
    label_key,
    labels,
    one_of,
    ordinary_ip,
    port_number,
    port_or_name,
)
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

Obj = dict[str, Any]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
INTERNAL_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
_MAX_AFFINITY_SECONDS = 86400
_IP_MODES = ("Proxy", "VIP")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_SPEC = Path("spec")
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"
_ONLY_INTERNAL = "may not be set for ExternalName services"


def externally_accessible(spec: Obj) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def headless(spec: Obj) -> bool:
    return (spec.get("clusterIPs") or []) == ["None"]


def service_errors(service: Obj) -> list[FieldError]:
    """A service, new or changed."""
    spec, annotations = service.get("spec") or {}, service["metadata"].get("annotations") or {}
    kind, ports = spec.get("type", ""), spec.get("ports") or []
    errors: list[FieldError] = []
    if annotations.get(_MODE, "") != annotations.get(_HINTS, "") and _MODE in annotations and _HINTS in annotations:
        text = f"must match annotations[{_HINTS}] when both are specified"
        errors.append(invalid(Path("metadata.annotations").key(_MODE), annotations[_MODE], text))
    if not ports and not headless(spec) and kind != "ExternalName":
        errors.append(required(_SPEC / "ports"))
    errors += _by_type(spec, kind)
    errors += _ports(ports, _SPEC / "ports")
    errors += labels(spec.get("selector"), _SPEC / "selector")
    errors += _affinity(spec)
    errors += cluster_ip_errors(spec)
    for index, address in enumerate(spec.get("externalIPs") or []):
        at = (_SPEC / "externalIPs").index(index)
        errors += ip_address(address, at) or ordinary_ip(address, at)
    errors += one_of(kind, _SPEC / "type", TYPES)
    errors += _numbers(ports, kind, _SPEC / "ports")
    return errors + _balancer(spec, kind, annotations.get(_RANGES)) + _traffic(spec, kind)


def _by_type(spec: Obj, kind: str) -> list[FieldError]:
    if kind in ("LoadBalancer", "NodePort") and headless(spec):
        at = (_SPEC / "clusterIPs").index(0)
        return [invalid(at, "None", f"may not be set to 'None' for {kind} services")]
    if kind != "ExternalName":
        return []
    errors = [
        forbidden(_SPEC / f, _ONLY_INTERNAL) for f in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if spec.get(f)
    ]
    name = spec.get("externalName", "").removesuffix(".")
    return errors + (dns_subdomain(name, _SPEC / "externalName") if name else [required(_SPEC / "externalName")])


def _ports(ports: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at, name = path.index(index), port.get("name", "")
        if name:
            errors += dns_label(name, at / "name")
            if name in seen:
                errors.append(duplicate(at / "name", name))
            seen.add(name)
        elif len(ports) > 1:
            errors.append(required(at / "name"))
        errors += port_number(port.get("port", 0), at / "port")
        errors += one_of(port.get("protocol"), at / "protocol", PROTOCOLS)
        errors += port_or_name(port.get("targetPort"), at / "targetPort")
        if port.get("appProtocol") is not None:
            errors += label_key(port["appProtocol"], at / "appProtocol")
    return errors


def _numbers(ports: list[Obj], kind: str, path: Path) -> list[FieldError]:
    text = "may not be used when `type` is 'ClusterIP'"
    errors = [
        forbidden(path.index(index) / "nodePort", text)
        for index, port in enumerate(ports)
        if kind == "ClusterIP" and port.get("nodePort")
    ]
    nodes: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        node, protocol = port.get("nodePort", 0), port.get("protocol", "")
        if node and (protocol, node) in nodes:
            errors.append(duplicate(path.index(index) / "nodePort", node))
        nodes.add((protocol, node))
    taken: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        at, number, protocol = path.index(index), port.get("port", 0), port.get("protocol", "")
        if (protocol, number) in taken:
            shown = {
                "Name": "",
                "Protocol": protocol,
                "AppProtocol": None,
                "Port": number,
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.append(duplicate(at, shown))
        taken.add((protocol, number))
    return errors


def _affinity(spec: Obj) -> list[FieldError]:
    kind, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    path = _SPEC / "sessionAffinityConfig"
    errors = one_of(kind, _SPEC / "sessionAffinity", ("ClientIP", "None"))
    if kind == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            errors.append(required(path, "when session affinity type is ClientIP"))
        elif not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            text = f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}"
            errors.append(invalid(path / "clientIP" / "timeoutSeconds", seconds, text))
    elif kind == "None" and config is not None:
        errors.append(forbidden(path, "must not be set when session affinity is None"))
    return errors


def cluster_ip_errors(spec: Obj) -> list[FieldError]:
    """clusterIP, clusterIPs and their families: looked at before anything is allocated, and again with the rest."""
    if spec.get("type") == "ExternalName":
        return []
    one, many = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    path = _SPEC / "clusterIPs"
    errors: list[FieldError] = []
    if one and not many:
        errors.append(required(path))
    elif one and many[0] != one:
        errors.append(invalid(path, many, "first value must match `clusterIP`"))
    elif many and not one:
        errors.append(invalid(path, many, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        at = (_SPEC / "ipFamilies").index(index)
        if family not in ("IPv4", "IPv6"):
            errors.append(not_supported(at, family, ("IPv4", "IPv6")))
        if family in families[:index]:
            errors.append(duplicate(at, family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in ("PreferDualStack", "RequireDualStack", "SingleStack"):
        allowed = ("PreferDualStack", "RequireDualStack", "SingleStack")
        errors.append(not_supported(_SPEC / "ipFamilyPolicy", policy, allowed))
    bad = False
    for index, address in enumerate(many):
        if not index and address == "None":
            if len(many) > 1:
                bad = True
                errors.append(invalid(path, many, "'None' must be the first and only value"))
            continue
        problems = ip_address(address, path.index(index))
        bad = bad or bool(problems)
        errors += problems
    if len(many) > 2:
        errors.append(invalid(path, many, "may only hold up to 2 values"))
    if bad:
        return errors
    versions = [ipaddress.ip_address(address).version for address in many if address != "None"]
    if len(versions) > 1 and len(set(versions)) < len(versions):
        errors.append(invalid(path, many, "may specify no more than one IP for each IP family"))
    for index, (version, family) in enumerate(zip(versions, families, strict=False)):
        if family in ("IPv4", "IPv6") and f"IPv{version}" != family:
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.append(invalid(path.index(index), many[index], text))
    return errors


def _balancer(spec: Obj, kind: str, annotation: str | None) -> list[FieldError]:
    errors: list[FieldError] = []
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges:
        path = _SPEC / "LoadBalancerSourceRanges"  # so spelled
        if kind != "LoadBalancer":
            errors.append(forbidden(path, _ONLY_BALANCED))
        for index, value in enumerate(ranges):
            errors += cidr(value.strip(), path.index(index))
    elif annotation is not None:
        path = Path("metadata.annotations").key(_RANGES)
        if kind != "LoadBalancer":
            errors.append(forbidden(path, _ONLY_BALANCED))
        for value in annotation.strip().split(",") if annotation.strip() else ():
            errors += cidr(value.strip(), path)
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        errors.append(forbidden(_SPEC / "allocateLoadBalancerNodePorts", _ONLY_BALANCED))
    name = spec.get("loadBalancerClass")
    if name is not None:
        if kind == "LoadBalancer":
            errors += label_key(name, _SPEC / "loadBalancerClass")
        else:
            errors.append(forbidden(_SPEC / "loadBalancerClass", _ONLY_BALANCED))
    return errors


def _traffic(spec: Obj, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    policy, path = spec.get("externalTrafficPolicy"), _SPEC / "externalTrafficPolicy"
    if externally_accessible(spec):
        errors += one_of(policy, path, ("Cluster", "Local"))
    elif policy:
        errors.append(invalid(path, policy, "may only be set for externally-accessible services"))
    health = spec.get("healthCheckNodePort") or 0
    if kind == "LoadBalancer" and policy == "Local":
        errors += port_number(health, _SPEC / "healthCheckNodePort")
    elif health:
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid(_SPEC / "healthCheckNodePort", health, text))
    inside = spec.get("internalTrafficPolicy")
    if inside is None:
        if kind in INTERNAL_TYPES:
            errors.append(required(_SPEC / "internalTrafficPolicy"))
    elif inside not in ("Cluster", "Local"):
        errors.append(not_supported(_SPEC / "internalTrafficPolicy", inside, ("Cluster", "Local")))
    spread = spec.get("trafficDistribution")
    if spread is not None and spread not in _DISTRIBUTIONS:
        errors.append(not_supported(_SPEC / "trafficDistribution", spread, _DISTRIBUTIONS))
    return errors


def update_errors(new: Obj, old: Obj) -> list[FieldError]:
    """What may not change once set."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        errors += _kept(spec, before, "clusterIPs", "clusterIP")
        if headless(spec) == headless(before) is False:
            errors += _kept(spec, before, "ipFamilies", "ipFamily")
    both = spec.get("type") == before.get("type") == "LoadBalancer"
    if both and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        text = "may not change once set"
        errors.append(invalid(_SPEC / "loadBalancerClass", spec.get("loadBalancerClass"), text))
    local = spec.get("externalTrafficPolicy") == before.get("externalTrafficPolicy") == "Local"
    if both and local and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        errors.append(forbidden(_SPEC / "healthCheckNodePort", "field is immutable"))
    return errors


def _kept(spec: Obj, before: Obj, field: str, noun: str) -> list[FieldError]:
    now, was = spec.get(field) or [], before.get(field) or []
    if field == "clusterIPs" and headless(spec) and headless(before):
        return []
    path = (_SPEC / field).index(0)
    if was and not now:
        return [invalid(path, now or None, f"primary {noun} can not be unset")]
    if was and now and was[0] != now[0]:
        return [invalid(path, now, "may not change once set")]
    if len(was) == len(now) == 2 and was[1] != now[1]:
        return [invalid((_SPEC / field).index(1), now, "may not change once set")]
    if len(was) == 2 and len(now) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        text = f"must be set to 'SingleStack' when releasing the secondary {noun}"
        return [invalid(_SPEC / "ipFamilyPolicy", spec.get("ipFamilyPolicy"), text)]
    return []


def warnings(service: Obj) -> list[str]:
    """Fields that are set in vain."""
    spec = service.get("spec") or {}
    found = []
    if _HINTS in (service["metadata"].get("annotations") or {}):
        found.append(
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
            "service.kubernetes.io/topology-mode instead"
        )
    for index, address in enumerate(spec.get("clusterIPs") or []):
        found += ip_warnings(address, (_SPEC / "clusterIPs").index(index))
    headless = spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None"
    if headless:
        if spec.get("loadBalancerIP"):
            found.append("spec.loadBalancerIP is ignored for headless services")
        if spec.get("externalIPs"):
            found.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for index, address in enumerate(spec.get("externalIPs") or []):
        found += ip_warnings(address, (_SPEC / "externalIPs").index(index))
    if spec.get("externalIPs") and not headless and spec.get("type") != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        found += ip_warnings(spec["loadBalancerIP"], _SPEC / "loadBalancerIP")
    for index, block in enumerate(spec.get("loadBalancerSourceRanges") or []):
        found += cidr_warnings(block, (_SPEC / "loadBalancerSourceRanges").index(index))
    if spec.get("externalIPs") and spec.get("type") == "ExternalName":
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("externalName") and spec.get("type") != "ExternalName":
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def status_errors(obj: Obj) -> list[FieldError]:
    """ValidateServiceStatusUpdate: only a load balancer is reached from somewhere else."""
    points = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    path = Path("status.loadBalancer.ingress")
    if points and obj["spec"].get("type") != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    errors = balancer_points(points, path)
    for index, point in enumerate(points):
        mode, at = point.get("ipMode"), path.index(index) / "ipMode"
        if mode is not None and not point.get("ip"):
            errors.append(forbidden(at, "may not be specified when `ip` is not set"))
        elif mode is not None:
            errors += one_of(mode, at, _IP_MODES)
    return errors
