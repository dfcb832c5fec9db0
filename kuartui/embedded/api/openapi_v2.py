"""OpenAPI v2 (Swagger) made from the documents of version 3, for clients that know no other.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v2
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Obj = dict[str, Any]

_SCHEMAS, _DEFINITIONS = "#/components/schemas/", "#/definitions/"
_JSON = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]


def document(info: Obj, documents: Iterable[Obj]) -> Obj:
    """All group versions in one document."""
    definitions: Obj = {}
    paths: Obj = {}
    for one in documents:
        for name, schema in one["components"]["schemas"].items():
            if name not in definitions:
                definitions[name] = _schema(schema)
        for path, operations in one["paths"].items():
            paths[path] = _path(operations)
    return {"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions}


def _schema(value: Any) -> Any:
    """What version 2 lacks is told as it can: one of several types is a string, a reference stands alone."""
    if isinstance(value, list):
        return [_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value.get("allOf", ())) == 1 and "$ref" in value["allOf"][0]:
        value = {
            **{key: inside for key, inside in value.items() if key not in ("allOf", "default")},
            **value["allOf"][0],
        }
    if "oneOf" in value and "type" not in value:
        value = {**{key: inside for key, inside in value.items() if key != "oneOf"}, "type": "string"}
    result = {key: _schema(inside) for key, inside in value.items() if key not in ("nullable", "anyOf", "not")}
    if isinstance(result.get("$ref"), str):
        result["$ref"] = result["$ref"].replace(_SCHEMAS, _DEFINITIONS)
    return result


def _path(operations: Obj) -> Obj:
    result: Obj = {}
    for method, operation in operations.items():
        if method == "parameters":
            result[method] = [_parameter(one) for one in operation]
            continue
        parameters = [_parameter(one) for one in operation.get("parameters", ())]
        consumes = ["*/*"]
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]
            consumes = list(content)
            schema = _schema(next(iter(content.values()))["schema"])
            parameters.insert(0, {"name": "body", "in": "body", "required": True, "schema": schema})
        kept = {
            key: inside for key, inside in operation.items() if key not in ("parameters", "requestBody", "responses")
        }
        responses = {
            code: {
                "description": answer["description"],
                "schema": _schema(answer["content"]["application/json"]["schema"]),
            }
            for code, answer in operation["responses"].items()
        }
        result[method] = {
            **kept,
            "consumes": consumes,
            "produces": _JSON,
            "schemes": ["https"],
            "parameters": parameters,
            "responses": responses,
        }
    return result


def _parameter(parameter: Obj) -> Obj:
    return {**{key: inside for key, inside in parameter.items() if key != "schema"}, **parameter["schema"]}
