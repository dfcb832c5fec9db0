"""OpenAPI v2 (Swagger) made from the documents of version 3, for clients that know no other.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v2
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Obj = dict[str, Any]

_SCHEMAS, _DEFINITIONS = "#/components/schemas/", "#/definitions/"
PRESERVE, GVK = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-group-version-kind"
_NOT_IN_VERSION_2 = ("allOf", "anyOf", "not", "nullable", "oneOf")
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
    """What version 2 lacks is told as it can: one of several types is a string, a reference stands alone.

    Custom resources as apiextensions-apiserver tells them (pkg/controller/openapi/v2/conversion.go), so that kubectl
    minds no field that is allowed.
    """
    if not isinstance(value, dict):
        return value
    if len(value.get("allOf", ())) == 1 and "$ref" in value["allOf"][0]:
        value = {**{key: inside for key, inside in value.items() if key != "default"}, **value["allOf"][0]}
    if "oneOf" in value and "type" not in value and not value.get(PRESERVE):
        value = {**value, "type": "string"}
    result: Obj = {}
    for key, inside in value.items():
        if key == "$ref":
            result[key] = inside.replace(_SCHEMAS, _DEFINITIONS)
        elif key == "properties":
            result[key] = {name: _schema(one) for name, one in inside.items()}
        elif key in ("items", "additionalProperties"):
            result[key] = _schema(inside)
        elif key not in _NOT_IN_VERSION_2:
            result[key] = inside
    return _loose(result, value)


def _loose(result: Obj, value: Obj) -> Obj:
    """Without a type where anything goes, or null."""
    open_, nullable = value.get(PRESERVE), value.get("nullable")
    if open_ and GVK in value:
        return {"type": "object", GVK: value[GVK]}
    if open_ or nullable:
        result = {key: inside for key, inside in result.items() if key not in ("items", "properties")}
    if (
        nullable
        or (open_ and result.get("type") == "object")
        or ("items" not in result and value.get("type") == "array")
    ):
        result.pop("type", None)
    without = {name for name, one in value.get("properties", {}).items() if one.get("nullable")}
    if without & set(result.get("required", ())):
        result["required"] = [name for name in result["required"] if name not in without]
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
