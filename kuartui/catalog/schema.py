"""JSON Schemas for editors, made from the types that read the files, so that the two cannot disagree.

`docs/level.schema.json` and `docs/level-translation.schema.json` are the published copies; `kuartui level schema` and
`kuartui level schema --translation` print them anew.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import Struct

from kuartui.catalog.decode import API_VERSION
from kuartui.catalog.fields import HELP
from kuartui.catalog.reader import KIND
from kuartui.catalog.translation import KIND as TRANSLATION
from kuartui.game.duration import Duration
from kuartui.game.level import LevelSpec
from kuartui.game.translation import TranslationSpec

VARIABLE = r"^\{\{[^{}]+\}\}$"


def schema() -> dict[str, Any]:
    """That of level.yaml, as a JSON object."""
    return _document(LevelSpec, KIND, "kuartui level", "level.schema.json")


def translation() -> dict[str, Any]:
    """That of level.LANGUAGE.yaml."""
    return _document(TranslationSpec, TRANSLATION, "kuartui level in another language", "level-translation.schema.json")


def _document(type_: type[Struct], kind: str, title: str, name: str) -> dict[str, Any]:
    (spec,), components = msgspec.json.schema_components([type_], schema_hook=_special, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://kuartui.dev/{name}",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            "spec": spec,
        },
        "$defs": {name: _explained(name, _published(struct)) for name, struct in components.items()},
    }


def _published(node: Any) -> Any:
    """The same schema, in which a number may also be written as a variable that is one: "{{copies}}". Descriptions are
    docstrings, which not every msgspec takes the indentation off."""
    if isinstance(node, list):
        return [_published(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") in ("integer", "number"):
        return {"anyOf": [node, {"type": "string", "pattern": VARIABLE}]}
    if isinstance(node.get("description"), str):
        node = {**node, "description": cleandoc(node["description"])}
    return {key: _published(value) for key, value in node.items()}


def _explained(name: str, struct: dict[str, Any]) -> dict[str, Any]:
    """The same struct, with a line of help for each field that has none of its own."""
    fields = {
        field: {"description": words, **found} if (words := HELP.get(f"{name}.{field}", HELP.get(field))) else found
        for field, found in struct.get("properties", {}).items()
    }
    return {**struct, "properties": fields} if fields else struct


def text(found: dict[str, Any] | None = None) -> str:
    """A schema as it is published; that of level.yaml unless given."""
    return msgspec.json.format(msgspec.json.encode(found or schema()), indent=2).decode() + "\n"


def _special(type_: type) -> dict[str, Any]:
    if type_ is Duration:
        return {"type": ["string", "number"], "description": "a duration such as 30s or 1m30s"}
    raise NotImplementedError(type_)
