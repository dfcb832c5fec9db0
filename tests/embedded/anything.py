"""Random objects of any kind, made from its schema."""

from __future__ import annotations

import random
from typing import Any

from kuartui.embedded import data

TEXTS = [
    "",
    "a",
    "Bad Name!",
    "10.0.0.1",
    "10.0.0.0/8",
    "None",
    "ClientIP",
    "Exists",
    "In",
    "Always",
    "Localhost",
    "../x",
]
SCALARS: dict[str, list[Any]] = {
    "Quantity": ["0", "1", "100m", "-1", "1Gi"],
    "IntOrString": [0, 80, -1, "50%", "web", "200%"],
    "Time": ["2030-01-01T00:00:00Z"],
    "MicroTime": ["2030-01-01T00:00:00.000000Z"],
    "RawExtension": [{}],
    "FieldsV1": [{}],
    "JSON": [{}],
    "JSONSchemaProps": [{}],
    "CustomResourceSubresourceStatus": [{}],
}
KNOWN = {  # values that open the way to further rules
    "operator": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Equal", "x"],
    "type": ["RollingUpdate", "Recreate", "OnDelete", "NodePort", "ExternalName", "Resource", "Pods", "Container", ""],
    "restartPolicy": ["Always", "Never", "OnFailure", ""],
    "effect": ["NoSchedule", "NoExecute", ""],
    "fieldPath": ["metadata.name", "metadata.labels['a']", "spec.x"],
    "schedule": ["* * * * *", "@every x", ""],
    "host": ["*.example.com", "a.b", "10.0.0.1"],
    "pathType": ["Prefix", "Exact", "ImplementationSpecific"],
    "request": ["eA==", ""],
}


def anything(schema: dict[str, Any], dice: random.Random, name: str = "", depth: int = 0) -> Any:
    """A random value that the schema allows."""
    reference = schema.get("$ref") or next((part.get("$ref") for part in schema.get("allOf", ())), None)
    if reference:
        short = reference.rsplit(".", 1)[-1]
        if short in SCALARS:
            return dice.choice(SCALARS[short])
        return anything(data.schemas()[reference], dice, name, depth)
    match schema.get("type"):
        case "object" if "properties" in schema:
            chance = 0.5 if depth < 5 else 0.15
            return {
                field: anything(inner, dice, field, depth + 1)
                for field, inner in schema["properties"].items()
                if depth < 12 and dice.random() < chance and field not in ("metadata", "kind", "apiVersion")
            }
        case "object":
            inner = schema.get("additionalProperties") or {"type": "string"}
            return {dice.choice(["a", "cpu", "memory", "storage", "Bad!"]): anything(inner, dice, "", depth + 1)}
        case "array":
            return [anything(schema["items"], dice, name, depth + 1) for _ in range(dice.choice([0, 1, 1, 2]))]
        case "integer":
            return dice.choice([-1, 0, 1, 80, 70000])
        case "boolean":
            return dice.random() < 0.5
        case "string":
            if schema.get("format") == "byte":
                return dice.choice(["", "eA=="])
            return dice.choice([*schema.get("enum", ()), *KNOWN.get(name, ()), *TEXTS])
    return {}


def definition(resource: str) -> tuple[str, str, dict[str, Any]]:
    plural, _, group = resource.partition(".")
    for document in data.discovery():
        for entry in document["resources"]:
            if (entry["resource"], document["group"]) == (plural, group):
                kind = entry["responseKind"]["kind"]
                version = document["version"]
                found = data.definitions()[group, version, kind]
                return f"{group}/{version}" if group else version, kind, data.schemas()[found]
    raise AssertionError(resource)
