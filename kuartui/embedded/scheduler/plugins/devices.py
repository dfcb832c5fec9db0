"""Dynamic resource allocation: pods wait for the devices that they claim (plugins/dynamicresources)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.scheduler.framework import Plugin, PluginError, Refusal, Trial
from kuartui.embedded.scheduler.matching import matches_node_terms
from kuartui.embedded.scheduler.nodes import NodeInfo

if TYPE_CHECKING:
    from kuartui.embedded.scheduler.allocation import Allocator

Obj = dict[str, Any]

CLAIMS, CLASSES = "resourceclaims.resource.k8s.io", "deviceclasses.resource.k8s.io"
SLICES = "resourceslices.resource.k8s.io"

FINALIZER = "resource.kubernetes.io/delete-protection"


class Claimed(Struct):
    """The claims of a pod that is to be placed."""

    ready: list[Obj]
    pending: list[Obj]
    allocator: Allocator | None = None
    allocations: dict[str, list[Obj]] = field(default_factory=dict)
    """What the pending ones would get, by node."""


class DynamicResources(Plugin):
    """All claims of a pod must be there, and allocated for the node or able to be."""

    name = "DynamicResources"
    wakes = frozenset({"device-claim"})

    def prepare(self, trial: Trial) -> Refusal | None:
        if not trial.pod["spec"].get("resourceClaims"):
            return None
        found = Claimed([], [])
        for claim in claims_of(trial.client, trial.pod) or ():
            allocated = (claim.get("status") or {}).get("allocation") is not None
            (found.ready if allocated else found.pending).append(claim)
        trial.notes[self.name] = found
        for claim in found.pending:
            if refusal := self._classes(trial.client, claim):
                return refusal
        if found.pending:
            from kuartui.embedded.scheduler.allocation import Allocator, devices, taken  # with CEL, which takes a while

            classes = {objects.name_of(one): one for one in trial.client.list(CLASSES)}
            used = taken(trial.client.list(CLAIMS))
            found.allocator = Allocator(found.pending, devices(trial.client.list(SLICES)), used, classes)
        return None

    def _classes(self, client: Client, claim: Obj) -> Refusal | None:
        for request in (claim["spec"].get("devices") or {}).get("requests") or ():
            for one in [request.get("exactly") or {}, *(request.get("firstAvailable") or ())]:
                wanted = one.get("deviceClassName")
                if wanted and client.get(CLASSES, "", wanted) is None:
                    text = f"request {request.get('name', '')}: device class {wanted} does not exist"
                    return self.refuse(text, final=True)
        return None

    def filter(self, trial: Trial, info: NodeInfo) -> Refusal | None:
        found: Claimed | None = trial.notes.get(self.name)
        if found is None:
            return None
        if found.allocator is not None:
            from kuartui.embedded.scheduler.allocation import SelectorError

            try:
                made = found.allocator.allocate(info.node)
            except SelectorError as error:
                raise PluginError(f'running "{self.name}" filter plugin: {error}') from None
            if made is None:
                return self.refuse("cannot allocate all claims", final=True)
            found.allocations[info.name] = made
        if not all(_reachable(claim, info.node) for claim in found.ready):
            return self.refuse("resourceclaim not available on the node", final=True)
        return None


def claims_of(client: Client, pod: Obj) -> list[Obj] | None:
    """The claims of a pod; None while one is not there, or goes: nobody tries the pod before, nor says so (PreEnqueue)."""
    found = []
    for entry in pod["spec"].get("resourceClaims") or ():
        name = claim_name(pod, entry)
        if name == "":
            continue
        claim = client.get(CLAIMS, pod["metadata"]["namespace"], name) if name else None
        if claim is None or objects.being_deleted(claim):
            return None
        found.append(claim)
    return found


def offer(trial: Trial) -> str:
    """What the plugin says where no node would do, before preemption is tried: it takes no claim from another pod."""
    return "still not schedulable" if DynamicResources.name in trial.notes else "no new claims to deallocate"


async def reserve(client: Client, trial: Trial, node: str) -> None:
    """Give the pod its claims, before it is bound: allocate the pending ones, reserve all. Raises StatusError."""
    found: Claimed | None = trial.notes.get(DynamicResources.name)
    if found is None:
        return
    consumer = {"resource": "pods", "name": objects.name_of(trial.pod), "uid": objects.uid_of(trial.pod)}
    allocations = found.allocations.get(node, [])
    for claim, made in [*zip(found.pending, allocations, strict=True), *((claim, None) for claim in found.ready)]:
        namespace, name = objects.namespace_of(claim), objects.name_of(claim)
        finalizers = claim["metadata"].get("finalizers") or []
        if made is not None and FINALIZER not in finalizers:
            await client.patch(CLAIMS, namespace, name, {"metadata": {"finalizers": [*finalizers, FINALIZER]}})
        reserved = (claim.get("status") or {}).get("reservedFor") or []
        status: Obj = {} if made is None else {"allocation": made}
        if consumer not in reserved:
            status["reservedFor"] = [*reserved, consumer]
        if status:
            await client.patch(CLAIMS, namespace, name, {"status": status}, "status")


def _reachable(claim: Obj, node: Obj) -> bool:
    selector = claim["status"]["allocation"].get("nodeSelector")
    return selector is None or matches_node_terms(selector.get("nodeSelectorTerms") or (), node)


def claim_name(pod: Obj, entry: Obj) -> str | None:
    """The ResourceClaim behind an entry of spec.resourceClaims: None if it is not made yet, "" if none is needed."""
    if entry.get("resourceClaimName"):
        return str(entry["resourceClaimName"])
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if status["name"] == entry["name"]:
            return status.get("resourceClaimName") or ""
    return None
