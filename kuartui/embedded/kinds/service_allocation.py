"""Cluster IPs and node ports for services, taken from what the stored services leave free.

pkg/registry/core/service/storage/alloc.go, with the errors of its allocators. The lower part of each range is kept
for addresses and ports that people choose, as there.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from typing import Any, TypeVar

from kuartui.embedded.kinds.base import WriteContext
from kuartui.embedded.kinds.service_rules import cluster_ip_errors
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid

Obj = dict[str, Any]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CIDRS, ADDRESSES = "servicecidrs.networking.k8s.io", "ipaddresses.networking.k8s.io"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"

FAMILY = "IPv4"
"""The one that clusters are configured for."""
SINGLE, DUAL = "SingleStack", "RequireDualStack"

_TRIES = 64
_T = TypeVar("_T")


def allocate(service: Obj, old: Obj | None, ctx: WriteContext) -> None:
    """Fill in families, addresses and ports (in place). Raises StatusError if a wanted one is not to be had."""
    spec, before = service["spec"], (old or {}).get("spec") or {}
    problems = _families(spec, before) or _cluster_ip(spec, before, ctx)
    if not problems and spec.get("type") in ("NodePort", "LoadBalancer"):
        problems = _update_ports(spec, before, ctx) if old else _create_ports(spec, ctx)
    if problems:
        raise errors.invalid("", "Service", service["metadata"].get("name", ""), problems)
    _health_port(spec, before, ctx)


def verify(service: Obj, old: Obj | None, ctx: WriteContext) -> None:
    """Raises StatusError if another service has one of the new addresses or ports by now."""
    if old is not None and _allocated(old) == _allocated(service):
        return
    spec, uid = service["spec"], service["metadata"].get("uid")
    others = [one["spec"] for one in ctx.objects("services") if one["metadata"].get("uid") != uid]
    problems = [
        invalid(
            Path("spec") / "clusterIPs",
            spec["clusterIPs"],
            f"failed to allocate IP {ip}: provided IP is already allocated",
        )
        for ip in spec.get("clusterIPs") or ()
        if ip != "None" and any(ip in (other.get("clusterIPs") or ()) for other in others)
    ]
    taken = {
        (port.get("nodePort"), port.get("protocol", "TCP")) for other in others for port in other.get("ports") or ()
    }
    problems += [
        invalid(_node_port_path(index), port["nodePort"], "provided port is already allocated")
        for index, port in enumerate(spec.get("ports") or ())
        if port.get("nodePort") and (port["nodePort"], port.get("protocol", "TCP")) in taken
    ]
    if problems:
        raise errors.invalid("", "Service", service["metadata"].get("name", ""), problems)


def _allocated(service: Obj) -> tuple[list[str], list[int]]:
    spec = service["spec"]
    return list(spec.get("clusterIPs") or ()), [port.get("nodePort") or 0 for port in spec.get("ports") or ()]


def _families(spec: Obj, old: Obj) -> list[FieldError]:
    """Settle ipFamilyPolicy and ipFamilies (initIPFamilyFields), as on a cluster with IPv4 alone."""
    if spec.get("type") == "ExternalName":
        return []
    open_headless = spec.get("clusterIP") == "None" and not spec.get("selector")
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = old.get("ipFamilyPolicy") or (DUAL if open_headless else SINGLE)
    problems = cluster_ip_errors(spec) or _reduced(spec, old)
    policy, at = spec["ipFamilyPolicy"], Path("spec") / "ipFamilyPolicy"
    if not problems and policy == SINGLE:
        for field, noun in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            if len(spec.get(field) or ()) > 1:
                text = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {noun} are specified"
                problems.append(invalid(at, policy, text))
    if problems:
        return problems
    families = list(spec.get("ipFamilies") or ())
    addresses = [one for one in spec.get("clusterIPs") or () if one != "None"]
    for index in range(len(families), len(addresses)):
        family = f"IPv{ipaddress.ip_address(addresses[index]).version}"
        if family == FAMILY:
            families.append(family)
        else:
            text = f"{family} is not configured on this cluster"
            problems.append(invalid((Path("spec") / "clusterIPs").index(index), addresses, text))
    if problems:
        return problems
    if open_headless:  # nothing is allocated for it: it may have both families anywhere
        families = families or [FAMILY]
        if len(families) == 1 and policy != SINGLE:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families
        return []
    if policy == DUAL:
        problems.append(invalid(at, policy, "this cluster is not configured for dual-stack services"))
    path = Path("spec") / "ipFamilies"
    problems += [
        invalid(path.index(index), family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family != FAMILY
    ]
    spec["ipFamilies"] = families or [FAMILY]
    return problems


def _reduced(spec: Obj, old: Obj) -> list[FieldError]:
    """A change to a single stack drops what is second; the second one goes in no other way."""
    problems = []
    for field, noun in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        now, was = spec.get(field) or [], old.get(field) or []
        if spec["ipFamilyPolicy"] == SINGLE:
            if was and now == was:
                spec[field] = now[:1]
        elif now and len(now) < len(was):
            text = f"must be 'SingleStack' to release the secondary {noun}"
            problems.append(invalid(Path("spec") / "ipFamilyPolicy", spec["ipFamilyPolicy"], text))
    return problems


def _cluster_ip(spec: Obj, old: Obj, ctx: WriteContext) -> list[FieldError]:
    if spec.get("type") == "ExternalName":
        return []
    wanted = (spec.get("clusterIPs") or [""])[0]
    if wanted == "None" or (wanted and wanted in (old.get("clusterIPs") or [])):
        return []
    if (old.get("clusterIPs") or [""])[0] not in ("", wanted) and old.get("type") != "ExternalName":
        return []  # validation refuses the change
    networks = _ranges(ctx)
    if wanted:
        address = ipaddress.ip_address(wanted)
        why = ""
        if not any(_within(address, network) for network in networks):
            why = "the provided network does not match the current range"
        elif wanted in _used_addresses(ctx):
            why = "provided IP is already allocated"
        if why:
            path = Path("spec").child("clusterIPs")
            return [invalid(path, spec["clusterIPs"], f"failed to allocate IP {wanted}: {why}")]
        chosen = wanted
    else:
        used = _used_addresses(ctx)
        found = next(filter(None, (_free_address(network, used) for network in networks)), None)
        if found is None:
            raise errors.internal("failed to allocate a serviceIP: range is full")
        chosen = found
    spec["clusterIP"] = chosen
    spec["clusterIPs"] = [chosen]
    return []


def ready(cidr: Obj) -> bool:
    """Whether addresses may be taken from a ServiceCIDR."""
    conditions = (cidr.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _ranges(ctx: WriteContext) -> list[Network]:
    """Those of the ServiceCIDRs that are ready and stay, in the order of their names."""
    found = [
        ipaddress.ip_network(cidr)
        for one in ctx.objects(CIDRS)
        if ready(one) and not one["metadata"].get("deletionTimestamp")
        for cidr in one["spec"].get("cidrs") or ()
    ]
    return [one for one in found if one.version == 4] or [ipaddress.ip_network(ctx.service_cidr)]


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: Network) -> bool:
    return address in network and address not in (network.network_address, network.broadcast_address)


def _used_addresses(ctx: WriteContext) -> set[str]:
    used = {ip for service in ctx.objects("services") for ip in (service.get("spec") or {}).get("clusterIPs") or []}
    for one in ctx.objects(ADDRESSES):  # those that somebody reserved; the others only follow Services
        if (one["metadata"].get("labels") or {}).get(MANAGED_BY) != ALLOCATOR:
            used.add(one["metadata"]["name"])
    return used


def _free_address(network: Network, used: set[str]) -> str | None:
    size = network.num_addresses - 2
    static = min(max(16, size // 16), 256)  # the band that people choose from

    def at(offset: int) -> str:
        return str(network.network_address + 1 + offset)

    return _pick(size, static if size > static else 0, at, used)


def _create_ports(spec: Obj, ctx: WriteContext) -> list[FieldError]:
    """Node ports of a new service: one for each number, whatever the protocols (initNodePorts)."""
    used = _used_ports(ctx)
    same: dict[int, int] = {}
    ports = spec.get("ports") or []
    for index, port in enumerate(ports):
        number, node = port.get("port", 0), port.get("nodePort") or 0
        if not node and not _allocates(spec):
            continue
        if number in same and node in (0, same[number]):
            port["nodePort"] = same[number]
            continue
        asked = [one["nodePort"] for one in ports if one.get("port") == number and one.get("nodePort")]
        wanted = node if number in same else next(iter(asked), 0)
        why = _refused(wanted, used, ctx) if wanted else ""
        if why:
            return [invalid(_node_port_path(index), wanted, why)]
        chosen = wanted or _some_port(ctx, used)
        used.add(chosen)
        same.setdefault(number, chosen)
        port["nodePort"] = chosen
    return []


def _update_ports(spec: Obj, old: Obj, ctx: WriteContext) -> list[FieldError]:
    """Node ports of a service that changes: what it had stays its own (updateNodePorts)."""
    used = _used_ports(ctx)
    kept = {port.get("nodePort") for port in old.get("ports") or []}
    mine: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or []):
        wanted, protocol = port.get("nodePort") or 0, port.get("protocol", "TCP")
        if not wanted and not _allocates(spec):
            continue
        if wanted and wanted not in kept and wanted not in {number for _, number in mine}:
            why = _refused(wanted, used, ctx)
            if why:
                return [invalid(_node_port_path(index), wanted, why)]
        chosen = wanted or _some_port(ctx, used)
        if (protocol, chosen) in mine:
            raise errors.go_error(f"duplicate nodePort: {{{protocol} {chosen}}}")
        used.add(chosen)
        mine.add((protocol, chosen))
        port["nodePort"] = chosen
    return []


def _health_port(spec: Obj, old: Obj, ctx: WriteContext) -> None:
    """The port where nodes tell a load balancer whether they have endpoints."""
    wanted = spec.get("healthCheckNodePort") or 0
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        return
    if wanted and wanted == old.get("healthCheckNodePort"):
        return
    used = _used_ports(ctx) | {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}
    why = _refused(wanted, used, ctx) if wanted else ""
    if why:
        raise errors.internal(f"failed to allocate requested HealthCheck NodePort {wanted}: {why}")
    spec["healthCheckNodePort"] = wanted or _some_port(ctx, used)


def _allocates(spec: Obj) -> bool:
    return spec.get("type") == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False


def _node_port_path(index: int) -> Path:
    return Path("spec").child("ports").index(index).child("nodePort")


def _refused(wanted: int, used: set[int], ctx: WriteContext) -> str:
    """Why a port cannot be had; "" if it can."""
    low, high = ctx.node_ports
    if not low <= wanted <= high:
        return f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
    return "provided port is already allocated" if wanted in used else ""


def _some_port(ctx: WriteContext, used: set[int]) -> int:
    found = _free_port(ctx, used)
    if found is None:
        raise errors.internal("failed to allocate a nodePort: range is full")
    return found


def _used_ports(ctx: WriteContext) -> set[int]:
    used = set()
    for service in ctx.objects("services"):
        spec = service.get("spec") or {}
        used |= {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}
        used |= {spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set()
    return used


def _free_port(ctx: WriteContext, used: set[int]) -> int | None:
    low, high = ctx.node_ports
    size = high - low + 1
    static = min(max(16, size // 32), 128)
    return _pick(size, static if size > static else 0, lambda offset: low + offset, used)


def _pick(size: int, static: int, at: Callable[[int], _T], used: set[_T]) -> _T | None:
    """A random free one from the upper band; when that seems full, the first free one of all."""
    for _ in range(_TRIES):
        chosen = at(random.randrange(static, size))
        if chosen not in used:
            return chosen
    for offset in (*range(static, size), *range(static)):
        if at(offset) not in used:
            return at(offset)
    return None
