"""The behaviour of custom objects, made from one version of a CRD.

k8s.io/apiextensions-apiserver/pkg/registry/customresource/{strategy,validator}.go and tableconvertor.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from kuartui.embedded.crd import paths, rules
from kuartui.embedded.crd.structural import fill_defaults
from kuartui.embedded.crd.validation import list_errors, validate
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.fielderr import FieldError
from kuartui.embedded.meta.time import age

LARGEST = 2**31 - 1
AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_NAME = {"name": "Name", "type": "string", "format": "name", "priority": 0, "description": ""}


class CustomStrategy(Strategy):
    """Objects of one version of a CRD; stored objects are of its storage version."""

    create_on_update = False
    returns_deleted = False

    def __init__(self, version: Obj, stored: Obj) -> None:
        """`version` is served, `stored` is the storage version: what is checked is what is stored."""
        self._version = version
        self._schema: Obj = (stored.get("schema") or {}).get("openAPIV3Schema") or {}
        own = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        self._own = own if version is not stored else self._schema
        subresources = version.get("subresources") or {}
        self.has_status = "status" in subresources
        self._scale = subresources.get("scale")
        if self._scale:
            self.scale_paths = (
                self._scale["specReplicasPath"],
                self._scale["statusReplicasPath"],
                self._scale.get("labelSelectorPath", ""),
            )
        if version.get("deprecated"):
            self.deprecated = str(version.get("deprecationWarning") or "")
        self._ruled = rules.has_rules(orjson.dumps(self._schema).decode())
        self._columns = version.get("additionalPrinterColumns") or [AGE]

    def default(self, obj: Obj) -> None:
        fill_defaults(obj, self._schema)

    def validate(self, obj: Obj) -> list[FieldError]:
        return self._errors(obj, None)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self._errors(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self._errors(new, old)

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        fill_defaults(new, self._schema)

    def _errors(self, new: Obj, old: Obj | None) -> list[FieldError]:
        found = validate(new, self._schema) + list_errors(new, self._schema)
        if old is not None and found:
            # ratcheting: what was wrong before and is left alone may stay so
            before = set(map(str, validate(old, self._schema) + list_errors(old, self._schema)))
            found = [error for error in found if str(error) not in before]
        found += self._scale_errors(new)
        if self._ruled:
            found += [rules.NOT_CHECKED] if rules.blocked(found) else rules.errors_of(new, old, self._schema)
        return found

    def _scale_errors(self, obj: Obj) -> list[FieldError]:
        """k8s.io/apiextensions-apiserver/pkg/registry/customresource/validator.go, ValidateScale."""
        found: list[FieldError] = []
        for path in self.scale_paths[:2] if self._scale else ():
            value = paths.first(obj, path)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                kind = {str: "string", bool: "bool", float: "float64", dict: "map[string]interface {}"}.get(type(value))
                why = f"{path} accessor error: {value} is of the type {kind or '[]interface {}'}, expected int64"
                found.append(fielderr.invalid(path, 0, why))
            elif value < 0:
                found.append(fielderr.invalid(path, value, "should be a non-negative integer"))
            elif value > LARGEST:
                found.append(fielderr.invalid(path, value, f"should be less than or equal to {LARGEST}"))
        return found

    def fields(self, obj: Obj) -> dict[str, str]:
        found = {}
        for field in self._version.get("selectableFields") or ():
            value = paths.first(obj, field["jsonPath"])
            text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
            found[field["jsonPath"].removeprefix(".")] = text
        return found

    def columns(self, version: str) -> list[Obj] | None:
        return [
            _NAME,
            *(
                {
                    "name": column["name"],
                    "type": column["type"],
                    "format": column.get("format", ""),
                    "description": column.get("description")
                    or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
                    "priority": column.get("priority", 0),
                }
                for column in self._columns
            ),
        ]

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return [obj["metadata"]["name"], *(_cell(obj, column, now) for column in self._columns)]

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        if not self.has_status:
            return ()
        if subresource == "status":
            names = ("spec", *(name for name in self._schema.get("properties") or {} if name != "status"))
            return tuple((name,) for name in dict.fromkeys(names) if name not in ("apiVersion", "kind"))
        return (("status",),)


def _cell(obj: Obj, column: Obj, now: datetime) -> Any:
    found = paths.find(obj, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value, kind = found[0], column["type"]
    if kind == "string":
        return " ".join(_text(item) for item in found) if len(found) > 1 else _text(value)
    if kind == "date":
        return age(str(value), now) if isinstance(value, str) else None
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return None


def _text(value: Any) -> str:
    """As client-go's JSONPath prints: text plain, the rest as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
