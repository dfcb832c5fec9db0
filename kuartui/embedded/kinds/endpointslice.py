"""EndpointSlices (pkg/apis/discovery, pkg/registry/discovery/endpointslice)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("endpointslices.discovery.k8s.io")
class EndpointSlices(Strategy):
    has_status = False

    def default(self, obj: Obj) -> None:
        for port in obj.get("ports") or []:
            if port.get("name") is None:
                port["name"] = ""
            if port.get("protocol") is None:
                port["protocol"] = "TCP"

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        ports = [
            "*" if port.get("port") is None and port.get("name") is None else str(port.get("port") or port.get("name"))
            for port in obj.get("ports") or []
        ]
        addresses = [one for endpoint in obj.get("endpoints") or [] for one in endpoint.get("addresses") or []]
        return [
            cells.name(obj),
            obj.get("addressType", ""),
            cells.first_few(ports) or cells.UNSET,
            cells.first_few(addresses) or cells.UNSET,
            cells.age(obj, now),
        ]
