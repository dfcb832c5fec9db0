"""JSON patch (RFC 6902), with the leniency and the messages of Kubernetes' library (evanphx/json-patch)."""

from __future__ import annotations

from typing import Any

import orjson

from kuartui.embedded.meta.errors import StatusError, bad_request, unprocessable_patch

MAX_OPERATIONS = 10_000
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


class PatchError(ValueError):
    """The patch does not fit the document; the text is the library's."""


def apply(document: Any, operations: Any) -> Any:
    """The patched copy. Raises StatusError: 400 for what is no patch, 422 for what does not fit."""
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else "string" if isinstance(operations, str) else "value"
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", text)
    result = orjson.loads(orjson.dumps(document))
    try:
        for operation in operations:
            result = _one(result, operation)
    except PatchError as error:
        raise unprocessable_patch() from error
    return result


def _one(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
        raise PatchError(f"Unexpected kind: {operation.get('op') if isinstance(operation, dict) else operation}")
    kind, path = operation["op"], _pointer(operation.get("path"))
    if kind in ("add", "replace", "test") and "value" not in operation and kind != "test":
        raise PatchError(f"{kind} operation does not apply: missing value")
    match kind:
        case "add":
            return _add(document, path, operation["value"])
        case "remove":
            return _remove(document, path, "remove")
        case "replace":
            if path and not isinstance(_parent(document, path, "replace"), dict):
                _get(document, path, "replace")  # a missing key of an object is fine with the library
            return _put(document, path, operation["value"])
        case "move":
            source = _pointer(operation.get("from"))
            value = _get(document, source, "move")
            return _add(_remove(document, source, "move"), path, value)
        case "copy":
            value = _get(document, _pointer(operation.get("from")), "copy")
            return _add(document, path, orjson.loads(orjson.dumps(value)))
    return _test(document, path, operation.get("value"))


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchError("unable to parse path")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _join(path: list[str]) -> str:
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path)


def _step(container: Any, part: str) -> Any:
    if isinstance(container, dict):
        if part not in container:
            raise KeyError(part)
        return container[part]
    if isinstance(container, list):
        return container[_index(part, len(container))]
    raise KeyError(part)


def _index(part: str, length: int) -> int:
    try:
        index = int(part)
    except ValueError as error:
        raise PatchError(f"strconv.Atoi: parsing {orjson.dumps(part).decode()}: invalid syntax") from error
    if not -length <= index < length:
        raise PatchError(f"Unable to access invalid index: {index}: invalid index referenced")
    return index


def _parent(document: Any, path: list[str], kind: str) -> Any:
    container = document
    for part in path[:-1]:
        try:
            container = _step(container, part)
        except KeyError as error:
            text = f'{kind} operation does not apply: doc is missing path: "{_join(path)}": missing value'
            raise PatchError(text) from error
    if not isinstance(container, dict | list):
        raise PatchError(f'{kind} operation does not apply: doc is missing path: "{_join(path)}": missing value')
    return container


def _get(document: Any, path: list[str], kind: str) -> Any:
    if not path:
        return document
    container = _parent(document, path, kind)
    try:
        return _step(container, path[-1])
    except KeyError as error:
        text = f"{kind} operation does not apply: doc is missing key: {_join(path)}: missing value"
        raise PatchError(text) from error


def _put(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    container = _parent(document, path, "replace")
    container[path[-1] if isinstance(container, dict) else _index(path[-1], len(container))] = value
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    container = _parent(document, path, "add")
    if isinstance(container, dict):
        container[path[-1]] = value
    elif path[-1] == "-":
        container.append(value)
    else:
        container.insert(_index(path[-1], len(container) + 1), value)
    return document


def _remove(document: Any, path: list[str], kind: str) -> Any:
    if not path:
        raise PatchError(f"{kind} operation does not apply: cannot remove the whole document")
    container = _parent(document, path, kind)
    if isinstance(container, list):
        del container[_index(path[-1], len(container))]
        return document
    if path[-1] not in container:
        raise PatchError(
            f"{kind} operation does not apply: Unable to remove nonexistent key: {path[-1]}: missing value"
        )
    del container[path[-1]]
    return document


def _test(document: Any, path: list[str], value: Any) -> Any:
    try:
        found = _get(document, path, "test")
    except PatchError:
        found = None
        if value is not None:
            raise PatchError(f"testing value {_join(path)} failed: test failed") from None
    if found != value or isinstance(found, bool) != isinstance(value, bool):
        raise PatchError(f"testing value {_join(path)} failed: test failed")
    return document
