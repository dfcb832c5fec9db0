"""Kubernetes' protobuf bodies to JSON objects and back, driven by the field numbers in `data`.

A body is the four bytes `k8s\\0` and a runtime.Unknown {typeMeta, raw}. Times, quantities, int-or-strings and raw
extensions have JSON forms of their own. Whatever is malformed ends as a 400, never as another exception.
"""

from __future__ import annotations

import base64
import functools
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.meta.errors import StatusError, bad_request
from kuartui.embedded.meta.time import format_micro, format_time, parse_time

Obj = dict[str, Any]

MAGIC = b"k8s\x00"
MAX_DEPTH = 100
_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_TIME, _MICRO = _META + "Time", _META + "MicroTime"
_QUANTITY = "k8s.io.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
_CRD = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
_RAW = ("k8s.io.apimachinery.pkg.runtime.RawExtension", _META + "FieldsV1", _CRD + "JSON")
_SCHEMA = _CRD + "JSONSchemaProps"
_EITHER = {_SCHEMA + "OrBool": (2, 1), _SCHEMA + "OrArray": (1, 2), _SCHEMA + "OrStringArray": (1, 2)}
"""A schema or something else, with their numbers: in JSON it is just the one or the other."""


class _Malformed(ValueError):
    """Cut short, or of the wrong wire type."""


def decode(body: bytes) -> Obj:
    """The object in a protobuf body. Raises StatusError 400."""
    if not body.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = wire_fields(body[4:])
        meta = wire_fields(_last(envelope, 1, b""))
        api_version, kind = _last(meta, 1, b"").decode(), _last(meta, 2, b"").decode()
        message = _message_name(api_version, kind)
        if message is None:
            raise bad_request(f'no kind "{kind}" is registered for version "{api_version}" in scheme')
        return {"apiVersion": api_version, "kind": kind, **_decode(_last(envelope, 2, b""), message, 0)}
    except (_Malformed, UnicodeDecodeError, struct.error, OverflowError, RecursionError) as error:
        raise bad_request(f"proto: {error}") from error


@functools.cache
def _message_name(api_version: str, kind: str) -> str | None:
    group, _, version = api_version.rpartition("/")
    name = data.definitions().get((group, version, kind))
    if name is None:
        name = next((n for (_, v, k), n in data.definitions().items() if k == kind and v == version), None)
    found = data.message_name(name) if name else ""
    return found if found in data.protobuf() else None


@functools.cache
def _by_number(message: str) -> dict[int, tuple[str, Obj]]:
    return {facts["n"]: (facts.get("json", field), facts) for field, facts in data.protobuf().get(message, {}).items()}


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(body) or shift > 63:
            raise _Malformed("unexpected EOF")
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def wire_fields(body: bytes) -> list[tuple[int, int, Any]]:
    """(number, wire type, value) of each field."""
    found: list[tuple[int, int, Any]] = []
    position = 0
    while position < len(body):
        key, position = _varint(body, position)
        number, wire = key >> 3, key & 7
        value: Any
        if wire == 0:
            value, position = _varint(body, position)
        elif wire == 2:
            length, position = _varint(body, position)
            if position + length > len(body):
                raise _Malformed("unexpected EOF")
            value, position = body[position : position + length], position + length
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if position + size > len(body):
                raise _Malformed("unexpected EOF")
            value, position = body[position : position + size], position + size
        else:
            raise _Malformed(f"illegal wireType {wire}")
        if not number:
            raise _Malformed("illegal tag 0")
        found.append((number, wire, value))
    return found


def _last(fields: list[tuple[int, int, Any]], number: int, default: bytes) -> bytes:
    value = next((value for n, wire, value in reversed(fields) if n == number and wire == 2), default)
    return bytes(value)


