"""Whether a level that is not ours may do on a player's own cluster what its `rights` say: its steps and its
clean-up may then change such objects, as the player may, whoever they belong to. He is asked once for each version."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from kuartui import paths
from kuartui.catalog.reader import is_shipped
from kuartui.cluster.base import Cluster
from kuartui.errors import AttemptError
from kuartui.game.level import Level
from kuartui.message import later


def give(level: Level) -> None:
    """The player wants it."""
    if level.digest not in _given():
        paths.write_private(_place(), json.dumps([*_given(), level.digest]))


def require(level: Level, cluster: Cluster) -> None:
    """AttemptError when he has not been asked. A cluster that kuartui made holds nothing else of his."""
    if cluster.kind != "context" or not level.rights or level.digest in _given():
        return
    if is_shipped(Path(level.folder)):
        return
    raise AttemptError(
        later(
            "{name} is none of kuartui's levels, and on {cluster} wants to, beyond its own namespaces: {rights}",
            name=level.name,
            cluster=cluster.name,
            rights="; ".join(map(str, level.rights)),
        ),
        hint=later(
            "if you trust it: kuartui level start {folder} --cluster {ref} --allow-rights",
            folder=shlex.quote(level.folder),
            ref=shlex.quote(cluster.ref),
        ),
    )


def _place() -> Path:
    return paths.state_dir() / "allowed-rights.json"


def _given() -> list[str]:
    try:
        found = json.loads(_place().read_bytes())
    except (OSError, ValueError):  # none, or no longer readable: he is asked again
        return []
    return found if isinstance(found, list) else []
