"""Which volume a claim may have. Pure functions, used by the binder and by the scheduler.

After k8s.io/component-helpers/storage/volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.labels import from_object
from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.scheduler.matching import matches_node_terms

Obj = dict[str, Any]

CLASSES = "storageclasses.storage.k8s.io"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def class_of(obj: Obj) -> str:
    """The storage class name of a claim or volume; "" for none."""
    beta = objects.annotations_of(obj).get(BETA_CLASS)
    return beta if beta is not None else obj["spec"].get("storageClassName") or ""


def attributes_of(obj: Obj) -> str:
    """The volume attributes class of a claim or volume; "" for none."""
    return obj["spec"].get("volumeAttributesClassName") or ""


def waits_for_consumer(client: Client, claim: Obj) -> bool:
    """Whether the claim's class binds when a pod is placed."""
    found = client.get(CLASSES, "", class_of(claim))
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def requested(claim: Obj) -> Any:
    """The capacity that a claim asks for."""
    return parse((claim["spec"].get("resources") or {}).get("requests", {}).get("storage", "0"))


def capacity(volume: Obj) -> Any:
    """The capacity of a volume."""
    return parse((volume["spec"].get("capacity") or {}).get("storage", "0"))


def names_claim(volume: Obj, claim: Obj) -> bool:
    """Whether a volume's claimRef means this claim (by name, and by uid once it has one)."""
    ref = volume["spec"].get("claimRef")
    if not ref or ref.get("name") != objects.name_of(claim) or ref.get("namespace") != objects.namespace_of(claim):
        return False
    return not ref.get("uid") or ref["uid"] == objects.uid_of(claim)


def on_node(volume: Obj, node: Obj) -> bool:
    """Whether a volume can be reached from a node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or matches_node_terms(required.get("nodeSelectorTerms") or [], node)


def modes_fit(volume: Obj, claim: Obj) -> bool:
    """Whether a volume offers all access modes of a claim, and its volume mode."""
    offered = set(volume["spec"].get("accessModes") or ())
    mode = claim["spec"].get("volumeMode", "Filesystem") == volume["spec"].get("volumeMode", "Filesystem")
    return mode and set(claim["spec"].get("accessModes") or ()) <= offered


def best_volume(
    claim: Obj, volumes: Iterable[Obj], *, node: Obj | None = None, delayed: bool = False, taken: Iterable[str] = ()
) -> Obj | None:
    """The volume that was made for the claim, else the smallest that will do.

    Without a node, those with the fewest access modes come first, whatever their size, and a delayed claim gets only what
    was made for it. `taken` are names that others will get.
    """
    if node is not None:
        return _best(claim, volumes, node, delayed, set(taken))
    by_modes: dict[tuple[str, ...], list[Obj]] = {}
    for volume in volumes:
        by_modes.setdefault(tuple(sorted(volume["spec"].get("accessModes") or ())), []).append(volume)
    for modes in sorted(by_modes, key=lambda modes: (len(modes), modes)):
        found = _best(claim, by_modes[modes], node, delayed, set(taken))
        if found is not None:
            return found
    return None


def _best(claim: Obj, volumes: Iterable[Obj], node: Obj | None, delayed: bool, excluded: set[str]) -> Obj | None:
    selector = from_object(claim["spec"]["selector"]) if claim["spec"].get("selector") else None
    best: Obj | None = None
    for volume in volumes:
        ref = volume["spec"].get("claimRef")
        own = names_claim(volume, claim)
        if objects.name_of(volume) in excluded or (ref and not own) or objects.being_deleted(volume):
            continue
        if capacity(volume) < requested(claim) or not modes_fit(volume, claim):
            continue
        reachable = node is None or on_node(volume, node)
        if own:
            return volume if reachable else None
        if (node is None and delayed) or not reachable:
            continue
        if volume.get("status", {}).get("phase") != "Available" or class_of(volume) != class_of(claim):
            continue
        if attributes_of(volume) != attributes_of(claim):
            continue
        if selector is not None and not selector.matches(objects.labels_of(volume)):
            continue
        if best is None or capacity(volume) < capacity(best):
            best = volume
    return best


def bound(claim: Obj) -> bool:
    """Whether a claim is bound for good."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in objects.annotations_of(claim)


def topology_allows(storage_class: Obj, node: Obj) -> bool:
    """allowedTopologies of a class against a node."""
    allowed = storage_class.get("allowedTopologies") or ()
    labels = node["metadata"].get("labels") or {}
    return not allowed or any(
        all(labels.get(one["key"]) in one["values"] for one in term.get("matchLabelExpressions") or ())
        for term in allowed
    )


def claims_of(pod: Obj) -> list[tuple[str, bool]]:
    """Names of the claims that a pod mounts, and whether each is the pod's own (a generic ephemeral volume)."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found.append((volume["persistentVolumeClaim"]["claimName"], False))
        elif "ephemeral" in volume:
            found.append((f"{objects.name_of(pod)}-{volume['name']}", True))
    return found