def _decode(body: bytes, message: str, depth: int) -> Obj:
    if depth > MAX_DEPTH:
        raise _Malformed("exceeded max depth")
    result: Obj = {}
    known = _by_number(message)
    for number, wire, value in wire_fields(body):
        if number not in known:
            continue  # a newer client's field
        name, facts = known[number]
        if facts.get("inline"):
            result.update(_decode(_bytes(wire, value), facts["t"], depth + 1))
            continue
        if facts.get("map"):
            entry = {n: (w, v) for n, w, v in wire_fields(_bytes(wire, value))}
            key = bytes(entry[1][1]).decode() if 1 in entry else ""
            inner = entry.get(2, (2, b""))
            result.setdefault(name, {})[key] = _scalar(inner[0], inner[1], facts["t"], depth)
            continue
        decoded = _scalar(wire, value, facts["t"], depth)
        if facts.get("repeated"):
            if wire == 2 and facts["t"] in ("int32", "int64"):  # packed
                position = 0
                while position < len(value):
                    item, position = _varint(value, position)
                    result.setdefault(name, []).append(_signed(item))
            else:
                result.setdefault(name, []).append(decoded)
        elif not _is_zero(decoded, facts):
            result[name] = decoded
    return result


def _is_zero(value: Any, facts: Obj) -> bool:
    """Zero values of fields that are no pointers are written out, and mean that nothing was set."""
    if value is None:
        return True
    if facts.get("ptr"):
        return False
    if facts["t"] in (_INT_OR_STRING, _QUANTITY):
        return bool(facts.get("omitempty")) and value in (0, "0", "")
    if value == {}:
        return bool(facts.get("omitempty"))
    return bool(facts.get("omitempty")) and (value == "" or value is False or value == 0)


