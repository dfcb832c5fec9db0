"""The behaviour of custom objects, made from one version of a CRD.

k8s.io/apiextensions-apiserver/pkg/registry/customresource/{strategy,validator}.go and tableconvertor.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from kuartui.embedded.crd import paths
from kuartui.embedded.crd.structural import fill_defaults, pruned
from kuartui.embedded.crd.versions import priority, schema_of
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, WriteContext
from kuartui.embedded.meta import fielderr
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.fielderr import FieldError
from kuartui.embedded.meta.gofmt import go_print
from kuartui.embedded.meta.time import age, parse_time

LARGEST = 2**31 - 1
STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_NAME = {"name": "Name", "type": "string", "format": "name", "priority": 0, "description": ""}


class CustomStrategy(Strategy):
    """Objects of one version of a CRD; stored objects are of its storage version."""

    create_on_update = False
    returns_deleted = False
    unconditional_update = False
    qualified_finalizers = False
    status_keeps = OWN_METADATA

    ending = False
    """Whether the CRD is being deleted: then there are no new objects."""

    def __init__(self, crd: Obj, version: Obj) -> None:
        self._version = version
        self._schemas = {one["name"]: schema_of(one) for one in crd["spec"]["versions"]}
        self._schema = self._schemas[version["name"]]
        conversion = crd["spec"].get("conversion") or {}
        self.conversion = conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None
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
            self.deprecated = str(version.get("deprecationWarning") or deprecation(crd, version["name"]))
        raw = orjson.dumps(self._schema)
        self._ruled = b'"x-kubernetes-validations"' in raw
        self._embeds = b'"x-kubernetes-embedded-resource":true' in raw
        self._columns = version.get("additionalPrinterColumns") or [AGE]

    def convert(self, obj: Obj, version: str) -> Obj:
        """Conversion without a webhook changes apiVersion; then the schema of the version is all that is left."""
        result = self.complete(obj)
        result["apiVersion"] = f"{result['apiVersion'].rpartition('/')[0]}/{version}"
        return self.accept(result, version)

    def complete(self, obj: Obj) -> Obj:
        result: Obj = orjson.loads(orjson.dumps(obj))
        fill_defaults(result, self._schemas.get(obj["apiVersion"].rpartition("/")[2], {}))
        return result

    def accept(self, obj: Obj, version: str) -> Obj:
        return pruned(obj, self._schemas[version])

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        if self.ending:
            why = "create not allowed while custom resource definition is terminating"
            raise StatusError(405, "MethodNotAllowed", why)

    def default(self, obj: Obj) -> None:
        fill_defaults(obj, self._schema)

    def validate(self, obj: Obj) -> list[FieldError]:
        return self._errors(obj, None)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self._errors(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return self._errors(new, old, status=True)

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        self.default(new)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        known = old["metadata"].get("finalizers") or () if old else ()
        added = sorted(set(obj["metadata"].get("finalizers") or ()) - set(known))
        return [
            f'metadata.finalizers: "{one}": prefer a domain-qualified finalizer name including a path (/) to avoid '
            "accidental conflicts with other finalizer writers"
            for one in added
            if "/" not in one and one not in STANDARD_FINALIZERS
        ]

    def _errors(self, new: Obj, old: Obj | None, *, status: bool = False) -> list[FieldError]:
        from kuartui.embedded.crd import embedded, rules  # with the compiler of rules behind it: when needed
        from kuartui.embedded.crd.validation import list_errors, validate

        found = validate(new, self._schema) if old is None else validate(new, self._schema, old=old)
        found += self._scale_errors(new, status=status)
        if self._embeds:
            found += embedded.errors(new, self._schema)
        if old is None or not list_errors(old, self._schema):
            found += list_errors(new, self._schema)
        if self._ruled:
            found += [rules.NOT_CHECKED] if rules.blocked(found) else rules.errors_of(new, old, self._schema)
        return found

    def _scale_errors(self, obj: Obj, *, status: bool) -> list[FieldError]:
        """k8s.io/apiextensions-apiserver/pkg/registry/customresource/validator.go, ValidateScaleSpec and -Status."""
        if not self._scale:
            return []
        found: list[FieldError] = []
        wanted, current, selector = self.scale_paths
        for path in (current,) if status else (wanted, current):
            value, why = nested(obj, path, int, "int64")
            if why:
                found.append(fielderr.invalid(path, 0, why))
            elif value is not None and value < 0:
                found.append(fielderr.invalid(path, value, "should be a non-negative integer"))
            elif value is not None and value > LARGEST:
                found.append(fielderr.invalid(path, value, f"should be less than or equal to {LARGEST}"))
        if selector:
            _, why = nested(obj, selector, str, "string")
            if why:
                found.append(fielderr.invalid(selector, "", why))
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


def deprecation(crd: Obj, version: str) -> str:
    """The warning of a deprecated version that brings none of its own."""
    spec = crd["spec"]
    group, kind = spec["group"], spec["names"]["kind"]
    newer = [
        one["name"]
        for one in spec["versions"]
        if one.get("served") and not one.get("deprecated") and priority(one["name"]) > priority(version)
    ]
    text = f"{group}/{version} {kind} is deprecated"
    return f"{text}; use {group}/{max(newer, key=priority)} {kind}" if newer else text


def nested(obj: Any, path: str, kind: type, name: str) -> tuple[Any, str]:
    """A value by its path, or why there cannot be one, as unstructured.NestedInt64 and NestedString say it."""
    value = obj
    parts = path.removeprefix(".").split(".")
    for index, part in enumerate(parts):
        if not isinstance(value, dict):
            here = ".".join(parts[:index])
            why = f"{_shown(value)} is of the type {_go_type(value)}, expected map[string]interface{{}}"
            return None, f".{here} accessor error: {why}"
        if part not in value:
            return None, ""
        value = value[part]
    if type(value) is not kind:
        return None, f"{path} accessor error: {_shown(value)} is of the type {_go_type(value)}, expected {name}"
    return value, ""


def _go_type(value: Any) -> str:
    if value is None:
        return "<nil>"
    names = {str: "string", bool: "bool", float: "float64", int: "int64", dict: "map[string]interface {}"}
    return names.get(type(value), "[]interface {}")


def _shown(value: Any) -> str:
    return "<nil>" if value is None else go_print(value)


def _cell(obj: Obj, column: Obj, now: datetime) -> Any:
    found = paths.find(obj, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value, kind = found[0], column["type"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string":
        return _text(value)
    if kind == "date" and isinstance(value, str):
        return age(value, now) if _is_time(value) else "<invalid>"
    if kind == "integer" and number:
        return int(value)
    if kind == "number" and number:
        return float(value)
    if kind == "boolean" and isinstance(value, bool):
        return value
    return None


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def _text(value: Any) -> str:
    """As client-go's JSONPath prints: text plain, lists and maps as JSON."""
    if isinstance(value, dict | list):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return go_print(value)
