"""metrics.k8s.io as the API server serves it: read-only, never stored."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.api.request import Request, Response, json_response
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.kinds.base import Resource, Strategy
from kuartui.embedded.meta import errors, labels
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
        """Raises 404 for what has no metrics, 405 for anything but reading."""
        info = request.info
        if info.verb not in VERBS:
            raise errors.method_not_allowed(f"{info.resource}.{GROUP}", info.verb)
        if info.name:
            if info.resource == "nodes":
                return json_response(self._metrics.node(info.name))
            return json_response(self._metrics.pod(info.namespace, info.name))
        try:
            selector = labels.parse(request.param("labelSelector"))
        except labels.SelectorError as error:
            raise errors.bad_request(f"unable to parse requirement: {error}") from error
        if info.resource == "nodes":
            return json_response(self._metrics.nodes(selector))
        return json_response(self._metrics.pods(info.namespace, selector))