def _bytes(wire: int, value: Any) -> bytes:
    if wire != 2:
        raise _Malformed("wrong wireType")
    return bytes(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _scalar(wire: int, value: Any, kind: str, depth: int) -> Any:
    if kind == "string":
        return _bytes(wire, value).decode()
    if kind in ("int64", "int32"):
        return _signed(value) if wire == 0 else _fail()
    if kind == "bool":
        return bool(value) if wire == 0 else _fail()
    if kind == "bytes":
        return base64.b64encode(_bytes(wire, value)).decode()
    if kind == "double":
        return struct.unpack("<d", value)[0] if wire == 1 else _fail()
    body = _bytes(wire, value)
    if kind in (_TIME, _MICRO):
        return _time(body, kind == _MICRO)
    if kind == _QUANTITY:
        return _last(wire_fields(body), 1, b"").decode()
    if kind == _INT_OR_STRING:
        return _int_or_string(body)
    if kind in _RAW:
        raw = _last(wire_fields(body), 1, b"")
        try:
            return orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError as error:
            raise _Malformed("raw extension is no JSON") from error
    if kind in _EITHER:
        return _either(body, kind, depth)
    known = _by_number(kind)
    if list(known) == [1] and known[1][0] == "items" and known[1][1].get("repeated") and kind.endswith("ExtraValue"):
        return [bytes(v).decode() for n, w, v in wire_fields(body) if n == 1 and w == 2]
    return _decode(body, kind, depth + 1)


def _either(body: bytes, kind: str, depth: int) -> Any:
    schema, other = _EITHER[kind]
    schemas: list[Any] = []
    others: list[Any] = []
    for number, wire, value in wire_fields(body):
        if number == schema:
            schemas.append(_decode(_bytes(wire, value), _SCHEMA, depth + 1))
        elif number == other:
            inner = {"OrBool": "bool", "OrArray": _SCHEMA, "OrStringArray": "string"}[kind.removeprefix(_SCHEMA)]
            others.append(_scalar(wire, value, inner, depth))
    if kind.endswith("OrBool"):
        return schemas[-1] if schemas else bool(others and others[-1])
    return others or (schemas[-1] if schemas else {})


def _fail() -> Any:
    raise _Malformed("wrong wireType")


def _time(body: bytes, micro: bool) -> str | None:
    numbers = {number: _signed(value) for number, wire, value in wire_fields(body) if wire == 0}
    seconds, nanos = numbers.get(1, 0), numbers.get(2, 0)
    if not body:
        return None
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        return None  # Go's zero time lies before year 1 for us
    return format_micro(moment) if micro else format_time(moment)


def _int_or_string(body: bytes) -> int | str:
    fields = {number: value for number, _, value in wire_fields(body)}
    if fields.get(1, 0):
        return bytes(fields.get(3, b"")).decode()
    return _signed(fields.get(2, 0))


# Encoding, for clients that take nothing else


def encode_event(type_: str, obj: Obj) -> bytes:
    """One event of a watch: a meta.v1.WatchEvent after its length in four bytes. Raises StatusError 406."""
    event = tagged(1, type_.encode()) + tagged(2, tagged(1, encode(obj)))
    return struct.pack(">I", len(event)) + event


def encode(obj: Obj) -> bytes:
    """A body as kubectl would send it. Raises StatusError 406 for kinds without protobuf."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    message = _message_name(api_version, kind)
    if message is None:
        raise StatusError(406, "NotAcceptable", f"object {kind} does not implement the protobuf marshalling interface")
    meta = tagged(1, api_version.encode()) + tagged(2, kind.encode())
    raw = _encode({k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}, message)
    return MAGIC + tagged(1, meta) + tagged(2, raw) + tagged(3, b"") + tagged(4, b"")


def write_varint(value: int) -> bytes:
    """An integer on the wire, negative ones in ten bytes."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tagged(number: int, body: bytes) -> bytes:
    """A field of a length: text, bytes or a message."""
    return write_varint(number << 3 | 2) + write_varint(len(body)) + body


def _encode(obj: Obj, message: str) -> bytes:
    out = b""
    for field, facts in sorted(data.protobuf().get(message, {}).items(), key=lambda item: item[1]["n"]):
        name, number = facts.get("json", field), facts["n"]
        if facts.get("inline"):
            out += tagged(number, _encode(obj, facts["t"]))
            continue
        value = obj.get(name)
        if value is None:
            continue
        if facts.get("map"):
            for key, item in value.items():
                out += tagged(number, tagged(1, key.encode()) + _encode_value(2, item, facts["t"]))
        elif facts.get("repeated"):
            out += b"".join(_encode_value(number, item, facts["t"]) for item in value)
        else:
            out += _encode_value(number, value, facts["t"])
    return out


def _encode_value(number: int, value: Any, kind: str) -> bytes:
    if kind == "string":
        return tagged(number, value.encode())
    if kind in ("int64", "int32", "bool"):
        return write_varint(number << 3) + write_varint(int(value))
    if kind == "bytes":
        return tagged(number, base64.b64decode(value))
    if kind == "double":
        return write_varint(number << 3 | 1) + struct.pack("<d", value)
    if kind in (_TIME, _MICRO):
        moment = parse_time(value)
        nanos = moment.microsecond * 1000
        body = write_varint(1 << 3) + write_varint(int(moment.timestamp()))
        return tagged(number, body + (write_varint(2 << 3) + write_varint(nanos) if nanos else b""))
    if kind == _QUANTITY:
        return tagged(number, tagged(1, str(value).encode()))
    if kind == _INT_OR_STRING:
        text = isinstance(value, str)
        body = write_varint(1 << 3) + write_varint(int(text)) + write_varint(2 << 3)
        body += write_varint(0 if text else value) + tagged(3, value.encode() if text else b"")
        return tagged(number, body)
    if kind in _RAW:
        return tagged(number, tagged(1, orjson.dumps(value)))
    if kind in _EITHER:
        schema, other = _EITHER[kind]
        if isinstance(value, dict):
            allows = _encode_value(other, True, "bool") if kind.endswith("OrBool") else b""
            return tagged(number, allows + _encode_value(schema, value, _SCHEMA))
        if isinstance(value, bool):
            return tagged(number, _encode_value(other, value, "bool"))
        inner = _SCHEMA if kind.endswith("OrArray") else "string"
        return tagged(number, b"".join(_encode_value(other, item, inner) for item in value))
    if kind.endswith("ExtraValue"):
        return tagged(number, b"".join(tagged(1, item.encode()) for item in value))
    return tagged(number, _encode(value, kind))
