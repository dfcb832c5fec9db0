"""Dynamic resource allocation: pods wait for the devices that they claim (plugins/dynamicresources).

No node here has devices, so a claim that nobody else allocated keeps its pod waiting.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.scheduler.framework import Plugin, Refusal, Trial
from kuartui.embedded.scheduler.nodes import NodeInfo

Obj = dict[str, Any]

CLAIMS, CLASSES = "resourceclaims.resource.k8s.io", "deviceclasses.resource.k8s.io"


class DynamicResources(Plugin):
    """All claims of a pod must be there and allocated."""

    name = "DynamicResources"
    wakes = frozenset({"device-claim"})

    def prepare(self, trial: Trial) -> Refusal | None:
        if not trial.pod["spec"].get("resourceClaims"):
            return None
        pending = []
        where = f"{trial.pod['metadata']['namespace']}/{trial.pod['metadata']['name']}"
        for entry in trial.pod["spec"]["resourceClaims"]:
            name = claim_name(trial.pod, entry)
            if name is None:
                return self.refuse(f'pod "{where}": ResourceClaim not created yet', final=True)
            if not name:
                continue
            claim = trial.client.get(CLAIMS, trial.pod["metadata"]["namespace"], name)
            if claim is None:
                return self.refuse(f'resourceclaim.resource.k8s.io "{name}" not found', final=True)
            if objects.being_deleted(claim):
                return self.refuse(f'resourceclaim "{name}" is being deleted', final=True)
            if not (claim.get("status") or {}).get("allocation"):
                pending.append(claim)
        trial.notes[self.name] = pending
        return next((refusal for claim in pending if (refusal := self._classes(trial.client, claim))), None)

    def _classes(self, client: Client, claim: Obj) -> Refusal | None:
        for request in (claim["spec"].get("devices") or {}).get("requests") or ():
            for one in [request.get("exactly") or {}, *(request.get("firstAvailable") or ())]:
                wanted = one.get("deviceClassName")
                if wanted and client.get(CLASSES, "", wanted) is None:
                    text = f"request {request.get('name', '')}: device class {wanted} does not exist"
                    return self.refuse(text, final=True)
        return None

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        return self.refuse("cannot allocate all claims") if trial.notes.get(self.name) else None


def claim_name(pod: Obj, entry: Obj) -> str | None:
    """The ResourceClaim behind an entry of spec.resourceClaims: None if it is not made yet, "" if none is needed."""
    if entry.get("resourceClaimName"):
        return str(entry["resourceClaimName"])
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if status["name"] == entry["name"]:
            return status.get("resourceClaimName") or ""
    return None
