"""Binding of the claims that wait for their pod to be placed, after plugins/volumebinding/binder.go."""

from __future__ import annotations

import asyncio
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.volumes import matching

Obj = dict[str, Any]

TIMEOUT = 600.0  # VolumeBindingArgs.bindTimeoutSeconds


class BindingFailed(Exception):
    """The volumes of a pod could not be bound; the text is for the pod's condition."""


class VolumeBinder:
    """Asks for volumes and waits until they are bound."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed = asyncio.Event()

    def claim_changed(self) -> None:
        """Some claim changed: let those who wait look."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def bind(self, planned: list[tuple[Obj, Obj | None]], node: str) -> None:
        """Take the chosen volumes, have the others provisioned, and wait. Raises BindingFailed."""
        for claim, volume in planned:
            if volume is not None:
                await self._take(claim, volume)
            else:
                await self._ask(claim, node)
        try:
            async with self._client.clock.timeout(TIMEOUT):
                while not all(self._bound(claim, node) for claim, _ in planned):
                    await self._changed.wait()
        except TimeoutError:
            text = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
            raise BindingFailed(text) from None

    async def _take(self, claim: Obj, volume: Obj) -> None:
        ref = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": objects.name_of(claim),
            "namespace": objects.namespace_of(claim),
            "uid": objects.uid_of(claim),
            "resourceVersion": claim["metadata"]["resourceVersion"],
        }
        meta = {
            "resourceVersion": volume["metadata"]["resourceVersion"],
            "annotations": {matching.BOUND_BY_CONTROLLER: "yes"},
        }
        patch = {"metadata": meta, "spec": {"claimRef": ref}}
        await self._client.patch("persistentvolumes", "", objects.name_of(volume), patch)

    async def _ask(self, claim: Obj, node: str) -> None:
        patch = {"metadata": {"annotations": {matching.SELECTED_NODE: node}}}
        namespace, name = objects.namespace_of(claim), objects.name_of(claim)
        await self._client.patch("persistentvolumeclaims", namespace, name, patch)

    def _bound(self, claim: Obj, node: str) -> bool:
        namespace, name = objects.namespace_of(claim), objects.name_of(claim)
        current = self._client.get("persistentvolumeclaims", namespace, name)
        prefix = 'running PreBind plugin "VolumeBinding": binding volumes:'
        if current is None:
            raise BindingFailed(f'{prefix} persistentvolumeclaim "{name}" not found')
        if matching.bound(current):
            return True
        chosen = objects.annotations_of(current).get(matching.SELECTED_NODE)
        if chosen is not None and chosen != node:
            raise BindingFailed(f'{prefix} provisioning failed for PVC "{name}"')
        return False
