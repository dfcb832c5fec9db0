"""ResourceClaims that pods bring along as templates, and those that nobody uses any more (pkg/controller/resourceclaim)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.pods import finished
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.random import generate_name
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

CLAIMS, TEMPLATES = "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"
CLAIM_OF = "resource.kubernetes.io/pod-claim-name"
FINALIZER = "resource.kubernetes.io/delete-protection"
OF_CLAIM = "claim:"  # before the name in keys that are claims'


class ResourceClaims(Controller):
    """Makes the claims of pods from their templates, and says in the pods' status which they are. Takes the devices back
    when the last pod with a claim is gone or done."""

    name = "resource-claim-controller"

    def setup(self) -> None:
        self.watch("pods", self._pod_changed)
        self.watch(TEMPLATES, self._template_changed)
        self.watch(CLAIMS, self._claim_changed)

    def _pod_changed(self, event: Event) -> None:
        pod = event.obj.data
        if event.type is not EventType.DELETED and _missing(pod):
            self.enqueue_object(event)
        if pod["spec"].get("resourceClaims") and (event.type is EventType.DELETED or finished(pod)):
            for claim in self.client.list(CLAIMS, event.obj.key.namespace):
                if any(one["uid"] == event.obj.uid for one in _consumers(claim)):
                    self.enqueue(event.obj.key.namespace, OF_CLAIM + objects.name_of(claim))

    def _claim_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and _consumers(event.obj.data):
            self.enqueue(event.obj.key.namespace, OF_CLAIM + event.obj.key.name)

    def _template_changed(self, event: Event) -> None:
        for pod in self.client.list("pods", event.obj.key.namespace):
            if _missing(pod):
                self.enqueue(event.obj.key.namespace, objects.name_of(pod))

    async def reconcile(self, namespace: str, name: str) -> None:
        if name.startswith(OF_CLAIM):
            await self._release(namespace, name.removeprefix(OF_CLAIM))
            return
        pod = self.client.get("pods", namespace, name)
        if pod is None or objects.being_deleted(pod):
            return
        told = list((pod.get("status") or {}).get("resourceClaimStatuses") or ())
        missing = _missing(pod)
        for entry in missing:
            claim = await self._claim(pod, entry)
            told.append({"name": entry["name"], "resourceClaimName": claim})
        if missing:
            await self.client.patch("pods", namespace, name, {"status": {"resourceClaimStatuses": told}}, "status")

    async def _release(self, namespace: str, name: str) -> None:
        """Take those out of a claim's list that do not need it any more; without any, it is allocated no longer."""
        claim = self.client.get(CLAIMS, namespace, name)
        if claim is None:
            return
        before = _consumers(claim)
        consumers = [one for one in before if self._needs(namespace, one)]
        if consumers == before:
            return
        status: Obj = {"reservedFor": consumers or None}
        if not consumers:
            status["allocation"] = None
        await self.client.patch(CLAIMS, namespace, name, {"status": status}, "status")
        if not consumers:
            left = [one for one in claim["metadata"].get("finalizers") or () if one != FINALIZER]
            await self.client.patch(CLAIMS, namespace, name, {"metadata": {"finalizers": left or None}})
            owner = next((one for one in claim["metadata"].get("ownerReferences") or () if one["kind"] == "Pod"), None)
            if owner is not None:
                await self.client.delete(CLAIMS, namespace, name, uid=objects.uid_of(claim))

    def _needs(self, namespace: str, consumer: Obj) -> bool:
        if consumer.get("resource") != "pods":
            return True
        pod = self.client.get("pods", namespace, consumer["name"])
        return pod is not None and objects.uid_of(pod) == consumer["uid"] and not finished(pod)

    async def _claim(self, pod: Obj, entry: Obj) -> str:
        """The name of the claim for an entry; made unless it is there. Raises StatusError, after telling the pod."""
        for claim in self.client.owned_by(CLAIMS, objects.uid_of(pod)):
            if objects.annotations_of(claim).get(CLAIM_OF) == entry["name"]:
                return objects.name_of(claim)
        namespace, wanted = objects.namespace_of(pod), entry["resourceClaimTemplateName"]
        template = self.client.get(TEMPLATES, namespace, wanted)
        try:
            if template is None:
                text = f'resource claim template "{wanted}": resourceclaimtemplate.resource.k8s.io "{wanted}" not found'
                raise StatusError(404, "NotFound", text)
            given = template["spec"].get("metadata") or {}
            metadata = {
                **{key: given[key] for key in ("labels",) if given.get(key)},
                "annotations": {**(given.get("annotations") or {}), CLAIM_OF: entry["name"]},
                "name": generate_name(f"{objects.name_of(pod)}-{entry['name']}-"),
                "namespace": namespace,
                "ownerReferences": [objects.controller_reference(pod)],
            }
            made = await self.client.create(
                CLAIMS, objects.copy({"metadata": metadata, "spec": template["spec"]["spec"]})
            )
        except StatusError as error:
            text = f"PodResourceClaim {entry['name']}: {error}"
            self.client.record(pod, "Warning", "FailedResourceClaimCreation", text, "resource_claim")
            raise
        return objects.name_of(made)


def _consumers(claim: Obj) -> list[Obj]:
    return list((claim.get("status") or {}).get("reservedFor") or ())


def _missing(pod: Obj) -> list[Obj]:
    """The entries whose claim is still to be made from a template."""
    told = {one["name"] for one in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    return [
        entry
        for entry in pod["spec"].get("resourceClaims") or ()
        if entry.get("resourceClaimTemplateName") and entry["name"] not in told
    ]
