"""Namespaces on their way out: their content goes first, pods before all else.

After pkg/controller/namespace/deletion/namespaced_resources_deleter.go. What is left is asked of the store, so custom
resources are covered, and the next look comes with the next deletion in the namespace.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition, put
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

FINALIZER = "kubernetes"
API_SERVICES = "apiservices.apiregistration.k8s.io"
FINE = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


class ContentRefused(Exception):
    """Something could not be deleted: nobody tells when it can be, so the namespace is looked at again."""


class NamespaceController(Controller):
    """Empties and finalizes namespaces that are being deleted."""

    name = "namespace-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._terminating: set[str] = set()

    def setup(self) -> None:
        self.watch("namespaces", self._namespace_changed)
        self.watch(API_SERVICES, self._api_service_changed)
        self._stops.append(self.client.store.listen(None, self._something_changed))

    def _namespace_changed(self, event: Event) -> None:
        name = event.obj.key.name
        if event.type is EventType.DELETED:
            self._terminating.discard(name)
        elif objects.being_deleted(event.obj.data):
            self._terminating.add(name)
            self.enqueue("", name)

    def _api_service_changed(self, event: Event) -> None:
        """A server that was missed may be back, or not be asked any more."""
        for name in self._terminating:
            self.enqueue("", name)

    def _something_changed(self, event: Event) -> None:
        """Content that goes, or comes too late."""
        if event.obj.key.namespace in self._terminating and event.type is not EventType.MODIFIED:
            self.enqueue("", event.obj.key.namespace)

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get("namespaces", "", name)
        if found is None or not objects.being_deleted(found):
            return
        failures = await self._delete_all("pods", name)
        resources = ["pods"]
        if not self.client.store.list("pods", name):  # until then nothing else goes, nor is spoken of
            resources = self.client.store.resources()
            for resource in resources:
                failures += await self._delete_all(resource, name)
        remaining = {resource: left for resource in resources if (left := self.client.list(resource, name))}
        current = self.client.get("namespaces", "", name)
        if current is None:
            return
        unknown = self._undiscovered()
        current = await self._tell(current, remaining, failures, unknown)
        if failures:
            raise ContentRefused(", ".join(failures))
        if not remaining and not unknown:
            await self._finalize(current)

    def _undiscovered(self) -> list[str]:
        """Group versions of API servers that do not answer: who knows what they have in the namespace."""
        return sorted(
            f"{one['spec'].get('group', '')}/{one['spec']['version']}"
            for one in self.client.list(API_SERVICES)
            if one["spec"].get("service") and not objects.condition_true(one, "Available")
        )

    async def _delete_all(self, resource: str, namespace: str) -> list[str]:
        """Ask for the deletion of everything of a resource; messages of what failed."""
        failures = []
        for stored in self.client.store.list(resource, namespace):
            if objects.being_deleted(stored.data):
                continue
            try:
                await self.client.delete(resource, namespace, stored.key.name, propagation="Background")
            except StatusError as error:
                if error.code not in (404, 409):
                    failures.append(str(error))
        return failures

    async def _tell(
        self, namespace: Obj, remaining: dict[str, list[Obj]], failures: list[str], unknown: list[str]
    ) -> Obj:
        """Write what keeps the namespace."""
        now = self.clock.now()
        troubles: dict[str, tuple[str, str]] = {}
        if unknown:
            each = ", ".join(f"{one}: stale GroupVersion discovery: {one}" for one in unknown)
            message = (
                f"Discovery failed for some groups, {len(unknown)} failing: "
                f"unable to retrieve the complete list of server APIs: {each}"
            )
            troubles["NamespaceDeletionDiscoveryFailure"] = "DiscoveryFailed", message
        if failures:
            message = f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(sorted(failures))}"
            troubles["NamespaceDeletionContentFailure"] = "ContentDeletionFailed", message
        if remaining:
            counts = ", ".join(
                sorted(f"{_with_dot(one)} has {len(left)} resource instances" for one, left in remaining.items())
            )
            troubles["NamespaceContentRemaining"] = "SomeResourcesRemain", f"Some resources are remaining: {counts}"
        finalizers = _finalizers(remaining)
        if finalizers:
            counts = ", ".join(f"{one} in {count} resource instances" for one, count in sorted(finalizers.items()))
            message = f"Some content in the namespace has finalizers remaining: {counts}"
            troubles["NamespaceFinalizersRemaining"] = "SomeFinalizersRemain", message
        old = namespace.get("status", {})
        conditions = old.get("conditions") or []
        if not troubles and not conditions and not _held(namespace):
            return namespace  # it goes at once: nobody could read the conditions
        for type_, reason, message in FINE:
            outcome = ("True", *troubles[type_]) if type_ in troubles else ("False", reason, message)
            conditions = _put(conditions, new_condition(type_, *outcome, now))
        status = {**old, "phase": "Terminating", "conditions": conditions}
        if status == old:
            return namespace
        return await self.client.update_status("namespaces", objects.with_status(namespace, status))

    async def _finalize(self, namespace: Obj) -> None:
        name = objects.name_of(namespace)
        finalizers = namespace["spec"].get("finalizers") or []
        if finalizers and FINALIZER not in finalizers:
            return  # what is left of it is somebody else's
        left = [one for one in finalizers if one != FINALIZER]
        try:
            await self.client.patch("namespaces", "", name, {"spec": {"finalizers": left}}, "finalize")
            if not left and self.client.get("namespaces", "", name):
                await self.client.delete("namespaces", "", name, uid=objects.uid_of(namespace))
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _held(namespace: Obj) -> bool:
    """Whether somebody else has a say in when it goes."""
    others = set(namespace["spec"].get("finalizers") or ()) - {FINALIZER}
    return bool(others or objects.finalizers(namespace))


def _put(conditions: list[Obj], new: Obj) -> list[Obj]:
    """Like `put`, but a new message counts too."""
    current = objects.condition(conditions, new["type"])
    if current and current["status"] == new["status"] and current.get("message") != new.get("message"):
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
        return [new if one["type"] == new["type"] else one for one in conditions]
    if current and current["status"] != new["status"]:
        return [new if one["type"] == new["type"] else one for one in conditions]
    return put(conditions, new)


def _with_dot(resource: str) -> str:
    """ "pods." and "deployments.apps", as Kubernetes prints group resources here."""
    return resource if "." in resource else f"{resource}."


def _finalizers(remaining: dict[str, list[Obj]]) -> dict[str, int]:
    count: dict[str, int] = {}
    for left in remaining.values():
        for obj in left:
            for finalizer in objects.finalizers(obj):
                count[finalizer] = count.get(finalizer, 0) + 1
    return count
