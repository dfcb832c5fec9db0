"""Which ReplicaSet is the new one, what it is annotated with, and how it is made.

After getNewReplicaSet and SetNewReplicaSetAnnotations of pkg/controller/deployment.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.deployment import arithmetic
from kuartui.embedded.controllers.deployment.arithmetic import DESIRED, MAXIMUM, REVISION, REVISION_HISTORY
from kuartui.embedded.controllers.hashing import short_hash

Obj = dict[str, Any]

HASH = "pod-template-hash"
HISTORY_LENGTH = 2000  # characters of the revision-history annotation
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
}


def same_template(one: Obj, other: Obj) -> bool:
    """Whether pod templates agree but for the hash label."""
    return _unhashed(one) == _unhashed(other)


def _unhashed(template: Obj) -> Obj:
    meta = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    labels = {key: value for key, value in (meta.pop("labels", None) or {}).items() if key != HASH}
    meta.pop("creationTimestamp", None)
    return {**template, "metadata": {**meta, "labels": labels}}


def find_new(deployment: Obj, sets: list[Obj]) -> Obj | None:
    """The oldest ReplicaSet with the Deployment's template."""
    template = deployment["spec"]["template"]
    for rs in sorted(sets, key=objects.created):
        if same_template(rs["spec"]["template"], template):
            return rs
    return None


def annotated(deployment: Obj, rs: Obj, new_revision: int, exists: bool) -> dict[str, str]:
    """The annotations that the new ReplicaSet should have."""
    current = objects.annotations_of(rs)
    own = {key: value for key, value in objects.annotations_of(deployment).items() if key not in NOT_COPIED}
    made = {**current, **own}
    old_revision = arithmetic.number(rs, REVISION)
    if (old_revision or 0) < new_revision:
        made[REVISION] = str(new_revision)
        if old_revision is not None:
            made[REVISION_HISTORY] = _history(current.get(REVISION_HISTORY, ""), old_revision)
    if not exists:
        made |= size_annotations(deployment)
    return made


def _history(before: str, revision: int) -> str:
    entries = [*before.split(","), str(revision)] if before else [str(revision)]
    while len(entries) > 1 and len(",".join(entries)) > HISTORY_LENGTH:
        entries.pop(0)
    return ",".join(entries)


def size_annotations(deployment: Obj) -> dict[str, str]:
    """What a ReplicaSet remembers of the Deployment's size, to scale in proportion later."""
    size = arithmetic.replicas(deployment)
    return {DESIRED: str(size), MAXIMUM: str(size + arithmetic.max_surge(deployment))}


def build(deployment: Obj, old_sets: list[Obj], new_revision: int) -> Obj:
    """A ReplicaSet for the Deployment's template."""
    spec = deployment["spec"]
    digest = short_hash(_unhashed(spec["template"]), deployment.get("status", {}).get("collisionCount"))
    template = objects.copy(spec["template"])
    template["metadata"] = {**(template.get("metadata") or {})}
    labels = {**(template["metadata"].get("labels") or {}), HASH: digest}
    template["metadata"]["labels"] = labels
    selector = objects.copy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH: digest}
    rs: Obj = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{objects.name_of(deployment)}-{digest}",
            "namespace": objects.namespace_of(deployment),
            "labels": {**labels},
            "ownerReferences": [objects.controller_reference(deployment)],
        },
        "spec": {
            "replicas": arithmetic.new_set_replicas(deployment, old_sets, 0),
            "selector": selector,
            "template": template,
        },
    }
    if spec.get("minReadySeconds"):
        rs["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    rs["metadata"]["annotations"] = annotated(deployment, rs, new_revision, exists=False)
    return rs
