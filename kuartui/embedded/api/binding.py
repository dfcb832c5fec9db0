"""pods/binding: the scheduler's word on where a pod runs.

kubernetes/pkg/registry/core/pod/storage/storage.go (BindingREST).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.kinds.node_labels import with_topology
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.time import format_time

Obj = dict[str, Any]


async def bind(rest: Rest, namespace: str, name: str, binding: Obj, write: Write) -> None:
    """Put a pod on a node. Raises 409 if it is on one already, or going."""
    endpoint = rest.resources.storage("pods")
    node = binding.get("target", {}).get("name", "")

    def change(pod: Obj) -> Obj:
        if pod["metadata"].get("deletionTimestamp"):
            raise errors.conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
        current = pod["spec"].get("nodeName", "")
        if current:
            raise errors.conflict("pods/binding", name, f'pod {name} is already assigned to node "{current}"')
        if pod["spec"].get("schedulingGates"):
            raise errors.conflict("pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
        pod["spec"]["nodeName"] = node
        target = rest.store.get("nodes", "", node)
        if target is not None:
            with_topology(pod, target.data)
        annotations = binding.get("metadata", {}).get("annotations")
        if annotations:
            pod["metadata"]["annotations"] = {**pod["metadata"].get("annotations", {}), **annotations}
        _scheduled(pod, format_time(rest.clock.now()))
        pod["status"].pop("nominatedNodeName", None)  # it was a promise; ClearingNominatedNodeNameAfterBinding
        return pod

    through = replace(write, manager="", subresource="binding")  # nobody manages where a pod is
    await rest.update(endpoint, namespace, name, change, through)


def _scheduled(pod: Obj, now: str) -> None:
    conditions = [c for c in pod.setdefault("status", {}).get("conditions") or () if c["type"] != "PodScheduled"]
    generation = pod["metadata"].get("generation")
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    if generation:
        condition["observedGeneration"] = generation
    pod["status"]["conditions"] = [*conditions, condition]
