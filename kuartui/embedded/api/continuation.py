"""Continue tokens: where the next page of a list begins, and the revision that all its pages show.

k8s.io/apiserver/pkg/storage/continue.go
"""

from __future__ import annotations

import base64
import posixpath
from typing import Any

import orjson

from kuartui.embedded.meta import errors, json_errors

_VERSION = "meta.k8s.io/v1"
_FIELDS: dict[str, tuple[Any, str]] = {"v": ("", "string"), "rv": (0, "int64"), "start": ("", "string")}
"""With their zero values and Go types."""
_GO_TYPES = {list: "array", dict: "object", str: "string", bool: "bool"}


def encode(revision: int, namespace: str, name: str) -> str:
    """The token of the page after an object; revision -1 stands for the newest."""
    start = f"{namespace}/{name}\0" if namespace else f"{name}\0"
    raw = orjson.dumps({"v": _VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(token: str) -> tuple[int, tuple[str, str]]:
    """The revision, and namespace and name of the last object that was shown. Raises 400."""
    try:
        value = _fields(token)
        if value["v"] != _VERSION:
            raise ValueError(f"server does not recognize this encoded version {value['v']}")
        if not value["rv"]:
            raise ValueError(f"incorrect encoded start resourceVersion (version {_VERSION})")
        start = value["start"]
        if not start:
            raise ValueError(f"encoded start key empty (version {_VERSION})")
        key = "/" + start.removeprefix("/")
        if posixpath.normpath(key) != key:
            raise ValueError(start)
    except ValueError as error:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    namespace, _, name = start.removesuffix("\0").removeprefix("/").rpartition("/")
    return value["rv"], (namespace, name)


def _fields(token: str) -> dict[str, Any]:
    """Raises ValueError with Go's words for what is no base64, no JSON, or of other types."""
    body = _base64(token)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(json_errors.explain(body) or str(error)) from error
    if not isinstance(value, dict):
        got = _GO_TYPES.get(type(value), "number")
        raise ValueError(f"json: cannot unmarshal {got} into Go value of type storage.continueToken")
    found = {field: zero for field, (zero, _) in _FIELDS.items()}
    for field, (zero, kind) in _FIELDS.items():
        inside = value.get(field)
        if inside is None:
            continue
        if type(inside) is not type(zero):
            got = _GO_TYPES.get(type(inside), "number")
            raise ValueError(f"json: cannot unmarshal {got} into Go struct field continueToken.{field} of type {kind}")
        found[field] = inside
    return found


def _base64(token: str) -> bytes:
    """Of the kind that is for URLs and has no padding."""
    at = next((i for i, c in enumerate(token) if not (c.isascii() and (c.isalnum() or c in "-_"))), None)
    if at is None and len(token) % 4 == 1:
        at = len(token) - 1
    if at is not None:
        raise ValueError(f"illegal base64 data at input byte {at}")
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
