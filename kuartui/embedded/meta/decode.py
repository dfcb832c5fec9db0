"""From a request body to an object: strict JSON and YAML, Go's type errors, the canonical stored shape.

What Go's decoder and encoder do to an object on its way through kube-apiserver (sigs.k8s.io/json, then the typed
struct): unknown and duplicate fields are found, types are checked with Go's words, `null` means absent, and zero
values of `omitempty` fields vanish. Which fields those are is known from the protobuf definitions.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.meta import go_types, quantity, schema
from kuartui.embedded.meta.errors import StatusError, bad_request
from kuartui.embedded.meta.gofmt import quote
from kuartui.embedded.meta.schema import Node
from kuartui.embedded.meta.time import format_micro, format_time, parse_micro, parse_time

Obj = dict[str, Any]

_SURROGATES = re.compile("[\ud800-\udfff]")
_KEY = re.compile(rb'"\s*:')  # after each key, and maybe inside of texts
MAX_DEPTH = 200
_MILLI = -3
_EXACT_AMOUNTS = ("CapacityRequirements", "DeviceRequestAllocationResult")  # maps of quantities, no resource lists
_GO_TYPES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


class DecodeError(ValueError):
    """A value of the wrong type; the text is Go's."""


def parse_json(body: bytes) -> Any:
    """Raises StatusError 400 for what is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_slowly(body)


def _parse_slowly(body: bytes) -> Any:
    """orjson refuses what Go takes (lone surrogates, huge numbers); the message is Go's for what neither takes."""
    from kuartui.embedded.meta.json_errors import explain

    try:
        # once more through orjson: no half characters (Go puts U+FFFD), and numbers as it reads them
        text = json.dumps(json.loads(body), ensure_ascii=False)
        return orjson.loads(_SURROGATES.sub("\ufffd", text))
    except orjson.JSONDecodeError as error:
        raise bad_request("json: cannot unmarshal number into Go value of type float64") from error
    except RecursionError as error:
        raise bad_request("exceeded max depth") from error
    except ValueError as error:
        raise bad_request(explain(body) or str(error)) from error


class _Pairs(list[tuple[str, Any]]):
    """An object of a JSON text with all its keys, those that come twice, too."""


