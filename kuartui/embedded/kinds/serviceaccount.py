"""ServiceAccounts (pkg/registry/core/serviceaccount)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register

_ENFORCED = "kubernetes.io/enforce-mountable-secrets"


@register("serviceaccounts")
class ServiceAccounts(Strategy):
    returns_deleted = True
    has_status = False
    generation = False

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        was = old is not None and _ENFORCED in (old["metadata"].get("annotations") or {})
        if was or _ENFORCED not in (obj["metadata"].get("annotations") or {}):
            return []
        text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        return [f"metadata.annotations[{_ENFORCED}]: {text}"]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), cells.age(obj, now)]
