"""Whether every check of a level is needed: if it were always green, some proof would have to fail.

Every check is red at the start, so that a forced one would be noticed there; but that much is true of any check, and
says nothing of the ones beside it. So more is asked: some cheat must be caught by the check. The proof has seen it red
at the end of that cheat, and with the check forced green that run would fail as "not caught by" it. This is told from
the runs that were made anyway; `kuartui.play.mutants` forces checks, to show that the reasoning holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from kuartui.game.level import Level
from kuartui.message import later, together


def verdict(level: Level, red: Mapping[str, AbstractSet[str]]) -> tuple[bool, str]:
    """Whether every check is needed, and what to say. `red`: the checks that were red at the end of each cheat, all of
    which were caught as they should be."""
    caught = {name for cheat in level.cheats if cheat.name in red for name in cheat.caught_by}
    idle = [check.name for check in level.checks if check.name not in caught]
    if not idle:
        return True, later("every check catches a cheat")
    return False, together([_advice(name, red) for name in idle])


def _advice(name: str, red: Mapping[str, AbstractSet[str]]) -> str:
    seen = [cheat for cheat, checks in red.items() if name in checks]
    if not seen:
        return later("no cheat is caught by check {name} (none even leaves it red)", name=name)
    return later(
        "no cheat is caught by check {name} (it is red after {cheats}: name it in caughtBy there)",
        name=name,
        cheats=", ".join(seen),
    )
