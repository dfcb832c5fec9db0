"""The JSON Schema of level.yaml, made from the types that read it, so that the two cannot disagree.

`docs/level.schema.json` is the published copy; `python -m kuartui.catalog.schema` writes it anew.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from kuartui.catalog.decode import API_VERSION
from kuartui.catalog.reader import KIND
from kuartui.game.duration import Duration
from kuartui.game.level import LevelSpec

ID = "https://kuartui.dev/level.schema.json"


def schema() -> dict[str, Any]:
    """The schema as a JSON object."""
    (spec,), components = msgspec.json.schema_components(
        [LevelSpec], schema_hook=_special, ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "kuartui level",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
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
        "$defs": components,
    }


def text() -> str:
    """The schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


def _special(type_: type) -> dict[str, Any]:
    if type_ is Duration:
        return {"type": ["string", "number"], "description": "a duration such as 30s or 1m30s"}
    raise NotImplementedError(type_)


if __name__ == "__main__":
    sys.stdout.write(text())
