"""Answers as tables, which is how `kubectl get` shows them.

The columns are wire data; the cells come from each kind's strategy.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.api import objects
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.store import Stored

Obj = dict[str, Any]

_DEFAULT = [
    {"name": "Name", "type": "string", "format": "name", "priority": 0},
    {"name": "Created At", "type": "date", "format": "", "priority": 0},
]
_NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)


def columns(endpoint: Endpoint) -> list[Obj]:
    """Column definitions of a resource."""
    own = endpoint.strategy.columns(endpoint.version)
    if own is not None:
        return own
    key = f"{endpoint.resource.group}/{endpoint.version}/{endpoint.resource.plural}"
    found = data.tables().get(key, _DEFAULT)
    return [{**column, "description": _NAME_TEXT if column["format"] == "name" else ""} for column in found]


def table(
    endpoint: Endpoint,
    items: Iterable[Stored],
    now: datetime,
    version: str,
    include: str,
    metadata: Obj,
    *,
    headers: bool = True,
) -> bytes:
    """A Table as JSON. `include` is None, Metadata or Object: what each row carries of its object."""
    head: Obj = {"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata}
    head["columnDefinitions"] = columns(endpoint) if headers else []
    order = endpoint.strategy.row_order
    if order is not None:
        items = sorted(items, key=lambda item: order(item.data))
    rows = b",".join(row(endpoint, item, now, version, include) for item in items)
    return orjson.dumps(head)[:-1] + b',"rows":[' + rows + b"]}"


def row(endpoint: Endpoint, stored: Stored, now: datetime, version: str, include: str) -> bytes:
    """One row as JSON; the object's part is kept with the stored version."""
    key = ("row", endpoint.api_version, version, include, endpoint.strategy)
    tail = stored.cache.get(key)
    if tail is None:
        tail = stored.cache[key] = _object(endpoint, stored, version, include)
    return b'{"cells":' + orjson.dumps(cells(endpoint, _shown(endpoint, stored), now)) + tail


def _shown(endpoint: Endpoint, stored: Stored) -> Obj:
    return objects.data_in(endpoint, stored) if endpoint.custom else stored.data


def cells(endpoint: Endpoint, obj: Obj, now: datetime) -> list[Any]:
    """The cells of one object (in its storage version; custom ones in the endpoint's)."""
    found = endpoint.strategy.row(obj, now)
    metadata = obj["metadata"]
    return [metadata.get("name", ""), metadata.get("creationTimestamp")] if found is None else found


def _object(endpoint: Endpoint, stored: Stored, version: str, include: str) -> bytes:
    if include == "None":
        return b"}"
    if include == "Object":
        return b',"object":' + objects.raw_in(endpoint, stored) + b"}"
    return b',"object":' + partial(stored.data, version) + b"}"


def partial(obj: Obj, version: str) -> bytes:
    """The metadata of an object, as PartialObjectMetadata."""
    value = {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj["metadata"],
    }
    return orjson.dumps(value)
