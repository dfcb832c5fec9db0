"""The status of ResourceQuotas, after pkg/controller/resourcequota. Admission charges; this puts right what goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.quantity import ZERO, Quantity, parse
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.quota import counted, in_scope, usage
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

QUOTAS = "resourcequotas"
RESYNC = 300.0  # seconds; a charge for something that was refused later is forgotten by then


class ResourceQuotaController(Controller):
    """Counts what namespaces with quotas use."""

    name = "resourcequota-controller"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._quotas: dict[str, set[str]] = {}

    def setup(self) -> None:
        self.watch(QUOTAS, self._quota_changed)
        self._stops.append(self.client.store.listen(None, self._something_changed))

    def _quota_changed(self, event: Event) -> None:
        namespace, name = event.obj.key.namespace, event.obj.key.name
        if event.type is EventType.DELETED:
            self._quotas.get(namespace, set()).discard(name)
            return
        self._quotas.setdefault(namespace, set()).add(name)
        old = event.old.data if event.old else None
        if old is None or old["spec"] != event.obj.data["spec"]:
            self.enqueue(namespace, name)

    def _something_changed(self, event: Event) -> None:
        """What goes, or ends, gives room back."""
        names = self._quotas.get(event.obj.key.namespace)
        if not names:
            return
        ended = (
            event.obj.key.resource == "pods"
            and event.old is not None
            and _ended(event.obj.data) != _ended(event.old.data)
        )
        if event.type is EventType.DELETED or ended:
            for name in names:
                self.enqueue(event.obj.key.namespace, name)

    async def reconcile(self, namespace: str, name: str) -> None:
        quota = self.client.get(QUOTAS, namespace, name)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        used = self._used(quota, namespace, {key for key in hard if counted(key)})
        status = {"hard": hard, "used": {key: str(used[key]) for key in hard if key in used}}
        if status != (quota.get("status") or {}):
            await self.client.update_status(QUOTAS, objects.with_status(quota, status))
        self.enqueue_after(namespace, name, RESYNC)

    def _used(self, quota: Obj, namespace: str, wanted: set[str]) -> dict[str, Quantity]:
        total = dict.fromkeys(wanted, ZERO)
        for resource in self.client.store.resources():
            if resource == "events":
                continue
            for obj in self.client.list(resource, namespace):
                if not in_scope(quota["spec"], resource, obj):
                    continue
                stuck = resource == "pods" and self._overdue(obj)
                for key, amount in usage(resource, obj).items():
                    if key in total and (not stuck or key == "count/pods"):
                        total[key] = total[key] + amount
        return {key: value if value else parse("0") for key, value in total.items()}

    def _overdue(self, pod: Obj) -> bool:
        """Whether a pod should have gone by now: who lost a node may start others in place of its pods."""
        stamp, grace = pod["metadata"].get("deletionTimestamp"), pod["metadata"].get("deletionGracePeriodSeconds")
        return bool(stamp) and grace is not None and self.clock.now() > parse_time(stamp) + timedelta(seconds=grace)


def _ended(pod: Obj) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
