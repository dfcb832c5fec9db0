"""What proofs make and change on a cluster that others use, written down before they do, so that whoever comes next
undoes what a killed one left. One proof at a time is at such a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kuartui import locks, paths
from kuartui.cluster.base import Cluster
from kuartui.cluster.kubeconfigs import slug
from kuartui.errors import AttemptError, GoneError
from kuartui.game.level import Level
from kuartui.message import later
from kuartui.play.dealt import level_if_there
from kuartui.play.leading import INVENTORY
from kuartui.play.takedown import take_down
from kuartui.progress.store import AttemptRecord, Store


@asynccontextmanager
async def following(cluster: Cluster) -> AsyncIterator[Store | None]:
    """Where the runs of a proof are written down; None where each has a cluster of its own. AttemptError while another
    process proves there."""
    if cluster.kind == "embedded":
        yield None
        return
    place = _place(cluster)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(locks.alone(place.with_suffix(".lock"), patience=0.0))
        except TimeoutError:
            raise AttemptError(later("another proof is running on {cluster}", cluster=cluster.name)) from None
        store = Store(place)
        try:
            await _undo(cluster, store)
            yield store
            done = not _unfinished(store)
        finally:
            store.close()
        if done:
            place.unlink()


async def sweep(cluster: Cluster) -> None:
    """Undo what killed proofs left there. While one is at work, nothing is left."""
    if _place(cluster).exists():
        with suppress(AttemptError):
            async with following(cluster):
                pass


def place_of(attempt_id: str) -> str:
    """The name of the sandbox of a run."""
    return f"proof-{attempt_id}"


def begin(book: Store, level: Level, attempt_id: str, cluster: Cluster) -> None:
    """Note a run, before there is anything of it."""
    record = AttemptRecord(
        id=attempt_id,
        level=level.name,
        seed=level.seed,
        mode="practice",
        cluster=cluster.ref,
        sandbox=place_of(attempt_id),
        kubeconfig="",
        begun=datetime.now(UTC),
        folder=level.folder,
        digest=level.digest,
    )
    book.begin(record)


def noting(book: Store, attempt_id: str) -> dict[str, Any]:
    """What `Arena.prepare` is to tell of."""
    return {
        "note": lambda made: book.note_made(attempt_id, made),
        "found": lambda before: book.set_baseline(attempt_id, {INVENTORY: before}),
    }


def end(book: Store, attempt_id: str) -> None:
    """Nothing of the run is there any more."""
    book.set_place(attempt_id, "", "")


async def _undo(cluster: Cluster, store: Store) -> None:
    for record in _unfinished(store):
        with suppress(GoneError):
            await cluster.wake()
        await take_down(record, level_if_there(record), cluster, store)


def _unfinished(store: Store) -> list[AttemptRecord]:
    return [record for record in store.not_over() if record.sandbox]


def _place(cluster: Cluster) -> Path:
    return paths.state_dir() / "proofs" / f"{slug(cluster.ref)}.sqlite3"
