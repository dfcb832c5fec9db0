"""Takes down the place of an attempt that is over, and what it left on a shared cluster and on this machine."""

from __future__ import annotations

from kuartui.cluster.base import Cluster
from kuartui.cluster.rest import Api
from kuartui.containers.engine import Docker
from kuartui.errors import KuartuiError, MissingError
from kuartui.game.level import Level
from kuartui.play import dockside, workspace
from kuartui.play.cleanup import Undo
from kuartui.play.leading import INVENTORY, STOCK
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
    workspace.clear_away(record.id)
    if not await _clear_docker(record, store):
        return
    store.forget_made(record.id)
    store.set_place(record.id, "", current.kubeconfig)


async def _clear_docker(record: AttemptRecord, store: Store) -> bool:
    """Whether nothing of the attempt is on the Docker engine any more. Where the engine is away, the attempt stays
    among those to be cleaned up later: other levels can be played meanwhile."""
    stock = store.baseline(record.id).get(STOCK)
    if stock is None:
        return True
    docker = Docker()
    try:
        left = await dockside.clear(stock, docker)
    except MissingError:
        return False
    finally:
        docker.close()
    if left:
        raise KuartuiError(f"could not remove {', '.join(left[:3])}", hint="docker rm, docker rmi; then try again")
    return True
