"""What the cluster was like when the level began: taken once, stored with the attempt, compared with ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kuartui.checks.registry import kind_of
from kuartui.checks.universal import UNIVERSAL
from kuartui.game.guards import GlobalGuard, guards_of

if TYPE_CHECKING:
    from kuartui.checks.world import World


async def capture(world: World) -> dict[str, Any]:
    """By the name of the check or guard: JSON, as the store keeps it."""
    found: dict[str, Any] = {}
    for question in (*world.level.checks, *guards_of(world.level)):
        if isinstance(question, GlobalGuard):
            found[question.name] = await UNIVERSAL[question.name].look(world)
            continue
        kind = kind_of(question)
        if kind.capture is not None:
            found[question.name] = await kind.capture(question.spec, world)
    return found
