"""Takes down the place of an attempt that is over, and what it left on a shared cluster."""

from __future__ import annotations

from kuartui.cluster.base import Cluster
from kuartui.cluster.rest import Api
from kuartui.errors import KuartuiError
from kuartui.game.level import Level
from kuartui.play.cleanup import Undo
from kuartui.play.leading import INVENTORY
from kuartui.progress.store import AttemptRecord, Store


async def take_down(record: AttemptRecord, level: Level | None, cluster: Cluster, store: Store) -> None:
    """Undo and remove. Without `level`, its files being gone, what its rights let the player change is not put back."""
    current = store.attempt(record.id)
    if current is None or not current.sandbox:
        return
    sandbox = await cluster.find(current.sandbox)
    if sandbox is not None:
        if not sandbox.disposable:
            rights = level.rights if level else ()
            async with Api.open(sandbox.checker_kubeconfig) as api:
                api.fence = sandbox.fence(rights)
                before, made = store.baseline(record.id).get(INVENTORY), store.made(record.id)
                undo = Undo(api, sandbox.clock, record.id, made=made, before=before, rights=rights, alone=False)
                left = await undo.run()
            if left:
                raise KuartuiError(f"could not remove {', '.join(left[:5])}", hint="kubectl delete it, then try again")
        await sandbox.close()
    store.forget_made(record.id)
    store.set_place(record.id, "", current.kubeconfig)
