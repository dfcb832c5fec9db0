"""Resizes that the pod's node could never grant are refused at once, not left pending as Infeasible.

kubernetes/plugin/pkg/admission/podresize, from 1.36 on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.gofmt import quote
from kuartui.embedded.node.resources import amounts, pod_requests
from kuartui.embedded.store import Store

Obj = dict[str, Any]

_OS = "kubernetes.io/os"
_SCALES = {"cpu": 1000, "memory": 1}


class PodResizeValidator(Plugin):
    """Compares what a bound pod asks for in a resize with what its node can allocate."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def validate(self, attributes: Attributes) -> None:
        pod, old = attributes.obj, attributes.old
        if attributes.resource != "pods" or attributes.subresource != "resize" or pod is None or old is None:
            return
        place = pod["spec"].get("nodeName")
        if not place or pod["spec"] == old["spec"]:
            return
        node = self._store.get("nodes", "", place)
        if node is None:
            raise errors.forbidden("pods", attributes.name, f"node {quote(place)} not found")
        system = (node.data["metadata"].get("labels") or {}).get(_OS, "linux")
        if system != "linux":
            text = f"pod resize is only supported on linux nodes, node {quote(place)} is {quote(system)}"
            raise _refused(attributes, text, "UnsupportedPlatform")
        short = _short(pod, node.data)
        if short:
            raise _refused(attributes, f"node didn't have enough allocatable resources: {short}", "NodeCapacity")


def _short(pod: Obj, node: Obj) -> str:
    """Of what there is too little: CPU in thousandths, memory in bytes."""
    allocatable, wanted = amounts((node.get("status") or {}).get("allocatable")), pod_requests(pod)
    found = []
    for name, scale in _SCALES.items():
        ask, room = (int(given.get(name, Decimal(0)) * scale) for given in (wanted, allocatable))
        if ask > room:
            found.append(f"{name}, requested: {ask}, allocatable: {room}")
    return "; ".join(found)


def _refused(attributes: Attributes, why: str, reason: str) -> errors.StatusError:
    error = errors.forbidden("pods", attributes.name, why)
    error.details["causes"] = [{"reason": reason}]
    return error
