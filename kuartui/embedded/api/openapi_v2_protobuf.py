"""An OpenAPI v2 document in protobuf, which is how kubectl and other Go clients ask for it.

Messages and numbers: openapiv2/OpenAPIv2.proto in github.com/google/gnostic-models.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kuartui.embedded.meta.protobuf import tagged, write_varint

Obj = dict[str, Any]
Field = Callable[[int, Any], bytes]
"""A field with a number and a value on the wire."""

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def encode(document: Obj) -> bytes:
    """A whole document (`openapi.v2.Document`)."""
    return _fields(document, _DOCUMENT, 16)


def _fields(value: Obj, known: Mapping[str, tuple[int, Field]], extension: int) -> bytes:
    """The fields of a message; what begins with "x-" is an extension, what has no field is left out."""
    found = []
    for key, inside in value.items():
        if key in known:
            number, field = known[key]
            found.append(field(number, inside))
        elif key.startswith("x-"):
            found.append(tagged(extension, _string(1, key) + _any(2, inside)))
    return b"".join(found)


def _string(number: int, value: Any) -> bytes:
    return tagged(number, str(value).encode())


def _flag(number: int, value: Any) -> bytes:
    return write_varint(number << 3) + write_varint(int(value))


_integer = _flag


def _double(number: int, value: Any) -> bytes:
    return write_varint(number << 3 | 1) + struct.pack("<d", value)


def _any(number: int, value: Any) -> bytes:
    """Any.yaml; JSON is YAML."""
    return tagged(number, tagged(2, orjson.dumps(value)))


def _each(field: Field) -> Field:
    return lambda number, values: b"".join(field(number, value) for value in values)


def _inside(inner: int, field: Field) -> Field:
    """A message whose only field is `inner`."""
    return lambda number, value: tagged(number, field(inner, value))


def _named(field: Field) -> Field:
    """A map, which is a list of messages {name = 1, value = 2}."""
    return lambda number, values: b"".join(
        tagged(number, _string(1, name) + field(2, value)) for name, value in values.items()
    )


def _schema(number: int, value: Any) -> bytes:
    return tagged(number, _fields(value, _SCHEMA, 31))


def _types(number: int, value: Any) -> bytes:
    return tagged(number, _each(_string)(1, [value] if isinstance(value, str) else value))


def _more_properties(number: int, value: Any) -> bytes:
    return tagged(number, _flag(2, value) if isinstance(value, bool) else _schema(1, value))


def _parameter(number: int, value: Any) -> bytes:
    """ParametersItem.parameter, which is of the body, or of the query (3) or the path (4)."""
    if value["in"] == "body":
        return tagged(number, tagged(1, tagged(1, _fields(value, _BODY_PARAMETER, 6))))
    kind, known, extension = (4, _PATH_PARAMETER, 22) if value["in"] == "path" else (3, _QUERY_PARAMETER, 23)
    return tagged(number, tagged(1, tagged(2, tagged(kind, _fields(value, known, extension)))))


def _response(number: int, value: Any) -> bytes:
    """ResponseValue.response"""
    return tagged(number, tagged(1, _fields(value, _RESPONSE, 5)))


def _operation(number: int, value: Any) -> bytes:
    return tagged(number, _fields(value, _OPERATION, 13))


def _path(number: int, value: Any) -> bytes:
    return tagged(number, _fields(value, _PATH, 10))


def _info(number: int, value: Any) -> bytes:
    return tagged(number, _fields(value, {"title": (1, _string), "version": (2, _string)}, 7))


_SCHEMA: dict[str, tuple[int, Field]] = {
    "$ref": (1, _string),
    "format": (2, _string),
    "title": (3, _string),
    "description": (4, _string),
    "default": (5, _any),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _flag),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _flag),
    "maxLength": (11, _integer),
    "minLength": (12, _integer),
    "pattern": (13, _string),
    "maxItems": (14, _integer),
    "minItems": (15, _integer),
    "uniqueItems": (16, _flag),
    "maxProperties": (17, _integer),
    "minProperties": (18, _integer),
    "required": (19, _each(_string)),
    "enum": (20, _each(_any)),
    "additionalProperties": (21, _more_properties),
    "type": (22, _types),
    "items": (23, _inside(1, _schema)),
    "allOf": (24, _each(_schema)),
    "properties": (25, _inside(1, _named(_schema))),
    "example": (30, _any),
}
_BODY_PARAMETER: dict[str, tuple[int, Field]] = {
    "description": (1, _string),
    "name": (2, _string),
    "in": (3, _string),
    "required": (4, _flag),
    "schema": (5, _schema),
}
_ANY_PARAMETER: dict[str, tuple[int, Field]] = {
    "required": (1, _flag),
    "in": (2, _string),
    "description": (3, _string),
    "name": (4, _string),
}
_PATH_PARAMETER = {**_ANY_PARAMETER, "type": (5, _string), "uniqueItems": (19, _flag)}
_QUERY_PARAMETER = {**_ANY_PARAMETER, "type": (6, _string), "uniqueItems": (20, _flag)}
_RESPONSE: dict[str, tuple[int, Field]] = {"description": (1, _string), "schema": (2, _inside(1, _schema))}
_OPERATION: dict[str, tuple[int, Field]] = {
    "description": (3, _string),
    "produces": (6, _each(_string)),
    "consumes": (7, _each(_string)),
    "parameters": (8, _each(_parameter)),
    "responses": (9, _inside(1, _named(_response))),
    "schemes": (10, _each(_string)),
}
_PATH: dict[str, tuple[int, Field]] = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "patch": (8, _operation),
    "parameters": (9, _each(_parameter)),
}
_DOCUMENT: dict[str, tuple[int, Field]] = {
    "swagger": (1, _string),
    "info": (2, _info),
    "paths": (8, _inside(2, _named(_path))),
    "definitions": (9, _inside(1, _named(_schema))),
}
