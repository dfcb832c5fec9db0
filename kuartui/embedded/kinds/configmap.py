"""ConfigMaps: keys, size, immutability (pkg/apis/core/validation, pkg/registry/core/configmap)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, too_long

MAX_BYTES = 1024 * 1024
_IMMUTABLE = "field is immutable when `immutable` is set"


@register("configmaps")
class ConfigMaps(Strategy):
    has_status = False
    generation = False

    def validate(self, obj: Obj) -> list[FieldError]:
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        errors = []
        for key in data:
            errors += [invalid(Path("data").key(key), key, text) for text in names.config_map_key(key)]
            if key in binary:
                errors.append(invalid(Path("data").key(key), key, "duplicate of key present in binaryData"))
        for key in binary:
            errors += [invalid(Path("binaryData").key(key), key, text) for text in names.config_map_key(key)]
        size = sum(len(value.encode()) for value in data.values()) + sum(_decoded(value) for value in binary.values())
        if size > MAX_BYTES:
            errors.append(too_long("[]", MAX_BYTES))  # an empty path, as Go prints it
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = []
        if old.get("immutable"):
            if not new.get("immutable"):
                errors.append(forbidden("immutable", _IMMUTABLE))
            errors += [
                forbidden(field, _IMMUTABLE)
                for field in ("data", "binaryData")
                if (new.get(field) or {}) != (old.get(field) or {})
            ]
        return errors + self.validate(new)

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        count = len(obj.get("data") or {}) + len(obj.get("binaryData") or {})
        return [cells.name(obj), count, cells.age(obj, now)]


def _decoded(text: str) -> int:
    """Bytes that base64 text stands for."""
    return len(text) * 3 // 4 - text.count("=")
