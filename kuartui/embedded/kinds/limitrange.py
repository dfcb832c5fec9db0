"""LimitRanges (pkg/apis/core/{v1/defaults,validation})."""

from __future__ import annotations

from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("limitranges")
class LimitRanges(Strategy):
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        for item in (obj.get("spec") or {}).get("limits") or []:
            if item.get("type") == "Container":
                limits = {**(item.get("max") or {}), **(item.get("default") or {})}
                requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
                for field, amounts in (("default", limits), ("defaultRequest", requests)):
                    if amounts:
                        item[field] = amounts
