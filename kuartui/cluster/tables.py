"""Live copies of the tables that `kubectl get` prints: the server says which columns a kind has and what is in them.

So a list of objects needs no code per kind, custom ones included, and takes a few hundred bytes per object instead of
some kilobytes. https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import orjson

from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import TIMEOUT, Api, Obj, whole
from kuartui.cluster.watch import Reflector, What
from kuartui.errors import ApiError, ClusterError
from kuartui.message import later

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MOST = 1000  # rows kept per kind; a level has a few dozen
RELATIVE = ("Age", "Last Seen", "First Seen", "Duration")  # columns that say how long ago, when they were printed
_SPAN = re.compile(r"(\d+)([ydhms])")
_SECONDS = {"y": 31_536_000, "d": 86_400, "h": 3600, "m": 60, "s": 1}

Cell = str | float  # a float is a moment on the monotonic clock, since when it counts


class TableReflector(Reflector):
    """The rows of `resource` in `namespace`: objects of `{"metadata": …, "cells": [Cell, …]}`."""

    accept = TABLE

    def __init__(self, api: Api, resource: Resource, namespace: str = "") -> None:
        super().__init__(api, resource, namespace)
        self.columns: tuple[str, ...] = ()
        self._kept: tuple[int, ...] = ()

    async def _list(self) -> None:
        path = self.resource.path(self.namespace)
        try:
            async with asyncio.timeout(TIMEOUT), self.api.stream("GET", path, accept=TABLE) as response:
                table = orjson.loads(await whole(response))
        except TimeoutError as error:
            raise ClusterError(
                later("{server} did not answer within {timeout:g} s", server=self.api.access.server, timeout=TIMEOUT)
            ) from error
        except orjson.JSONDecodeError as error:
            raise ClusterError(
                later(
                    "listing {group_resource}: the answer makes no sense", group_resource=self.resource.group_resource
                )
            ) from error
        self._define(table)
        found = {}
        for row in self._rows(table):
            found[(row["metadata"].get("namespace", ""), row["metadata"]["name"])] = row
        for key in [key for key in self.objects if key not in found]:
            self._apply("DELETED", self.objects[key], listed=True)
        for row in found.values():
            self._apply("ADDED", row, listed=True)
        self._version = str((table.get("metadata") or {}).get("resourceVersion", ""))
        self.synced.set()
        self._trouble("")

    def _event(self, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            what, table = event["type"], event["object"]
            if what == "ERROR":
                code, reason = int(table.get("code", 0)), str(table.get("reason", ""))
                raise ApiError(str(table.get("message")), code=code, reason=reason)
            self._define(table)
            rows = self._rows(table)
            version = str((table.get("metadata") or {}).get("resourceVersion") or "")
            self._version = rows[-1]["metadata"].get("resourceVersion", version) if rows else version or self._version
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise ClusterError(
                later(
                    "watching {group_resource}: the answer makes no sense", group_resource=self.resource.group_resource
                )
            ) from error
        if what != "BOOKMARK":
            for row in rows:
                self._apply(what, row)

    def _apply(self, what: What, obj: Obj, *, listed: bool = False) -> None:
        if what == "ADDED" and len(self.objects) >= MOST:
            self.objects.pop(next(iter(self.objects)))
        super()._apply(what, obj, listed=listed)

    def _define(self, table: Obj) -> None:
        """Columns come with the first answer; only those that `kubectl get` shows without `-o wide`."""
        defined = table.get("columnDefinitions")
        if defined:
            kept = [index for index, column in enumerate(defined) if not column.get("priority")]
            self._kept, self.columns = tuple(kept), tuple(str(defined[index]["name"]) for index in kept)

    def _rows(self, table: Obj) -> list[Obj]:
        now = time.monotonic()
        rows = []
        for row in table.get("rows") or []:
            metadata = row["object"]["metadata"]
            slim = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in metadata}
            names = zip(self.columns, self._kept, strict=True)
            rows.append({"metadata": slim, "cells": [_cell(name, row["cells"][at], now) for name, at in names]})
        return rows


def _cell(column: str, value: Any, now: float) -> Cell:
    if column in RELATIVE and isinstance(value, str) and (parts := _SPAN.findall(value)):
        return now - sum(int(number) * _SECONDS[unit] for number, unit in parts)
    return "" if value is None else str(value)


def ago(seconds: float) -> str:
    """As kubectl prints an age: 90s, 5m30s, 3h5m, 12d (k8s.io/apimachinery/pkg/util/duration, HumanDuration)."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"
