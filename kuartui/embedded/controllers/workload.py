"""What controllers of pods (or of ReplicaSets) share: which key to look at when something that they own changes."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.pods import PodControl
from kuartui.embedded.meta.labels import from_object
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]


class WorkloadController(Controller):
    """A controller of one resource that owns objects of another by controller reference and selector."""

    resource = ""
    kind = ""
    group = "apps"
    component = ""
    """The source of its events; the name if empty."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.pod_control = PodControl(self.client, self.component or self.name)

    def record(self, obj: Obj, type_: str, reason: str, message: str) -> None:
        """Record an event in this controller's name."""
        self.client.record(obj, type_, reason, message, self.component or self.name)

    def selector(self, owner: Obj) -> Obj | None:
        """The label selector of an owner; None selects nothing."""
        selector: Obj | None = owner["spec"].get("selector")
        return selector

    def owned(self, event: Event) -> None:
        """Handler for `watch` on the owned resource: enqueue its owner, or all who might adopt an orphan."""
        obj, old = event.obj.data, event.old.data if event.old else None
        ref = self._reference(obj)
        if event.type is EventType.MODIFIED and old is not None:
            before = self._reference(old)
            if before and (ref is None or ref["uid"] != before["uid"]):
                self.enqueue(event.obj.key.namespace, before["name"])
        if ref:
            self.enqueue(event.obj.key.namespace, ref["name"])
            return
        if event.type is EventType.DELETED or objects.controller_of(obj):
            return
        if old is None or objects.labels_of(old) != objects.labels_of(obj) or objects.controller_of(old):
            self._enqueue_matching(event.obj.key.namespace, obj)

    def _reference(self, obj: Obj) -> Obj | None:
        ref = objects.controller_of(obj)
        if ref is None or ref["kind"] != self.kind:
            return None
        group = ref["apiVersion"].rpartition("/")[0]
        return ref if group == self.group else None

    def _enqueue_matching(self, namespace: str, orphan: Obj) -> None:
        labels = objects.labels_of(orphan)
        if not labels:
            return
        for stored in self.client.store.list(self.resource, namespace):
            selector = self.selector(stored.data)
            if selector and from_object(selector).matches(labels):
                self.enqueue(namespace, stored.key.name)

    def candidates(self, resource: str, owner: Obj) -> list[Obj]:
        """What is or could be controlled by `owner`: its own, and orphans of its namespace."""
        own = [
            one for one in self.client.owned_by(resource, objects.uid_of(owner)) if objects.controlled_by(one, owner)
        ]
        orphans = self.client.store.by_index(resource, "orphans", objects.namespace_of(owner))
        return own + [stored.data for stored in orphans]
