"""The API server looks after its own: the system's namespaces and the Service that leads to it come back.

After pkg/controlplane/controller/{systemnamespaces,kubernetesservice}, which look at intervals, not at changes.
"""

from __future__ import annotations

from kuartui.embedded.bootstrap import ensure, kept
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.store import Event, EventType

NAMESPACES_SECONDS = 60.0
SERVICE_SECONDS = 10.0


class ApiServerController(Controller):
    """Creates what `bootstrap.kept` lists once more when it is deleted. Keys are resources and names."""

    name = "apiserver"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.client = client
        self._kept = {(resource, obj["metadata"]["name"]): obj for resource, obj in kept()}
        self._begun = self.clock.monotonic()

    def setup(self) -> None:
        for resource in dict.fromkeys(resource for resource, _ in self._kept):
            self.watch(resource, self._changed)

    def _changed(self, event: Event) -> None:
        key, own = event.obj.key, self._kept.get((event.obj.key.resource, event.obj.key.name))
        if event.type is EventType.DELETED and own and key.namespace == own["metadata"].get("namespace", ""):
            every = NAMESPACES_SECONDS if key.resource == "namespaces" else SERVICE_SECONDS
            self.enqueue_after(key.resource, key.name, every - (self.clock.monotonic() - self._begun) % every)

    async def reconcile(self, namespace: str, name: str) -> None:
        await ensure(self.client, namespace, self._kept[namespace, name])
