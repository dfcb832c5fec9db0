"""Ingresses (pkg/apis/networking, pkg/registry/networking/ingress, printIngress)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register

_HOSTS_SHOWN = 3


@register("ingresses.networking.k8s.io")
class Ingresses(Strategy):
    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {})
        status = obj.get("status") or {}
        status.setdefault("loadBalancer", {})
        obj["status"] = status

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        return [
            cells.name(obj),
            cells.NONE if spec.get("ingressClassName") is None else spec["ingressClassName"],
            _hosts(spec.get("rules") or []),
            cells.load_balancer((obj.get("status") or {}).get("loadBalancer")),
            "80, 443" if spec.get("tls") else "80",
            cells.age(obj, now),
        ]


def _hosts(rules: list[Obj]) -> str:
    found: list[str] = []
    more = False
    for rule in rules:
        if len(found) == _HOSTS_SHOWN:
            more = True
        elif rule.get("host"):
            found.append(rule["host"])
    if not found:
        return "*"
    return ",".join(found) + (f" + {len(rules) - _HOSTS_SHOWN} more..." if more else "")
