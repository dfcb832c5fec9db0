"""CertificateSigningRequests: who asks is written down by the server (pkg/apis/certificates, its registry)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells, csr_rules
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, WriteContext, register
from kuartui.embedded.meta.fielderr import FieldError
from kuartui.embedded.meta.time import format_time, human_duration


@register("certificatesigningrequests.certificates.k8s.io")
class CertificateSigningRequests(Strategy):
    generation = False
    parts = {"approval": ("status.conditions", *(f"metadata.{field}" for field in OWN_METADATA))}

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        spec = obj.setdefault("spec", {})
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        if ctx.user:
            spec["username"] = ctx.user
        if ctx.uid:
            spec["uid"] = ctx.uid
        if ctx.groups:
            spec["groups"] = list(ctx.groups)
        if ctx.extra:
            spec["extra"] = {key: list(values) for key, values in ctx.extra.items()}

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        new["spec"] = old.get("spec") or {}
        self._stamp(new, ctx)

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        self._stamp(new, ctx)

    def _stamp(self, obj: Obj, ctx: WriteContext) -> None:
        """Conditions get the times that their writer left out."""
        now = format_time(ctx.now) if ctx.now else None
        for condition in (obj.get("status") or {}).get("conditions") or []:
            condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
            condition["lastTransitionTime"] = condition.get("lastTransitionTime") or now

    def validate(self, obj: Obj) -> list[FieldError]:
        return csr_rules.create_errors(obj.get("spec") or {}) + csr_rules.condition_errors(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return csr_rules.update_errors(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return csr_rules.status_errors(new, old)

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        return super().reset_fields(subresource) if subresource else (("spec",), ("status",))

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return []

    def fields(self, obj: Obj) -> dict[str, str]:
        return {"spec.signerName": (obj.get("spec") or {}).get("signerName", "")}

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        spec = obj.get("spec") or {}
        seconds = spec.get("expirationSeconds")
        return [
            cells.name(obj),
            cells.age(obj, now),
            spec.get("signerName") or cells.NONE,
            spec.get("username", ""),
            cells.NONE if seconds is None else human_duration(seconds),
            _condition(obj.get("status") or {}),
        ]


def _condition(status: Obj) -> str:
    types = {condition.get("type") for condition in status.get("conditions") or []}
    text = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    if "Failed" in types:
        text += ",Failed"
    return text + (",Issued" if status.get("certificate") else "")
