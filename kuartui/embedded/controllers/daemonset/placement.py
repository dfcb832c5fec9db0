"""Which nodes a DaemonSet's pods belong on, and the pods made for them. Pure functions.

After NodeShouldRunDaemonPod and pkg/controller/daemon/util.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.scheduler import matching

Obj = dict[str, Any]

HASH = "controller-revision-hash"
GENERATION = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def tolerations(spec: Obj) -> list[Obj]:
    """A pod spec's tolerations with those that every daemon pod has."""
    made = [dict(one) for one in spec.get("tolerations") or ()]
    for key, effect in [*TOLERATED, *([NETWORK] if spec.get("hostNetwork") else [])]:
        wanted = {"key": key, "operator": "Exists", "effect": effect}
        same = [one for one in made if one.get("key") == key and one.get("effect") == effect]
        if same:
            made = [wanted if one is same[0] else one for one in made]
        else:
            made.append(wanted)
    return made


def belongs(daemonset: Obj, node: Obj) -> tuple[bool, bool]:
    """Whether a pod should be started on a node, and whether one that runs there may stay."""
    spec = daemonset["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != objects.name_of(node):
        return False, False
    if not matching.selects_node({"spec": spec}, node):
        return False, False
    accepted = tolerations(spec)
    taints = node.get("spec", {}).get("taints") or []
    if matching.untolerated(accepted, taints, "NoSchedule", "NoExecute") is None:
        return True, True
    return False, matching.untolerated(accepted, taints, "NoExecute") is None


def new_pod(daemonset: Obj, node: str, digest: str) -> Obj:
    """A pod for a node; the scheduler still has its say on whether there is room."""
    pod = pods.from_template(daemonset["spec"]["template"], daemonset)
    labels = {**(pod["metadata"].get("labels") or {}), HASH: digest}
    generation = objects.annotations_of(daemonset).get(GENERATION_ANNOTATION)
    if generation:
        labels[GENERATION] = generation
    pod["metadata"]["labels"] = labels
    spec = pod["spec"]
    spec["tolerations"] = tolerations(spec)
    affinity = spec.setdefault("affinity", {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    affinity["nodeAffinity"] = {**(affinity.get("nodeAffinity") or {}), **required}
    return pod


def node_of(pod: Obj) -> str:
    """The node that a daemon pod is on, or was made for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    for term in matching.required_node_terms(pod) or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field["values"]) == 1:
                return str(field["values"][0])
    return ""
