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
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.fielderr import FieldError, Path, internal, invalid

Obj = dict[str, Any]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CIDRS, ADDRESSES = "servicecidrs.networking.k8s.io", "ipaddresses.networking.k8s.io"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"

_TRIES = 64
_T = TypeVar("_T")


def allocate(service: Obj, old: Obj | None, ctx: WriteContext) -> None:
    """Fill in addresses and ports (in place). Raises StatusError if a wanted one is not to be had."""
    spec = service["spec"]
    name = service["metadata"].get("name", "")
    problems = _cluster_ip(spec, (old or {}).get("spec") or {}, ctx) or _ports(spec, (old or {}).get("spec") or {}, ctx)
    if problems:
        raise errors.invalid("", "Service", name, problems)


def _cluster_ip(spec: Obj, old: Obj, ctx: WriteContext) -> list[FieldError]:
    if spec.get("type") == "ExternalName":
        return []
    _families(spec)
    wanted = (spec.get("clusterIPs") or [spec.get("clusterIP") or ""])[0]
    if wanted == "None" or (wanted and wanted in (old.get("clusterIPs") or [])):
        return []
    if (old.get("clusterIPs") or [""])[0] not in ("", wanted) and old.get("type") != "ExternalName":
        return []  # validation refuses the change
    networks = _ranges(ctx)
    path = Path("spec").child("clusterIPs")
    if wanted:
        try:
            address = ipaddress.ip_address(wanted)
        except ValueError:
            return []  # validation words it
        why = ""
        if not any(_within(address, network) for network in networks):
            why = "the provided network does not match the current range"
        elif wanted in _used_addresses(ctx):
            why = "provided IP is already allocated"
        if why:
            return [invalid(path, spec.get("clusterIPs") or [wanted], f"failed to allocate IP {wanted}: {why}")]
        chosen = wanted
    else:
        used = _used_addresses(ctx)
        found = next(filter(None, (_free_address(network, used) for network in networks)), None)
        if found is None:
            return [internal(path, "failed to allocate a serviceIP: range is full")]
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


def _families(spec: Obj) -> None:
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = "SingleStack"
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv4"]


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


def _ports(spec: Obj, old: Obj, ctx: WriteContext) -> list[FieldError]:
    kind = spec.get("type")
    if kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local" and not spec.get("healthCheckNodePort"):
        port = _free_port(ctx, _used_ports(ctx))
        if port is not None:
            spec["healthCheckNodePort"] = port
    if kind != "NodePort" and not (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False):
        return []
    low, high = ctx.node_ports
    before = {(port.get("nodePort"), port.get("protocol")) for port in old.get("ports") or []}
    kept = {port for port, _ in before}
    used = _used_ports(ctx)
    mine: dict[int, set[str]] = {}
    problems = []
    for index, port in enumerate(spec.get("ports") or []):
        wanted, protocol = port.get("nodePort") or 0, port.get("protocol", "TCP")
        if not wanted:
            continue
        path = Path("spec").child("ports").index(index).child("nodePort")
        shared = wanted in mine and protocol not in mine[wanted]  # one number may serve TCP and UDP
        mine.setdefault(wanted, set()).add(protocol)
        if wanted in kept or shared:
            continue
        if not low <= wanted <= high:
            text = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
            problems.append(invalid(path, wanted, text))
        elif wanted in used:
            problems.append(invalid(path, wanted, "provided port is already allocated"))
    if problems:
        return problems
    used |= set(mine)
    same: dict[int, int] = {}  # a port number open for several protocols gets one node port
    for index, port in enumerate(spec.get("ports") or []):
        if port.get("nodePort"):
            continue
        number = port.get("port", 0)
        found = same.get(number) or _free_port(ctx, used)
        if found is None:
            path = Path("spec").child("ports").index(index).child("nodePort")
            return [internal(path, "failed to allocate a nodePort: range is full")]
        port["nodePort"] = same[number] = found
        used.add(found)
    return []


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