def _keys(value: Any) -> int:
    """How many keys the objects in a value have."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def strict_problems(body: bytes, unknown: Sequence[str], *, apart: bool) -> list[str]:
    """What strict decoding minds of a JSON text: keys that one object has twice, and the `unknown` paths, each once.

    In the order of the text as Go's decoder of types finds them; or, with `apart`, all duplicates first.
    """
    named = [f'unknown field "{path}"' for path in unknown]
    try:
        if not body or len(_KEY.findall(body)) <= _keys(parse_json(body)):  # no key is lost to another
            return named
        value = json.loads(body, object_pairs_hook=_Pairs)
    except (StatusError, ValueError, RecursionError):
        return named
    found: list[str] = []
    _walk(value, "", frozenset() if apart else frozenset(unknown), found)
    return list(dict.fromkeys(found + named if apart else found))


def yaml_problems(text: str) -> list[str]:
    """What strict decoding minds of YAML as warnings tell it: a line each."""
    return [line.strip() for line in text.splitlines()[1:]]


_OPERATION = ("op", "from", "path", "value")


def json_patch_problems(body: bytes, operations: Any) -> list[str]:
    """What strict decoding minds of the operations of a JSON patch."""
    unknown = [
        f"[{index}].{key}"
        for index, operation in enumerate(operations if isinstance(operations, list) else ())
        for key in (operation if isinstance(operation, dict) else ())
        if key not in _OPERATION
    ]
    return [f"json patch {problem}" for problem in strict_problems(body, unknown, apart=False)]


def _walk(value: Any, path: str, unknown: frozenset[str], found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, inside in value:
            here = f"{path}.{key}" if path else key
            if here in unknown:
                found.append(f'unknown field "{here}"')
                continue
            if key in seen:
                found.append(f'duplicate field "{here}"')
            seen.add(key)
            _walk(inside, here, unknown, found)
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            _walk(inside, f"{path}[{index}]", unknown, found)


def parse_yaml(body: bytes) -> Any:
    """YAML as sigs.k8s.io/yaml reads it. Raises StatusError 400."""
    return parse_yaml_strictly(body)[0]


def parse_yaml_strictly(body: bytes) -> tuple[Any, str]:
    """The same, and what strict decoding says of keys that one object has twice; "" where there are none."""
    import yaml

    loader = _loader()(body)
    try:
        value = loader.get_single_data()
    except (yaml.YAMLError, RecursionError) as error:
        raise bad_request(f"error converting YAML to JSON: yaml: {error}") from error
    finally:
        loader.dispose()
    lines = "".join(f"\n  line {line}: key {quote(key)} already set in map" for line, _, key in sorted(loader.twice))
    return value, f"yaml: unmarshal errors:{lines}" if lines else ""


@functools.cache
def _loader() -> Any:
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc, valid-type]
        """Times stay text, as JSON has none; keys that come twice are remembered with their lines."""

        def __init__(self, stream: bytes) -> None:
            super().__init__(stream)
            self.twice: set[tuple[int, int, str]] = set()

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                text = str(key.value)
                if text in seen:
                    self.twice.add((key.start_mark.line + 1, key.start_mark.column, text))
                seen.add(text)
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in base.yaml_implicit_resolvers.items()
    }
    return Loader


class Decoder:
    """Decodes one object; collects what strict decoding minds."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def decode(self, value: Any, node: Node, kind: str) -> Any:
        """The canonical object. Raises DecodeError with Go's text."""
        return self._object(value, node, "", kind, "", 0)

    def _value(self, value: Any, node: Node, path: str, struct: str, go: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise DecodeError("exceeded max depth")
        name = node.name
        if name == schema.QUANTITY:
            return _quantity(value)
        if name == schema.INT_OR_STRING:
            return _int_or_string(value)
        if name in (schema.TIME, schema.MICRO_TIME):
            return _time(value, micro=name == schema.MICRO_TIME)
        if name in (schema.FIELDS_V1, schema.RAW) or node.free:
            return value
        kind = node.type
        if kind == "object":
            return self._object(value, node, path, struct, go, depth)
        if kind == "array":
            if not isinstance(value, list):
                raise self._mismatch(value, struct, go, f"[]{_go_type(node.items)}")
            items = node.items
            return [
                self._value(item, items, f"{path}[{index}]", struct, go, depth + 1)
                if item is not None
                else _zero(items)
                for index, item in enumerate(value)
            ]
        return self._scalar(value, node, kind, struct, go)

    def _scalar(self, value: Any, node: Node, kind: str, struct: str, go: str) -> Any:
        if kind == "string":
            if not isinstance(value, str):
                raise self._mismatch(value, struct, go, _go_type(node))
            if node.raw.get("format") == "byte":
                return _base64(value)
        elif kind == "integer":
            integral = isinstance(value, float) and value == int(value) if isinstance(value, float) else False
            if isinstance(value, bool) or not (isinstance(value, int) or integral):
                shown = value if not isinstance(value, float) else None
                raise self._mismatch(value, struct, go, str(node.raw.get("format", "int64")), shown)
            size = 31 if node.raw.get("format") == "int32" else 63
            if not -(2**size) <= value < 2**size:
                raise self._mismatch(value, struct, go, str(node.raw.get("format", "int64")))
            return int(value)
        elif kind == "boolean":
            if not isinstance(value, bool):
                raise self._mismatch(value, struct, go, "bool")
        elif kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self._mismatch(value, struct, go, "float64")
        return value

    def _object(self, value: Any, node: Node, path: str, struct: str, go: str, depth: int) -> Any:
        if not isinstance(value, dict):
            wanted = f"map[string]{_go_type(_map_value(node))}" if node.is_map else _go_package(node)
            raise self._mismatch(value, struct, go, wanted)
        if node.is_map and not node.properties:
            inner = _map_value(node)
            if inner.name == schema.QUANTITY:
                exact = struct in _EXACT_AMOUNTS
                return {key: _quantity("0" if item is None else item, exact=exact) for key, item in value.items()}
            return {
                key: self._value(item, inner, f"{path}.{key}", struct, go, depth + 1)
                if item is not None
                else _zero(inner)
                for key, item in value.items()
            }
        result: Obj = {}
        numbers = _messages(node.name)
        struct = node.short or struct  # a value that is no object is a problem of the struct around it
        for key, item in value.items():
            inner_node = node.field(key)
            if inner_node is None:
                self.unknown.append(f"{path}.{key}" if path else key)
                continue
            if item is None:
                continue
            inner_path = f"{path}.{key}" if path else key
            decoded = self._value(item, inner_node, inner_path, struct, f"{go}.{key}" if go else key, depth + 1)
            if not _vanishes(decoded, numbers.get(key)):
                result[key] = decoded
        return result

    def _mismatch(self, value: Any, struct: str, go: str, wanted: str, shown: Any = None) -> DecodeError:
        got = _GO_TYPES.get(type(value), "value")
        wanted = go_types.named(wanted, struct, go.rpartition(".")[2])
        if got == "number" and (shown is not None or wanted.startswith(("int", "uint"))):
            got = f"number {orjson.dumps(value).decode()}"
        return DecodeError(f"json: cannot unmarshal {got} into Go struct field {struct}.{go} of type {wanted}")


def _vanishes(value: Any, facts: Obj | None) -> bool:
    """Whether Go's encoder leaves this out: the zero value of an omitempty field that is no pointer."""
    if facts is None or not facts.get("omitempty"):
        return False
    if facts.get("repeated") or facts.get("map"):
        return not value
    if facts.get("ptr"):
        return False
    return value is None or value == "" or value is False or (value == 0 and not isinstance(value, bool))


@functools.cache
def _messages(name: str) -> dict[str, Obj]:
    """Protobuf facts of a definition's fields, the inlined structs' included."""
    if not name:
        return {}
    message = data.protobuf().get(data.message_name(name), {})
    found: dict[str, Obj] = {}
    for field, facts in message.items():
        if facts.get("inline"):
            found.update(_messages("io.k8s." + facts["t"].removeprefix("k8s.io.")))
        else:
            found[facts.get("json", field)] = facts
    return found


def _map_value(node: Node) -> Node:
    found = node.field("*")
    return found if found is not None else Node({})


def _zero(node: Node) -> Any:
    """What Go makes of `null` where an element or the value of a key stands."""
    if node.name == schema.QUANTITY:
        return "0"
    return {"string": "", "integer": 0, "boolean": False, "number": 0, "array": [], "object": {}}.get(node.type)


def _go_type(node: Node) -> str:
    if node.raw.get("format") == "byte":
        return "[]uint8"
    return {"string": "string", "boolean": "bool", "integer": str(node.raw.get("format", "int64"))}.get(
        node.type, _go_package(node)
    )


def _go_package(node: Node) -> str:
    """v1.EnvVar for io.k8s.api.core.v1.EnvVar."""
    if not node.name:
        return "map[string]interface {}"
    parts = node.name.split(".")
    return f"{parts[-2]}.{parts[-1]}"


def _int_or_string(value: Any) -> int | str:
    """A type that decodes itself, and so does not know where it stands."""
    integral = isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
    if integral or isinstance(value, str):
        number_or_text: int | str = value
        return number_or_text
    got = _GO_TYPES.get(type(value), "value")
    if got == "number":
        got = f"number {orjson.dumps(value).decode()}"
    raise DecodeError(f"json: cannot unmarshal {got} into Go value of type int32")


def _quantity(value: Any, *, exact: bool = True) -> str:
    """In the form that is stored; a resource list (SetDefaults_ResourceList) keeps nothing finer than thousandths."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DecodeError(quantity.FORMAT_ERROR)
    try:
        return quantity.canonical(value) if exact else str(quantity.parse(value).round_up(_MILLI))
    except quantity.QuantityError as error:
        raise DecodeError(str(error)) from error


def _time(value: Any, *, micro: bool) -> str:
    if not isinstance(value, str):
        kind = _GO_TYPES.get(type(value), "value")
        raise DecodeError(f"json: cannot unmarshal {kind} into Go value of type string")
    try:
        return format_micro(parse_micro(value)) if micro else format_time(parse_time(value))
    except ValueError as error:
        raise DecodeError(str(error)) from error


def _base64(value: str) -> str:
    try:
        return base64.b64encode(base64.b64decode("".join(value.split()), validate=True)).decode()
    except (binascii.Error, ValueError) as error:
        position = next(
            (i for i, c in enumerate(value) if not (c.isalnum() or c in "+/=")), len(value) - len(value) % 4
        )
        raise DecodeError(f"illegal base64 data at input byte {position}") from error


def cannot_handle(kind: str, version: str, why: str) -> StatusError:
    """`Deployment in version "v1" cannot be handled as a Deployment: …`."""
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
