"""Takes down the place of an attempt that is over, and what it left on a shared cluster and on this machine."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from kuartui import locks, paths
from kuartui.cluster.base import Cluster
from kuartui.cluster.rest import Api
from kuartui.containers.engine import Docker
from kuartui.errors import ElsewhereError, KuartuiError, MissingError, UnknownName
from kuartui.game.level import Level
from kuartui.message import later
from kuartui.play import dockside, workspace
from kuartui.play.cleanup import Undo, cluster_of, rights_to_restore
from kuartui.play.leading import INVENTORY, STOCK
from kuartui.progress.store import AttemptRecord, Store


async def take_down(record: AttemptRecord, level: Level | None, cluster: Cluster, store: Store) -> None:
    """Undo and remove. Without `level`, its files being gone, what its rights let the player make beyond its namespaces
    stays. What is on a cluster to which its name does not lead now stays, and is still to be removed."""
    async with alone(record.id):
        current = store.attempt(record.id)
        if current is not None and current.sandbox:  # else another process was quicker
            await _take_down(current, level, cluster, store)


def alone(attempt_id: str) -> AbstractAsyncContextManager[None]:
    """One process at a time finds the place of an attempt or takes it down: a second one would work with accounts that
    the first removes, or make them again."""
    return locks.alone(paths.state_dir() / f"takedown-{attempt_id}.lock", passing=True)


async def _take_down(record: AttemptRecord, level: Level | None, cluster: Cluster, store: Store) -> None:
    before = store.baseline(record.id).get(INVENTORY)
    try:
        sandbox = await cluster.find(record.sandbox, uid=cluster_of(before))
    except (ElsewhereError, UnknownName):  # another cluster, or a context that is not in any kubeconfig now
        workspace.clear_away(record.id)
        await _clear_docker(record, store)
        return
    if sandbox is not None:
        if not sandbox.disposable:
            async with Api.open(sandbox.checker_kubeconfig) as api:
                rights = level.rights if level else await rights_to_restore(api, before)
                api.fence = sandbox.fence(rights)
                if (machines := sandbox.machines(api)) is not None:  # of one that was killed while one was off
                    await machines.repair()
                made = store.made(record.id)
                undo = Undo(api, sandbox.clock, record.id, made=made, before=before, rights=rights, alone=False)
                left = await undo.run()
            if left:
                raise KuartuiError(
                    later("could not remove {left}", left=", ".join(left[:5])),
                    hint=later("kubectl delete it, then try again"),
                )
        await sandbox.close()
    workspace.clear_away(record.id)
    if not await _clear_docker(record, store):
        return
    store.forget_made(record.id)
    store.set_place(record.id, "", record.kubeconfig)


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
        raise KuartuiError(
            later("could not remove {left}", left=", ".join(left[:3])),
            hint=later("docker rm, docker rmi; then try again"),
        )
    return True
