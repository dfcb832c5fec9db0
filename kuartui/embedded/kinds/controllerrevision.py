"""ControllerRevisions: what StatefulSets and DaemonSets remember (pkg/apis/apps/validation)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.meta.fielderr import FieldError, invalid, required


@register("controllerrevisions.apps")
class ControllerRevisions(Strategy):
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        errors = []
        if obj.get("data") is None:
            errors.append(required("data", "data is mandatory"))
        if obj.get("revision", 0) < 0:
            errors.append(invalid("revision", obj["revision"], "must be greater than or equal to 0"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = self.validate(new)
        if new.get("data") != old.get("data"):
            errors.append(invalid("data", new.get("data"), "field is immutable"))
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), _controller(obj), obj.get("revision", 0), cells.age(obj, now)]


def _controller(obj: Obj) -> str:
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}{'.' + group if group else ''}/{owner.get('name', '')}"
    return cells.NONE
