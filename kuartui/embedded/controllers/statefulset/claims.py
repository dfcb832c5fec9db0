"""The claims of a StatefulSet's pods: made before the pod, kept or removed as the retention policy says.

After createPersistentVolumeClaims and claimOwnerMatchesSetAndPod of pkg/controller/statefulset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.statefulset import identity
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]
Record = Callable[[Obj, str, str, str], None]

CLAIMS = "persistentvolumeclaims"


class ClaimControl:
    """The claims of one set."""

    def __init__(self, client: Client, statefulset: Obj, record: Record) -> None:
        self._client = client
        self._set = statefulset
        self._record = record

    def _get(self, claim: Obj) -> Obj | None:
        return self._client.get(CLAIMS, objects.namespace_of(claim), objects.name_of(claim))

    async def create(self, number: int) -> None:
        """Make the claims of a pod that are missing. Raises StatusError with all that is wrong."""
        pod_name = identity.pod_name(self._set, number)
        failures: list[StatusError] = []
        texts: list[str] = []
        for claim in identity.claims(self._set, number):
            name = objects.name_of(claim)
            found = self._get(claim)
            if found is not None:
                if objects.being_deleted(found):
                    texts.append(f"pvc {name} is being deleted")
                continue
            where = f"Pod {pod_name} in StatefulSet {objects.name_of(self._set)}"
            try:
                await self._client.create(CLAIMS, claim)
            except StatusError as error:
                text = f"Create Claim {name} for {where} failed error: {error}"
                self._record(self._set, "Warning", "FailedCreate", text)
                failures.append(error)
                texts.append(f"failed to create PVC {name}: {error}")
                continue
            self._record(self._set, "Normal", "SuccessfulCreate", f"Create Claim {name} {where} success")
        if texts:
            causes = [cause for failure in failures for cause in failure.details.get("causes") or ()]
            text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            raise StatusError(500, "InternalError", text, causes=causes)

    def stale(self, number: int) -> bool:
        """Whether a claim still belongs to a former pod and is about to go with it."""
        for wanted in identity.claims(self._set, number):
            claim = self._get(wanted)
            for ref in objects.owners(claim) if claim else ():
                if ref["kind"] == "Pod" and ref["name"] == identity.pod_name(self._set, number):
                    pod = self._client.get("pods", objects.namespace_of(self._set), ref["name"])
                    if pod is None or objects.uid_of(pod) != ref["uid"]:
                        return True
        return False

    async def align(self, number: int, *, scaled_away: bool) -> None:
        """Give claims the owners that make the garbage collector do what the retention policy says."""
        deleted, scaled = identity.retention(self._set, "whenDeleted"), identity.retention(self._set, "whenScaled")
        pod = self._client.get("pods", objects.namespace_of(self._set), identity.pod_name(self._set, number))
        for wanted in identity.claims(self._set, number):
            claim = self._get(wanted)
            if claim is None:
                continue
            own_kinds = {("StatefulSet", objects.name_of(self._set)), ("Pod", identity.pod_name(self._set, number))}
            refs = [ref for ref in objects.owners(claim) if (ref["kind"], ref["name"]) not in own_kinds]
            if scaled_away and scaled == "Delete":
                if pod is not None:
                    refs.append(_reference(pod, "v1", "Pod"))
            elif deleted == "Delete":
                refs.append(_reference(self._set, "apps/v1", "StatefulSet"))
            if refs != objects.owners(claim):
                patch = {"metadata": {"ownerReferences": refs or None}}
                await self._client.patch(CLAIMS, objects.namespace_of(claim), objects.name_of(claim), patch)


def _reference(owner: Obj, api_version: str, kind: str) -> Obj:
    made: Obj = {
        "apiVersion": api_version,
        "kind": kind,
        "name": objects.name_of(owner),
        "uid": objects.uid_of(owner),
    }
    if kind == "StatefulSet":
        made["controller"] = True
    return made
