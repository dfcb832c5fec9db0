"""Rules about volumes: claims that are not there, where volumes can be reached, how many a node can hold.

After plugins/{volumebinding,volumezone,volumerestrictions,nodevolumelimits}.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.volumes import matching
from kuartui.embedded.scheduler.framework import Plugin, Refusal, Trial, labels_changed
from kuartui.embedded.scheduler.nodes import NodeInfo

Obj = dict[str, Any]

VOLUME_CHANGES = frozenset({"claim", "volume", "class", "node"})
USE_CHANGES = frozenset({"claim", "pod-gone", "node"})  # of who uses volumes on a node
ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)


class VolumeRestrictions(Plugin):
    """A ReadWriteOncePod claim has one pod at a time."""

    name = "VolumeRestrictions"
    wakes = USE_CHANGES

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        exclusive = trial.notes.get(self.name)
        if exclusive is None:
            exclusive = trial.notes[self.name] = _exclusive_claims(trial)
        namespace = trial.pod["metadata"]["namespace"]
        for other in trial.nodes.values() if exclusive else ():
            for entry in other.pods.values():
                if entry.namespace == namespace and exclusive & {name for name, _ in matching.claims_of(entry.pod)}:
                    return self.refuse(
                        "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
                    )
        return None


def _exclusive_claims(trial: Trial) -> set[str]:
    return {
        name
        for name, _ in matching.claims_of(trial.pod)
        if (claim := trial.client.get("persistentvolumeclaims", trial.pod["metadata"]["namespace"], name))
        and "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ())
    }


class NodeVolumeLimits(Plugin):
    """As many CSI volumes as the node's driver allows."""

    name = "NodeVolumeLimits"
    wakes = USE_CHANGES

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        if not matching.claims_of(trial.pod):
            return None
        csi = trial.client.get("csinodes.storage.k8s.io", "", info.name)
        limits = {
            driver["name"]: driver["allocatable"]["count"]
            for driver in ((csi or {}).get("spec") or {}).get("drivers") or ()
            if (driver.get("allocatable") or {}).get("count") is not None
        }
        if not limits:
            return None
        wanted = _csi_volumes(trial, [trial.pod])
        there = _csi_volumes(trial, [entry.pod for entry in info.pods.values()])
        for driver, limit in limits.items():
            new = wanted.get(driver, set()) - there.get(driver, set())
            if new and len(new) + len(there.get(driver, ())) > limit:
                return self.refuse("node(s) exceed max volume count")
        return None


def _csi_volumes(trial: Trial, pods: list[Obj]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pod in pods:
        for name, _ in matching.claims_of(pod):
            claim = trial.client.get("persistentvolumeclaims", pod["metadata"]["namespace"], name)
            volume = trial.client.get("persistentvolumes", "", claim["spec"].get("volumeName") or "") if claim else None
            source = volume["spec"].get("csi") if volume else None
            if source:
                found.setdefault(source["driver"], set()).add(source["volumeHandle"])
    return found


class Claims(Struct):
    """The claims of a pod by what is to be done with them."""

    bound: list[Obj] = field(default_factory=list)
    delayed: list[Obj] = field(default_factory=list)


class VolumeBinding(Plugin):
    """Bound volumes must be in reach; unbound ones must be findable from the node."""

    name = "VolumeBinding"
    wakes = VOLUME_CHANGES

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It is new, or in another place than before."""
        return labels_changed(before, after)

    def prepare(self, trial: Trial) -> Refusal | None:
        claims = trial.notes[self.name] = Claims()
        immediate = False
        for name, own in matching.claims_of(trial.pod):
            claim = trial.client.get("persistentvolumeclaims", trial.pod["metadata"]["namespace"], name)
            if claim is None:
                text = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                return self.refuse(text if own else f'persistentvolumeclaim "{name}" not found', final=True)
            if claim.get("status", {}).get("phase") == "Lost":
                volume = claim["spec"].get("volumeName", "")
                text = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
                return self.refuse(text, final=True)
            if objects.being_deleted(claim):
                return self.refuse(f'persistentvolumeclaim "{name}" is being deleted', final=True)
            if own and not objects.controlled_by(claim, trial.pod):
                text = f"PVC {trial.pod['metadata']['namespace']}/{name} was not created for pod "
                text += f"{trial.pod['metadata']['namespace']}/{objects.name_of(trial.pod)} (pod is not owner)"
                return self.refuse(text, final=True)
            if matching.bound(claim):
                claims.bound.append(claim)
            elif matching.waits_for_consumer(trial.client, claim) and not claim["spec"].get("volumeName"):
                claims.delayed.append(claim)
            else:
                immediate = True
        if immediate:
            return self.refuse("pod has unbound immediate PersistentVolumeClaims", final=True)
        return None

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        claims: Claims = trial.notes[self.name]
        reasons = []
        for claim in claims.bound:
            volume = trial.client.get("persistentvolumes", "", claim["spec"]["volumeName"])
            if volume is None:
                reasons.append("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")
            elif not matching.on_node(volume, info.node):
                reasons.append("node(s) didn't match PersistentVolume's node affinity")
        if claims.delayed and placements(trial, info.node) is None:
            reasons.append("node(s) didn't find available persistent volumes to bind")
        return self.refuse(*dict.fromkeys(reasons), final=True) if reasons else None


def placements(trial: Trial, node: Obj) -> list[tuple[Obj, Obj | None]] | None:
    """For each delayed claim the volume that it would get on a node, or None for one to be provisioned.

    None altogether if the node can't serve them all.
    """
    claims: Claims = trial.notes[VolumeBinding.name]
    volumes = trial.client.list("persistentvolumes")
    taken: list[str] = []
    found: list[tuple[Obj, Obj | None]] = []
    for claim in sorted(claims.delayed, key=matching.requested):
        chosen_node = objects.annotations_of(claim).get(matching.SELECTED_NODE)
        if chosen_node and chosen_node != node["metadata"]["name"]:
            return None
        volume = None
        if not chosen_node:
            volume = matching.best_volume(claim, volumes, node=node, delayed=True, taken=taken)
        if volume is not None:
            taken.append(objects.name_of(volume))
        elif not _can_provision(trial, claim, node):
            return None
        found.append((claim, volume))
    return found


def _can_provision(trial: Trial, claim: Obj, node: Obj) -> bool:
    storage_class = trial.client.get(matching.CLASSES, "", matching.class_of(claim))
    if storage_class is None or storage_class.get("provisioner") in (None, "", matching.NO_PROVISIONER):
        return False
    return matching.topology_allows(storage_class, node)


class VolumeZone(Plugin):
    """Volumes labelled with a zone are reachable from that zone only."""

    name = "VolumeZone"
    wakes = VOLUME_CHANGES

    def helped_by_node(self, pod: Obj, before: Obj | None, after: Obj) -> bool:
        """It is new, or in another place than before."""
        return labels_changed(before, after)

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        claims: Claims = trial.notes[VolumeBinding.name]
        for claim in claims.bound:
            volume = trial.client.get("persistentvolumes", "", claim["spec"]["volumeName"])
            labels = objects.labels_of(volume) if volume else {}
            for key in ZONE_LABELS:
                if key in labels and key in info.labels and info.labels[key] not in labels[key].split("__"):
                    return self.refuse("node(s) had no available volume zone", final=True)
        return None
