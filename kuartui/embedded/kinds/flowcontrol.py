"""FlowSchemas and PriorityLevelConfigurations (pkg/apis/flowcontrol)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, flowcontrol_rules
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, register
from kuartui.embedded.kinds.fill import missing
from kuartui.embedded.meta.fielderr import FieldError

GROUP = "flowcontrol.apiserver.k8s.io"


@register(f"flowschemas.{GROUP}")
class FlowSchemas(Strategy):
    status_keeps = OWN_METADATA
    row_order = staticmethod(lambda obj: (obj["spec"].get("matchingPrecedence", 0), obj["metadata"]["name"]))

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("matchingPrecedence"):
            spec["matchingPrecedence"] = 1000

    def validate(self, obj: Obj) -> list[FieldError]:
        return flowcontrol_rules.flow_schema(obj)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        conditions = (obj.get("status") or {}).get("conditions") or []
        return [
            cells.name(obj),
            (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
            spec.get("matchingPrecedence", 0),
            (spec.get("distinguisherMethod") or {}).get("type") or cells.NONE,
            cells.age(obj, now),
            next((c.get("status", "") for c in conditions if c.get("type") == "Dangling"), "?"),
        ]


@register(f"prioritylevelconfigurations.{GROUP}")
class PriorityLevelConfigurations(Strategy):
    status_keeps = OWN_METADATA

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("type") == "Exempt":
            missing(spec, exempt={})
            missing(spec["exempt"], nominalConcurrencyShares=0, lendablePercent=0)
        limited = spec.get("limited")
        if limited is not None:
            missing(limited, nominalConcurrencyShares=30, lendablePercent=0)
            queuing = (limited.get("limitResponse") or {}).get("queuing")
            if queuing is not None:
                for field, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
                    if not queuing.get(field):
                        queuing[field] = value

    def validate(self, obj: Obj) -> list[FieldError]:
        return flowcontrol_rules.priority_level(obj)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        limited = spec.get("limited")
        queuing = ((limited or {}).get("limitResponse") or {}).get("queuing")
        queues = [cells.NONE] * 3
        if queuing is not None:
            queues = [queuing.get(field, 0) for field in ("queues", "handSize", "queueLengthLimit")]
        shares = cells.NONE if limited is None else limited.get("nominalConcurrencyShares", 0)
        return [cells.name(obj), spec.get("type", ""), shares, *queues, cells.age(obj, now)]
