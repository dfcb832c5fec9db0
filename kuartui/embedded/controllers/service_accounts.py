"""What each namespace has from its first moment: the ServiceAccount "default" and the CA bundle for pods.

After pkg/controller/serviceaccount/serviceaccounts_controller.go and pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.pods import namespace_terminating
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event

Obj = dict[str, Any]

ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class ServiceAccountsController(Controller):
    """Keeps the ServiceAccount "default" in each active namespace."""

    name = "service-account-controller"

    def setup(self) -> None:
        self.watch("namespaces", self.enqueue_object)
        self.watch("serviceaccounts", self._account_changed)

    def _account_changed(self, event: Event) -> None:
        if event.obj.key.name == "default":
            self.enqueue("", event.obj.key.namespace)

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get("namespaces", "", name)
        if found is None or objects.being_deleted(found) or self.client.get("serviceaccounts", name, "default"):
            return
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        await _create(self.client, "serviceaccounts", account)


class RootCAPublisher(Controller):
    """Keeps the ConfigMap kube-root-ca.crt in each active namespace."""

    name = "root-ca-cert-publisher"

    def __init__(self, client: Client, ca: str) -> None:
        super().__init__(client)
        self._ca = ca

    def setup(self) -> None:
        self.watch("namespaces", self.enqueue_object)
        self.watch("configmaps", self._map_changed)

    def _map_changed(self, event: Event) -> None:
        if event.obj.key.name == ROOT_CA:
            self.enqueue("", event.obj.key.namespace)

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get("namespaces", "", name)
        if found is None or objects.being_deleted(found):
            return
        data, annotations = {"ca.crt": self._ca}, {"kubernetes.io/description": DESCRIPTION}
        current = self.client.get("configmaps", name, ROOT_CA)
        if current is None:
            meta = {"name": ROOT_CA, "namespace": name, "annotations": annotations}
            config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
            await _create(self.client, "configmaps", config)
        elif current.get("data") != data or not annotations.items() <= objects.annotations_of(current).items():
            meta = {**current["metadata"], "annotations": objects.annotations_of(current) | annotations}
            await self.client.update("configmaps", {**current, "metadata": meta, "data": data})


async def _create(client: Client, resource: str, obj: Obj) -> None:
    try:
        await client.create(resource, obj)
    except StatusError as error:
        if error.reason != "AlreadyExists" and error.code != 404 and not namespace_terminating(error):
            raise
