"""RuntimeClasses (pkg/apis/node)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import dns_label, labels
from kuartui.embedded.kinds.node_labels import DEPRECATED
from kuartui.embedded.kinds.pod_resources import requirements
from kuartui.embedded.kinds.pod_scheduling import tolerations
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid


@register("runtimeclasses.node.k8s.io")
class RuntimeClasses(Strategy):
    create_on_update = True
    unconditional_update = False
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        errors = dns_label(obj.get("handler", ""), Path("handler"))
        overhead = (obj.get("overhead") or {}).get("podFixed")
        if overhead:
            errors += requirements({"limits": overhead}, Path("overhead.podFixed"))
        scheduling = obj.get("scheduling") or {}
        errors += labels(scheduling.get("nodeSelector"), Path("scheduling.nodeSelector"))
        return errors + tolerations(scheduling.get("tolerations") or [], Path("scheduling.tolerations"))

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        if new.get("handler") != old.get("handler"):
            return [invalid("handler", new.get("handler", ""), "field is immutable")]
        return []

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        selector = (obj.get("scheduling") or {}).get("nodeSelector") or {}
        return [f"scheduling.nodeSelector: {DEPRECATED[key]}" for key in sorted(selector) if key in DEPRECATED]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), obj.get("handler", ""), cells.age(obj, now)]
