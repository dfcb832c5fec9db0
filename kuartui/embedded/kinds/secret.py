"""Secrets: types and the keys they require, stringData, size, immutability.

pkg/apis/core/validation (ValidateSecret) and pkg/registry/core/secret.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, required, too_long

MAX_BYTES = 1024 * 1024
_IMMUTABLE = "field is immutable when `immutable` is set"
_ACCOUNT = "kubernetes.io/service-account.name"
_TLS = "kubernetes.io/tls"
_REQUIRED: dict[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    _TLS: ("tls.crt", "tls.key"),
}


@register("secrets")
class Secrets(Strategy):
    has_status = False
    generation = False

    def default(self, obj: Obj) -> None:
        if not obj.get("type"):
            obj["type"] = "Opaque"
        texts = obj.pop("stringData", None)
        if texts:
            data = obj.setdefault("data", {}) or {}
            data.update({key: base64.b64encode(text.encode()).decode() for key, text in texts.items()})
            obj["data"] = data

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        if not new.get("type"):
            new["type"] = old.get("type", "Opaque")

    def validate(self, obj: Obj) -> list[FieldError]:
        data = obj.get("data") or {}
        errors = []
        size = 0
        for key, value in data.items():
            errors += [invalid(Path("data").key(key), key, text) for text in names.config_map_key(key)]
            size += len(value or "") * 3 // 4
        if size > MAX_BYTES:
            errors.append(too_long("data", MAX_BYTES))
        return errors + _type_errors(obj, data)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = []
        if new.get("type") != old.get("type"):
            errors.append(invalid("type", new.get("type"), "field is immutable"))
        if old.get("immutable"):
            if not new.get("immutable"):
                errors.append(forbidden("immutable", _IMMUTABLE))
            if (new.get("data") or {}) != (old.get("data") or {}):
                errors.append(forbidden("data", _IMMUTABLE))
        return errors + self.validate(new)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        if obj.get("type") != _TLS:
            return []
        from kuartui.embedded.kinds import tls_pair

        certificate, key = (base64.b64decode((obj.get("data") or {}).get(name) or "") for name in _REQUIRED[_TLS])
        why = tls_pair.complaint(certificate, key)
        return [why] if why else []

    def fields(self, obj: Obj) -> dict[str, str]:
        return {"type": obj.get("type", "")}

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [cells.name(obj), obj.get("type", ""), len(obj.get("data") or {}), cells.age(obj, now)]


def _type_errors(obj: Obj, data: Obj) -> list[FieldError]:
    kind = obj.get("type", "")
    path = Path("data")
    if kind == "kubernetes.io/service-account-token":
        annotations = (obj["metadata"].get("annotations")) or {}
        if annotations.get(_ACCOUNT):
            return []
        return [required(Path("metadata").child("annotations").key(_ACCOUNT))]
    if kind == "kubernetes.io/basic-auth":
        if "username" in data or "password" in data:
            return []
        return [required(path.key("username")), required(path.key("password"))]
    errors = [required(path.key(key)) for key in _REQUIRED.get(kind, ()) if key not in data]
    if not errors and kind.startswith("kubernetes.io/dockerc"):
        key = _REQUIRED[kind][0]
        problem = _json_problem(data[key])
        if problem:
            errors.append(invalid(path.key(key), "<secret contents redacted>", problem))
    return errors


def _json_problem(encoded: str | None) -> str:
    """Go's words for what is wrong with the JSON in a registry secret, "" if nothing is."""
    from kuartui.embedded.kinds import json_error

    return json_error.problem(base64.b64decode(encoded or "").decode(errors="replace"))
