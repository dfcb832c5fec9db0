"""ControllerRevisions: what StatefulSets and DaemonSets remember (pkg/apis/apps/validation)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import non_negative
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, required


@register("controllerrevisions.apps")
class ControllerRevisions(Strategy):
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        errors = non_negative(obj, Path(), "revision")
        if obj.get("data") is None:
            errors.append(required("data", "data is mandatory"))
        elif not isinstance(obj["data"], dict):
            errors.append(required("data", "data must be a valid JSON object"))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = non_negative(new, Path(), "revision")
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
