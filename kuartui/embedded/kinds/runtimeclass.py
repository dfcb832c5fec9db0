"""RuntimeClasses (pkg/apis/node)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, invalid


@register("runtimeclasses.node.k8s.io")
class RuntimeClasses(Strategy):
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        handler = obj.get("handler", "")
        return [invalid("handler", handler, text) for text in names.dns1123_label(handler)]

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        if new.get("handler") != old.get("handler"):
            return [invalid("handler", new.get("handler", ""), "field is immutable")]
        return []

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), obj.get("handler", ""), cells.age(obj, now)]
