"""NetworkPolicies (pkg/apis/networking)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("networkpolicies.networking.k8s.io")
class NetworkPolicies(Strategy):
    has_status = False

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podSelector", {})
        for direction in ("ingress", "egress"):
            for rule in spec.get(direction) or []:
                for port in (rule or {}).get("ports") or []:
                    if port.get("protocol") is None:
                        port["protocol"] = "TCP"
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        selector = (obj.get("spec") or {}).get("podSelector")
        return [cells.name(obj), cells.selector_or_none(selector), cells.age(obj, now)]
