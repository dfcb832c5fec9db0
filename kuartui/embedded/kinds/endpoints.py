"""Endpoints, the older form of EndpointSlices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("endpoints")
class Endpoints(Strategy):
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        for subset in obj.get("subsets") or []:
            for port in subset.get("ports") or []:
                if not port.get("protocol"):
                    port["protocol"] = "TCP"

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), format_endpoints(obj), cells.age(obj, now)]


def format_endpoints(obj: Obj) -> str:
    """The first three addresses with their ports."""
    subsets = obj.get("subsets") or []
    if not subsets:
        return cells.NONE
    found: list[str] = []
    for subset in subsets:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        found += [_host_port(ip, port.get("port", 0)) for port in ports for ip in addresses] if ports else addresses
    return cells.first_few(found)


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
