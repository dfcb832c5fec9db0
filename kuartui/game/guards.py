"""The guards that hold in every level: what would be a way around the work rather than a way through it.

A level may do without one by name (`allow:`), when its task needs it. How they are watched is in
`kuartui.checks.universal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kuartui.game.level import Guard, Level
from kuartui.message import later


@dataclass(frozen=True, slots=True)
class GlobalGuard:
    """Like a `Guard`, with its question built in."""

    name: str
    title: str
    effect: Literal["zero", "half", "void"] = "zero"
    voids: tuple[str, ...] = ()
    sticky: bool = True


GLOBAL = (
    GlobalGuard("same-world", later("The namespaces of the level and the nodes are the ones it started with")),
    GlobalGuard("same-objects", later("Protected objects were neither deleted nor made anew")),
    GlobalGuard("keep-running", later("Protected workloads that served were not scaled to zero")),
    GlobalGuard("not-paused", later("Protected workloads are not left paused"), sticky=False),
    GlobalGuard("no-master-key", later("Nobody was given cluster-admin, or every verb on everything")),
    GlobalGuard("no-host-access", later("No new pod is privileged or uses the host")),
    GlobalGuard("honest-status", later("Nobody wrote the status of an object by hand")),
    GlobalGuard("own-business", later("kuartui's own objects were left alone")),
    GlobalGuard("system-as-was", later("kube-system is as it was"), effect="half", sticky=False),
)
NAMES = tuple(guard.name for guard in GLOBAL)


def guards_of(level: Level) -> tuple[Guard | GlobalGuard, ...]:
    """Every guard of a level: its own, then those that every level has."""
    return (*level.guards, *(guard for guard in GLOBAL if guard.name not in level.allow))


def sticky_names(level: Level) -> frozenset[str]:
    """The guards that a level cannot restore once they broke."""
    return frozenset(
        guard.name
        for guard in guards_of(level)
        if guard.sticky or (isinstance(guard, Guard) and guard.history is not None)
    )
