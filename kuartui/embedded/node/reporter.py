"""Writing a pod's status to the API: the newest state only, one write at a time, none if nothing changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]

log = logging.getLogger(__name__)

AGAIN = 10.0  # seconds; the status manager's syncPeriod, after which it tries again what was refused


class Reporter:
    """Keeps one pod's status up to date. `compute` gives the status for the stored pod."""

    def __init__(self, client: Client, pod: Obj, compute: Callable[[Obj], Obj]) -> None:
        meta = pod["metadata"]
        self._client = client
        self._namespace, self._name, self._uid = meta["namespace"], meta["name"], meta["uid"]
        self._compute = compute
        self._dirty = False
        self._muted = False
        self._task: asyncio.Task[None] | None = None

    def turn_to(self, pod: Obj) -> None:
        """Write to this object from now on: the pod's mirror was made anew."""
        self._uid = pod["metadata"]["uid"]
        self.changed()

    def changed(self) -> None:
        """The state is another one; it is written soon."""
        self._dirty = True
        if not self._muted and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._write())

    def mute(self, muted: bool) -> None:
        """Write nothing (the node can't reach the API) until this is undone."""
        self._muted = muted
        if not muted and self._dirty:
            self.changed()

    async def flush(self) -> None:
        """Wait until the newest state is written."""
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        while self._dirty and not self._muted:
            self._dirty = False
            pod = self._client.get("pods", self._namespace, self._name)
            if pod is None or pod["metadata"]["uid"] != self._uid:
                return
            old = pod.get("status") or {}
            new = self._compute(pod)
            patch = difference(old, new)
            if not patch:
                continue
            try:
                await self._client.patch("pods", self._namespace, self._name, {"status": patch}, "status")
            except StatusError as error:
                if error.code == 404:
                    return
                log.warning("status of pod %s/%s not written: %s", self._namespace, self._name, error)
                self._dirty = True
                await self._client.clock.sleep(AGAIN)


def difference(old: Obj, new: Obj) -> Obj:
    """A merge patch from `old` to `new`, as deep as lists go: those are replaced whole."""
    patch: Obj = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if value == before:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[key] = difference(before, value)
        else:
            patch[key] = value
    return patch
