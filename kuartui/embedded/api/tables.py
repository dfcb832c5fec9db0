"""`as=Table`: what `kubectl get` prints, computed by the server.

Columns are data; cells come from the kind's strategy, or for CRDs from their printer columns. Rows are kept per version
of an object, ages excepted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from kuartui.embedded import data
from kuartui.embedded.api import objects
from kuartui.embedded.api.reading import Page
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.store import Stored

Obj = dict[str, Any]

DEFAULT_COLUMNS = [
    {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "Name must be unique within a namespace. Is required when creating resources.",
        "priority": 0,
    },
    {"name": "Created At", "type": "date", "format": "", "description": "CreationTimestamp", "priority": 0},
]
TABLE = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}


def columns(endpoint: Endpoint) -> list[Obj]:
    """Column definitions of a resource."""
    own = endpoint.strategy.columns(endpoint.version)
    if own is not None:
        return own
    resource = endpoint.resource
    found = data.tables().get(f"{resource.group}/{endpoint.version}/{resource.plural}")
    if found is None:
        return DEFAULT_COLUMNS
    return [{**column, "description": ""} for column in found]


def row(endpoint: Endpoint, stored: Stored, now: datetime, include: str) -> Obj:
    """One row; `include` is Metadata, Object or None."""
    cells = endpoint.strategy.row(objects.from_storage(endpoint, stored.data), now)
    if cells is None:
        metadata = stored.data["metadata"]
        cells = [metadata.get("name", ""), metadata.get("creationTimestamp")]
    result: Obj = {"cells": cells}
    if include == "Object":
        result["object"] = objects.from_storage(endpoint, stored.data)
    elif include != "None":
        result["object"] = partial(stored.data)
    return result


def partial(obj: Obj) -> Obj:
    """PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj.get("metadata", {})}


def table(endpoint: Endpoint, page: Page, now: datetime, include: str, *, heading: bool = True) -> bytes:
    metadata: Obj = {"resourceVersion": str(page.revision)}
    if page.token:
        metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    result: Obj = {**TABLE, "metadata": metadata}
    if heading:
        result["columnDefinitions"] = columns(endpoint)
    result["rows"] = [row(endpoint, stored, now, include) for stored in page.items]
    return orjson.dumps(result)


class TableEvents:
    """Encodes watch events as tables; only the first carries the column definitions."""

    def __init__(self, endpoint: Endpoint, include: str, now: Any) -> None:
        self._endpoint, self._include, self._now = endpoint, include, now
        self._heading = True

    def __call__(self, kind: str, stored: Stored) -> bytes:
        page = Page([stored], stored.rv)
        body = table(self._endpoint, page, self._now(), self._include, heading=self._heading)
        self._heading = False
        return body

    def bookmark(self, obj: Obj) -> bytes:
        return orjson.dumps(
            {
                **TABLE,
                "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
                "rows": [
                    {"cells": [], "object": {**obj, "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}}
                ],
            }
        )
