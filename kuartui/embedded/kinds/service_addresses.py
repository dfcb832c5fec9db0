"""IPAddresses and ServiceCIDRs: what cluster IPs are taken from (pkg/apis/networking)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("ipaddresses.networking.k8s.io")
class IpAddresses(Strategy):
    has_status = False
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        ref = (obj.get("spec") or {}).get("parentRef") or {}
        group = ref.get("group")
        resource = ref.get("resource", "") + (f".{group}" if group else "")
        return [cells.name(obj), "/".join(filter(None, [resource, ref.get("namespace"), ref.get("name")]))]


@register("servicecidrs.networking.k8s.io")
class ServiceCidrs(Strategy):
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), ",".join((obj.get("spec") or {}).get("cidrs") or []), cells.age(obj, now)]
