"""Pods that are made on a node carry its zone and region as labels; for those that are bound later, binding sees to it.

kubernetes/plugin/pkg/admission/podtopologylabels.
"""

from __future__ import annotations

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.kinds.node_labels import with_topology
from kuartui.embedded.store import Store


class PodTopologyLabels(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if attributes.resource != "pods" or attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        node = self._store.get("nodes", "", pod["spec"].get("nodeName") or "")
        if node is not None:
            with_topology(pod, node.data)
