"""metrics.k8s.io as the API server serves it: read-only, never stored."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import orjson

from kuartui.embedded.api import negotiate, tables
from kuartui.embedded.api.request import Request, Response
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.kinds.base import Resource, Strategy
from kuartui.embedded.meta import errors, labels, quantity
from kuartui.embedded.meta.schema import Node
from kuartui.embedded.metrics.api import MetricsApi

Obj = dict[str, Any]

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
VERBS = ["get", "list"]


def add_endpoints(resources: Resources) -> None:
    """Serve the group, as metrics-server does once it is installed."""
    for plural, kind, namespaced in (("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True)):
        resource = Resource(
            group=GROUP,
            plural=plural,
            singular="",
            kind=kind,
            namespaced=namespaced,
            versions=(VERSION,),
            storage=VERSION,
            verbs=tuple(VERBS),
            list_kind=f"{kind}List",
        )
        entry: Obj = {
            "resource": plural,
            "responseKind": {"group": "", "kind": kind, "version": ""},
            "scope": "Namespaced" if namespaced else "Cluster",
            "singularResource": "",
            "verbs": VERBS,
        }
        resources.add_custom(Endpoint(resource, VERSION, entry, Node({"type": "object"}), Strategy()))


class MetricsEndpoint:
    """Answers GETs of the group."""

    def __init__(self, metrics: MetricsApi) -> None:
        self._metrics = metrics

    def answer(self, request: Request) -> Response:
        """Raises 404 for what has no metrics."""
        found = self._found(request)
        want = negotiate.wanted(request)
        if want.table:
            table = _table(found, want.version, request.param("includeObject", "Metadata"))
            return negotiate.respond(request, table, want=want)
        return negotiate.respond(request, found)

    def _found(self, request: Request) -> Obj:
        info = request.info
        if info.name:
            nodes = info.resource == "nodes"
            return self._metrics.node(info.name) if nodes else self._metrics.pod(info.namespace, info.name)
        try:
            selector = labels.parse(request.param("labelSelector"))
        except labels.SelectorError as error:
            raise errors.bad_request(f"unable to parse requirement: {error}") from error
        if info.resource == "nodes":
            return self._metrics.nodes(selector)
        return self._metrics.pods(info.namespace, selector)


def _table(found: Obj, version: str, include: str) -> Obj:
    """What somebody uses, in columns (pkg/api/table.go of metrics-server)."""
    items = found.get("items", [found])
    table: Obj = {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": {},
        "columnDefinitions": _COLUMNS if items else None,
        "rows": [{"cells": _cells(one), "object": _object(one, version, include)} for one in items] or None,
    }
    return table


_COLUMNS = [
    {"name": name, "type": "string", "format": form, "description": text, "priority": 0}
    for name, form, text in (
        ("Name", "name", "Name of the resource"),
        ("cpu", "quantity", ""),
        ("memory", "quantity", ""),
        ("Window", "duration", ""),
    )
]


def _cells(one: Obj) -> list[str]:
    parts = [part["usage"] for part in one["containers"]] if "containers" in one else [one["usage"]]
    sums = [str(reduce(add, (quantity.parse(part[name]) for part in parts))) for name in ("cpu", "memory")]
    return [one["metadata"]["name"], *sums, one["window"]]


def _object(one: Obj, version: str, include: str) -> Obj | None:
    if include == "None":
        return None
    return one if include == "Object" else orjson.loads(tables.partial(one, version))
