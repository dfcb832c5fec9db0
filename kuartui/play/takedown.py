"""Takes down the place of an attempt that is over, and what it left on a shared cluster."""

from __future__ import annotations

from kuartui.cluster.base import Cluster
from kuartui.errors import KuartuiError
from kuartui.game.level import Level
from kuartui.play.arena import Arena
from kuartui.play.leading import INVENTORY
from kuartui.progress.store import AttemptRecord, Store


async def take_down(record: AttemptRecord, level: Level | None, cluster: Cluster, store: Store) -> None:
    """Undo and remove. `level` is needed on shared clusters only; a place that is gone already is fine."""
    current = store.attempt(record.id)
    if current is None or not current.sandbox:
        return
    sandbox = await cluster.find(current.sandbox)
    if sandbox is not None:
        if not sandbox.disposable and level is not None:
            arena = Arena(level, sandbox, record.id)
            arena.before = store.baseline(record.id).get(INVENTORY)
            arena.made = store.made(record.id)
            try:
                left = await arena.undo()
            finally:
                await arena.close()
            if left:
                raise KuartuiError(f"could not remove {', '.join(left[:5])}", hint="kubectl delete it, then try again")
        await sandbox.close()
    store.forget_made(record.id)
    store.set_place(record.id, "", current.kubeconfig)
