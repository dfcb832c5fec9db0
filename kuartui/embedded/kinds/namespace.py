"""Namespaces: the phase, the finalizer that the namespace controller takes off, names that are DNS labels.

pkg/registry/core/namespace and pkg/apis/core/validation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid

NAME_LABEL = "kubernetes.io/metadata.name"


@register("namespaces")
class Namespaces(Strategy):
    generation = False
    parts = {"finalize": ("spec.finalizers",)}

    def default(self, obj: Obj) -> None:
        metadata = obj["metadata"]
        if metadata.get("name"):
            labels = metadata.get("labels") or {}
            labels[NAME_LABEL] = metadata["name"]
            metadata["labels"] = labels
        status = obj.get("status") or {}
        status.setdefault("phase", "Active")
        obj["status"] = status

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Active"}
        spec = obj.get("spec") or {}
        finalizers = spec.get("finalizers") or []
        if "kubernetes" not in finalizers:
            finalizers = [*finalizers, "kubernetes"]
        obj["spec"] = {**spec, "finalizers": finalizers}

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        if ctx.subresource != "finalize":
            new["spec"] = {**(new.get("spec") or {}), "finalizers": (old.get("spec") or {}).get("finalizers") or []}

    def validate(self, obj: Obj) -> list[FieldError]:
        path = Path("spec").child("finalizers")
        errors: list[FieldError] = []
        for index, finalizer in enumerate((obj.get("spec") or {}).get("finalizers") or []):
            at = path.index(index)
            errors += [invalid(at, finalizer, text) for text in names.qualified_name(finalizer)]
            if "/" not in finalizer and finalizer != "kubernetes":
                errors.append(
                    invalid(at, finalizer, "name is neither a standard finalizer name nor is it fully qualified")
                )
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return []

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        phase, going = new["status"]["phase"], new["metadata"].get("deletionTimestamp") is not None
        if phase == ("Terminating" if going else "Active"):
            return []
        text = (
            "'Terminating' if `deletionTimestamp` is not empty" if going else "'Active' if `deletionTimestamp` is empty"
        )
        return [invalid("status.Phase", phase, f"may only be {text}")]

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.dns1123_label(name, prefix)

    def prepare_delete(self, obj: Obj) -> None:
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}

    def held(self, obj: Obj) -> bool:
        return bool((obj.get("spec") or {}).get("finalizers"))

    def fields(self, obj: Obj) -> dict[str, str]:
        return {
            "status.phase": (obj.get("status") or {}).get("phase", ""),
            "name": obj.get("metadata", {}).get("name", ""),
        }

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), (obj.get("status") or {}).get("phase", ""), cells.age(obj, now)]
