"""API priority and fairness: the objects that every API server keeps, and whether FlowSchemas lead anywhere.

After pkg/registry/flowcontrol/{rest,ensurer} and apiserver's pkg/util/flowcontrol/apf_controller.go. Requests are not
queued: no practice cluster sees so many.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded import data
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.conditions import new_condition, put
from kuartui.embedded.controllers.objects import annotations_of
from kuartui.embedded.meta import random
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS, LEVELS = f"flowschemas.{GROUP}", f"prioritylevelconfigurations.{GROUP}"
KINDS = {SCHEMAS: "FlowSchema", LEVELS: "PriorityLevelConfiguration"}
AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = {"exempt", "catch-all"}
MAINTENANCE_SECONDS = 60.0


def install(client: Client) -> None:
    """Put in the mandatory and suggested objects that are missing, straight into the store: nobody may have a say."""
    now = client.clock.now()
    for (resource, name), obj in _kept().items():
        if client.store.get(resource, "", name) is None:
            metadata = {**obj["metadata"], "uid": random.uid(), "generation": 1, "creationTimestamp": format_time(now)}
            status: Obj = {}
            if resource == SCHEMAS:
                level = obj["spec"]["priorityLevelConfiguration"]["name"]
                status = {"conditions": [_dangling(level, now, exists=True)]}
            client.store.create(resource, "", name, {**obj, "metadata": metadata, "status": status})


class FlowControl(Controller):
    """Says which FlowSchemas dangle; once a minute puts right what was done to the mandatory and suggested objects.

    Keys are resources and names.
    """

    name = "api-priority-and-fairness-config-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._producer = client.as_user(
            "system:apiserver", "system:masters", manager="api-priority-and-fairness-config-producer-v1"
        )
        self.client = client.as_user(
            "system:apiserver", "system:masters", manager="api-priority-and-fairness-config-consumer-v1"
        )
        self._kept = _kept()
        self._begun = self.clock.monotonic()

    def setup(self) -> None:
        for resource in KINDS:
            self.watch(resource, self._changed)

    def _changed(self, event: Event) -> None:
        resource, _, name = event.obj.key
        kept = self._kept.get((resource, name))
        if kept is not None and (event.type is EventType.DELETED or event.obj.data["spec"] != kept["spec"]):
            since = (self.clock.monotonic() - self._begun) % MAINTENANCE_SECONDS
            self.enqueue_after("maintenance", f"{resource}/{name}", MAINTENANCE_SECONDS - since)
        if resource == SCHEMAS and event.type is not EventType.DELETED:
            self._look_at(event.obj.data)
        elif resource == LEVELS and event.type is not EventType.MODIFIED:
            for schema in self.client.list(SCHEMAS):
                if _level_of(schema) == name:
                    self._look_at(schema)

    def _look_at(self, schema: Obj) -> None:
        if self._wrong(schema) is not None:
            self.enqueue(SCHEMAS, schema["metadata"]["name"])

    def _wrong(self, schema: Obj) -> list[Obj] | None:
        """The conditions as they should be, if they are not."""
        level = _level_of(schema)
        old = (schema.get("status") or {}).get("conditions") or []
        exists = self.client.store.get(LEVELS, "", level) is not None
        new = put(old, _dangling(level, self.clock.now(), exists=exists))
        return None if new == old else new

    async def reconcile(self, namespace: str, name: str) -> None:
        if namespace == "maintenance":
            resource, _, name = name.partition("/")
            await self._restore(resource, name)
            return
        schema = self.client.get(SCHEMAS, "", name)
        conditions = None if schema is None else self._wrong(schema)
        if schema is not None and conditions is not None:
            await self.client.update_status(SCHEMAS, {**schema, "status": {"conditions": conditions}})

    async def _restore(self, resource: str, name: str) -> None:
        wanted, found = self._kept[resource, name], self.client.get(resource, "", name)
        if found is None:
            await self._producer.create(resource, wanted)
        elif found["spec"] != wanted["spec"] and (name in MANDATORY or _auto_updated(found)):
            await self._producer.update(resource, {**found, "spec": wanted["spec"]})


def _auto_updated(found: Obj) -> bool:
    """Whether the API server keeps a suggested object as it thinks best, which is the user's to say."""
    said = annotations_of(found).get(AUTO_UPDATE)
    return said == "true" or (said != "false" and found["metadata"].get("generation") == 1)


def _kept() -> dict[tuple[str, str], Obj]:
    return {
        (resource, one["name"]): {
            "apiVersion": f"{GROUP}/v1",
            "kind": kind,
            "metadata": {"name": one["name"], "annotations": {AUTO_UPDATE: "true"}},
            "spec": one["spec"],
        }
        for resource, kind in reversed(KINDS.items())
        for one in data.flow_control()[resource.partition(".")[0]]
    }


def _level_of(schema: Obj) -> str:
    return str(schema["spec"].get("priorityLevelConfiguration", {}).get("name", ""))


def _dangling(level: str, now: datetime, *, exists: bool) -> Obj:
    about = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if exists:
        return new_condition("Dangling", "False", "Found", f"{about} and it exists", now)
    return new_condition("Dangling", "True", "NotFound", f"{about} but there is no such object", now)
