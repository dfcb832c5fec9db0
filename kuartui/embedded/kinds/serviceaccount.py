"""ServiceAccounts (pkg/registry/core/serviceaccount)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register


@register("serviceaccounts")
class ServiceAccounts(Strategy):
    has_status = False
    generation = False

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), cells.age(obj, now)]
