"""Secrets of type kubernetes.io/service-account-token: filled in with a token that does not expire.

After pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

import base64
from typing import Any

from kuartui.embedded.auth.tokens import TokenSigner
from kuartui.embedded.client import Client
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
FOREVER = 100 * 365 * 24 * 3600  # seconds


class SecretTokens(Controller):
    """Fills token secrets, and removes those whose account is gone."""

    name = "tokens-controller"

    def __init__(self, client: Client, signer: TokenSigner, ca: bytes) -> None:
        super().__init__(client)
        self._signer, self._ca = signer, ca

    def setup(self) -> None:
        self.watch("secrets", self._secret_changed)
        self.watch("serviceaccounts", self._account_changed)

    def _secret_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED and event.obj.data.get("type") == TYPE:
            self.enqueue_object(event)

    def _account_changed(self, event: Event) -> None:
        if event.type is EventType.MODIFIED:
            return
        for stored in self.client.store.list("secrets", event.obj.key.namespace):
            annotations = stored.data["metadata"].get("annotations") or {}
            if stored.data.get("type") == TYPE and annotations.get(NAME) == event.obj.key.name:
                self.enqueue(stored.key.namespace, stored.key.name)

    async def reconcile(self, namespace: str, name: str) -> None:
        secret = self.client.get("secrets", namespace, name)
        if secret is None or secret.get("type") != TYPE or secret["metadata"].get("deletionTimestamp"):
            return
        annotations = secret["metadata"].get("annotations") or {}
        account = self.client.get("serviceaccounts", namespace, annotations.get(NAME, ""))
        if account is None or annotations.get(UID) not in (None, account["metadata"]["uid"]):
            await self.client.delete("secrets", namespace, name, uid=secret["metadata"]["uid"])
            return
        data = secret.get("data") or {}
        wanted = {"ca.crt": _encoded(self._ca), "namespace": _encoded(namespace.encode())}
        if not data.get("token"):
            bound = {"kind": "Secret", "name": name, "uid": secret["metadata"]["uid"]}
            token = self._signer.sign(account, self.clock.now(), FOREVER, bound=bound)
            wanted["token"] = _encoded(token.encode())
        missing = {key: value for key, value in wanted.items() if data.get(key) != value}
        if missing or UID not in annotations:
            patch = {"metadata": {"annotations": {UID: account["metadata"]["uid"]}}, "data": missing}
            await self.client.patch("secrets", namespace, name, patch)


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
