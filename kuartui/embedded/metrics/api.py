"""The answers of metrics.k8s.io/v1beta1: what `kubectl top` asks for.

After kubernetes-sigs/metrics-server. The group is there only on clusters that have the add-on; without it kubectl says
"Metrics API not available".
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.errors import not_found
from kuartui.embedded.meta.labels import Selector
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.metrics.usage import WINDOW, PodUse, Usage, Use

Obj = dict[str, Any]

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"


class MetricsApi:
    """Reads usage for clients."""

    def __init__(self, client: Client, usage: Usage) -> None:
        self._client = client
        self._usage = usage

    def pod(self, namespace: str, name: str) -> Obj:
        """One PodMetrics. Raises 404: there is no such pod, or it has no metrics."""
        if self._client.get("pods", namespace, name) is None:
            raise not_found("pods", name)
        found = self._usage.pods().get((namespace, name))
        if found is None:
            raise not_found("podmetrics.metrics.k8s.io", f"{namespace}/{name}")
        return self._pod_metrics(found)

    def pods(self, namespace: str, selector: Selector) -> Obj:
        """PodMetricsList of a namespace, or of all ("")."""
        uses = self._usage.pods()
        items = [
            self._pod_metrics(uses[key])
            for key in sorted(uses)
            if namespace in ("", key[0]) and selector.matches(objects.labels_of(uses[key].pod))
        ]
        return {"kind": "PodMetricsList", "apiVersion": API_VERSION, "metadata": {}, "items": items}

    def node(self, name: str) -> Obj:
        """One NodeMetrics. Raises 404: there is no such node, or it does not answer."""
        node = self._client.get("nodes", "", name)
        if node is None:
            raise not_found("node", name)  # in the singular, as metrics-server's cache of nodes says it
        found = self._node_metrics(node)
        if found is None:
            raise not_found("nodemetrics.metrics.k8s.io", name)
        return found

    def nodes(self, selector: Selector) -> Obj:
        """NodeMetricsList; nodes that do not answer are left out."""
        made = [
            self._node_metrics(node) for node in self._client.list("nodes") if selector.matches(objects.labels_of(node))
        ]
        items = [one for one in made if one is not None]
        return {"kind": "NodeMetricsList", "apiVersion": API_VERSION, "metadata": {}, "items": items}

    def _pod_metrics(self, use: PodUse) -> Obj:
        meta = {"name": objects.name_of(use.pod), "namespace": objects.namespace_of(use.pod)}
        containers = [{"name": name, "usage": _quantities(one)} for name, one in use.containers.items()]
        return self._object("PodMetrics", meta, use.pod) | {"containers": containers}

    def _node_metrics(self, node: Obj) -> Obj | None:
        use = self._usage.node(objects.name_of(node))
        if use is None:
            return None
        return self._object("NodeMetrics", {"name": objects.name_of(node)}, node) | {"usage": _quantities(use)}

    def _object(self, kind: str, meta: Obj, source: Obj) -> Obj:
        now = format_time(self._client.clock.now())
        metadata = meta | {"creationTimestamp": now}
        if objects.labels_of(source):
            metadata["labels"] = objects.labels_of(source)
        return {
            "kind": kind,
            "apiVersion": API_VERSION,
            "metadata": metadata,
            "timestamp": now,
            "window": f"{WINDOW:g}s",
        }


def _quantities(use: Use) -> dict[str, str]:
    """As metrics-server writes them: nanocores and kibibytes."""
    return {"cpu": f"{use.cpu}n" if use.cpu else "0", "memory": f"{use.memory // 1024}Ki"}
