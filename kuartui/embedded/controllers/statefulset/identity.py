"""Who a StatefulSet's pod is: its ordinal, its names, its claims. Pure functions.

After pkg/controller/statefulset/stateful_set_utils.go.
"""

from __future__ import annotations

import re
from typing import Any

from kuartui.embedded.controllers import objects, pods

Obj = dict[str, Any]

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
REVISION = "controller-revision-hash"

_ORDINAL = re.compile(r"(.*)-([0-9]+)")


def replicas(statefulset: Obj) -> int:
    """spec.replicas; 1 if unset."""
    found = statefulset["spec"].get("replicas")
    return 1 if found is None else int(found)


def first_ordinal(statefulset: Obj) -> int:
    """spec.ordinals.start."""
    return int((statefulset["spec"].get("ordinals") or {}).get("start") or 0)


def ordinal(statefulset: Obj, pod: Obj) -> int:
    """The pod's number; -1 if its name is not one of the set's."""
    found = _ORDINAL.fullmatch(objects.name_of(pod))
    return int(found[2]) if found and found[1] == objects.name_of(statefulset) else -1


def pod_name(statefulset: Obj, number: int) -> str:
    """The name of the pod with a number."""
    return f"{objects.name_of(statefulset)}-{number}"


def claim_templates(statefulset: Obj) -> list[Obj]:
    """spec.volumeClaimTemplates, never None."""
    return statefulset["spec"].get("volumeClaimTemplates") or []


def claim_name(statefulset: Obj, template: Obj, number: int) -> str:
    """The name of a claim of the pod with a number."""
    return f"{objects.name_of(template)}-{pod_name(statefulset, number)}"


def claims(statefulset: Obj, number: int) -> list[Obj]:
    """The claims of the pod with a number."""
    made = []
    selector = statefulset["spec"]["selector"].get("matchLabels") or {}
    for template in claim_templates(statefulset):
        claim = objects.copy(template)
        claim.pop("status", None)
        meta = claim["metadata"]
        claim |= {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        claim["metadata"] = {
            **meta,
            "name": claim_name(statefulset, template, number),
            "namespace": objects.namespace_of(statefulset),
            "labels": {**(meta.get("labels") or {}), **selector},
        }
        made.append(claim)
    return made


def labels(statefulset: Obj, number: int) -> dict[str, str]:
    """Labels that tell the pod with a number from the others."""
    return {POD_NAME: pod_name(statefulset, number), POD_INDEX: str(number)}


def new_pod(statefulset: Obj, number: int, revision: str) -> Obj:
    """The pod with a number, at a revision (the set must be as it was then)."""
    pod = pods.from_template(statefulset["spec"]["template"], statefulset)
    meta = pod["metadata"]
    name = pod_name(statefulset, number)
    meta["name"] = name
    meta["labels"] = {**(meta.get("labels") or {}), **labels(statefulset, number), REVISION: revision}
    spec = pod["spec"]
    spec["hostname"] = name
    if statefulset["spec"].get("serviceName"):
        spec["subdomain"] = statefulset["spec"]["serviceName"]
    _mount_claims(statefulset, spec, number)
    return pod


def _mount_claims(statefulset: Obj, spec: Obj, number: int) -> None:
    templates = claim_templates(statefulset)
    names = {objects.name_of(template) for template in templates}
    own = [
        {
            "name": objects.name_of(template),
            "persistentVolumeClaim": {"claimName": claim_name(statefulset, template, number), "readOnly": False},
        }
        for template in templates
    ]
    others = [volume for volume in spec.get("volumes") or () if volume["name"] not in names]
    if own or others:
        spec["volumes"] = own + others


def revision_of(pod: Obj) -> str:
    """The name of the revision that a pod was made from."""
    return objects.labels_of(pod).get(REVISION, "")


def running_and_ready(pod: Obj) -> bool:
    """Phase Running and Ready."""
    return pods.phase(pod) == "Running" and pods.ready(pod)


def retention(statefulset: Obj, event: str) -> str:
    """What becomes of claims when the set is deleted (whenDeleted) or a pod scaled away (whenScaled)."""
    policy = statefulset["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get(event) or "Retain")
