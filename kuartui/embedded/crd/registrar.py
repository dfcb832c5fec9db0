"""Watches CRDs: accepts their names, serves what they define, and empties those that are being deleted.

k8s.io/apiextensions-apiserver/pkg/controller/{status,establish,finalizer} and pkg/apiserver/customresource_handler.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition, put
from kuartui.embedded.crd.acceptance import accept, taken
from kuartui.embedded.crd.names import APPROVAL, CLEANUP, is_protected
from kuartui.embedded.crd.strategy import CustomStrategy
from kuartui.embedded.crd.versions import priority, schema_of
from kuartui.embedded.kinds.base import Resource
from kuartui.embedded.meta import schema
from kuartui.embedded.meta.gofmt import quote as go_quote
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CONFORMANT = "KubernetesAPIApprovalPolicyConformant"
SEE = ", see https://github.com/kubernetes/enhancements/pull/1111"
VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]


class Registrar(Controller):
    """`prepare` is told the name of each resource before it is served, once."""

    name = "crd-registrar"

    def __init__(self, client: Client, resources: Resources, prepare: Callable[[str], None]) -> None:
        super().__init__(client)
        # these controllers run in the API server's own process
        self.client = client.as_user("system:apiserver", "system:masters", manager="kube-apiserver")
        self._resources, self._prepare = resources, prepare
        self._built_in = {(endpoint.resource.group, endpoint.version) for endpoint in resources}
        self._prepared: set[str] = set()
        self._served: dict[str, Obj] = {}

    def setup(self) -> None:
        self.watch(CRDS, self._changed)
        self._stops.append(self.client.store.listen(None, self._something_went))

    def _changed(self, event: Event) -> None:
        name = event.obj.key.name
        crd = event.obj.data
        if event.type is EventType.DELETED:
            self._unserve(name)
            self.client.store.end_watches(name)
            for other in self._others(name, crd["spec"]["group"]):
                if not _is(other, "NamesAccepted"):
                    self.enqueue("", other["metadata"]["name"])  # a name that it wants may be free now
        elif _is(crd, "Established") and self._served.get(name) != crd["spec"]:
            self._serve(crd)  # at once: whoever waited for the condition may come right now
        self.enqueue("", name)

    def _something_went(self, event: Event) -> None:
        if event.type is EventType.DELETED and event.obj.key.resource in self._served:
            self.enqueue("", event.obj.key.resource)

    async def reconcile(self, namespace: str, name: str) -> None:
        crd = self.client.get(CRDS, "", name)
        if crd is None:
            self._unserve(name)
            return
        if crd["metadata"].get("deletionTimestamp"):
            await self._empty(crd)
            return
        await self._accept(crd)

    # --- names

    async def _accept(self, crd: Obj) -> None:
        """Names that nobody else has in the group are accepted, and with them the CRD is established."""
        spec, old = crd["spec"], crd.get("status") or {}
        used = taken(self._others(crd["metadata"]["name"], spec["group"]))
        names, refusal = accept(spec["names"], old.get("acceptedNames") or {}, *used)
        now = self.clock.now()
        conditions = old.get("conditions") or []
        if refusal:
            conditions = put(conditions, new_condition("NamesAccepted", "False", *refusal, now))
            if not _is(crd, "Established"):
                message = "not all names are accepted"
                conditions = put(conditions, new_condition("Established", "False", "NotAccepted", message, now))
        else:
            message = "no conflicts found"
            conditions = put(conditions, new_condition("NamesAccepted", "True", "NoConflicts", message, now))
            message = "the initial names have been accepted"
            conditions = put(conditions, new_condition("Established", "True", "InitialNamesAccepted", message, now))
        approved = _approval(crd, now)
        if approved is not None:
            conditions = put(conditions, approved)
        status = {**old, "acceptedNames": names, "conditions": conditions}
        if status != old:
            await self.client.update_status(CRDS, {**crd, "status": status})

    def _others(self, name: str, group: str) -> list[Obj]:
        return [
            other
            for other in self.client.list(CRDS)
            if other["metadata"]["name"] != name and other["spec"]["group"] == group
        ]

    # --- serving

    def _serve(self, crd: Obj) -> None:
        name = crd["metadata"]["name"]
        self._unserve(name)
        if name not in self._prepared:
            self._prepared.add(name)
            self._prepare(name)
        for endpoint in endpoints(crd):
            if (endpoint.resource.group, endpoint.version) not in self._built_in:  # those are served as ever
                self._resources.add_custom(endpoint)
        stored = next(version for version in crd["spec"]["versions"] if version.get("storage"))
        if not stored.get("served"):
            self._resources.keep_custom(_endpoint(crd, stored))
        self._served[name] = crd["spec"]

    def _unserve(self, name: str) -> None:
        spec = self._served.pop(name, None)
        if spec is not None:
            self._resources.remove_custom(spec["group"], spec["names"]["plural"])

    # --- the end

    async def _empty(self, crd: Obj) -> None:
        """Delete every object, then let the CRD go."""
        metadata = crd["metadata"]
        name = metadata["name"]
        for endpoint in self._resources:
            if endpoint.resource.name == name and isinstance(endpoint.strategy, CustomStrategy):
                endpoint.strategy.ending = True
        if CLEANUP not in (metadata.get("finalizers") or ()):
            return
        now = self.clock.now()
        message = "CustomResource deletion is in progress"
        conditions = put(
            (crd.get("status") or {}).get("conditions") or [],
            new_condition("Terminating", "True", "InstanceDeletionInProgress", message, now),
        )
        if name in self._served:
            for stored in self.client.store.list(name):
                if not stored.data["metadata"].get("deletionTimestamp"):
                    await self.client.delete(name, stored.key.namespace, stored.key.name, propagation="Background")
        if self.client.store.list(name):
            status = {**(crd.get("status") or {}), "conditions": conditions}
            if status != crd.get("status"):
                await self.client.update_status(CRDS, {**crd, "status": status})
            self.enqueue_after("", name, 1.0)
            return
        left = [finalizer for finalizer in metadata["finalizers"] if finalizer != CLEANUP]
        await self.client.patch(CRDS, "", name, {"metadata": {"finalizers": left or None}})


def endpoints(crd: Obj) -> Iterable[Endpoint]:
    """What a CRD serves, one endpoint for each version."""
    for version in _served(crd["spec"]):
        yield _endpoint(crd, version)


def _served(spec: Obj) -> list[Obj]:
    served = (version for version in spec["versions"] if version.get("served"))
    return sorted(served, key=lambda version: priority(version["name"]), reverse=True)


def _endpoint(crd: Obj, version: Obj) -> Endpoint:
    spec, given = crd["spec"], crd["spec"]["names"]
    stored = next(version for version in spec["versions"] if version.get("storage"))
    subresources: list[Obj] = []
    own = version.get("subresources") or {}
    kind: Obj = {"group": "", "version": "", "kind": given["kind"]}
    verbs = ["get", "patch", "update"]
    if "status" in own:
        subresources.append({"subresource": "status", "responseKind": kind, "verbs": verbs})
    if "scale" in own:
        scale: Obj = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        subresources.append({"subresource": "scale", "responseKind": scale, "verbs": verbs})
    resource = Resource(
        group=spec["group"],
        plural=given["plural"],
        singular=given["singular"],
        kind=given["kind"],
        namespaced=spec["scope"] == "Namespaced",
        versions=tuple(v["name"] for v in _served(spec)),
        storage=stored["name"],
        short_names=tuple(given.get("shortNames") or ()),
        categories=tuple(given.get("categories") or ()),
        verbs=tuple(VERBS),
        subresources=tuple(s["subresource"] for s in subresources),
        list_kind=given["listKind"],
    )
    entry: Obj = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": spec["scope"],
        "singularResource": resource.singular,
        "verbs": VERBS,
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if subresources:
        entry["subresources"] = subresources
    raw = schema_of(version) or {"type": "object"}
    # metadata is ObjectMeta, whatever a schema says of the name
    raw = {**raw, "properties": {**(raw.get("properties") or {}), "metadata": {"type": "object"}}}
    return Endpoint(resource, version["name"], entry, schema.Node(raw), CustomStrategy(crd, version), custom=True)


def _approval(crd: Obj, now: datetime) -> Obj | None:
    """Groups of the Kubernetes community say whether their API has been reviewed."""
    if not is_protected(crd["spec"]["group"]):
        return None
    value = (crd["metadata"].get("annotations") or {}).get(APPROVAL, "")
    if value.startswith("unapproved"):
        reason, message = "UnapprovedAnnotation", f"not approved: {value}"
        return new_condition(CONFORMANT, "False", reason, message, now)
    if not value.startswith(("https://", "http://")):
        reason, message = "MissingAnnotation", "protected groups must have approval annotation " + go_quote(APPROVAL)
        return new_condition(CONFORMANT, "False", reason, message + SEE, now)
    return new_condition(CONFORMANT, "True", "ApprovedAnnotation", f"approved in {value}", now)


def _is(crd: Obj, condition: str) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(item["type"] == condition and item["status"] == "True" for item in conditions)
