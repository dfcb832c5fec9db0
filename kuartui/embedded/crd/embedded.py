"""Objects inside of custom objects (`x-kubernetes-embedded-resource`) must look like objects.

k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuartui.embedded.meta import fielderr, names
from kuartui.embedded.meta.fielderr import FieldError

Obj = dict[str, Any]


def errors(obj: Obj, schema: Obj) -> list[FieldError]:
    """What is wrong with the objects inside of a custom object."""
    return list(_walk(obj, schema, "", root=True))


def _walk(value: Any, raw: Obj, path: str, *, root: bool = False) -> Iterator[FieldError]:
    if isinstance(value, dict):
        if raw.get("x-kubernetes-embedded-resource") and not root:
            yield from _object(value, path)
        properties, more = raw.get("properties") or {}, raw.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                yield from _walk(item, properties[name], f"{path}.{name}" if path else name)
            elif isinstance(more, dict):
                yield from _walk(item, more, f"{path}[{name}]")
    elif isinstance(value, list) and isinstance(raw.get("items"), dict):
        for index, item in enumerate(value):
            yield from _walk(item, raw["items"], f"{path}[{index}]")


def _object(value: Obj, path: str) -> Iterator[FieldError]:
    for field in ("apiVersion", "kind"):
        if field not in value:
            yield fielderr.required(f"{path}.{field}", "must not be empty")
        elif not isinstance(value[field], str):
            yield fielderr.invalid(f"{path}.{field}", value[field], "must be a string")
        elif not value[field]:
            yield fielderr.invalid(f"{path}.{field}", "", "must not be empty")
        elif field == "apiVersion" and value[field].count("/") > 1:
            yield fielderr.invalid(f"{path}.{field}", value[field], f"unexpected GroupVersion string: {value[field]}")
        elif field == "kind" and (problems := names.dns1035_label(value[field].lower())):
            why = "may have mixed case, but should otherwise match: " + ",".join(problems)
            yield fielderr.invalid(f"{path}.{field}", value[field], why)
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if isinstance(name, str) and name:
        for problem in names.dns1123_subdomain(name):
            yield fielderr.invalid(f"{path}.metadata.name", name, problem)
