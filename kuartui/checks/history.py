"""`history`: an expression that must have been true at every change since the start.

The engine looks at each event of its watches, not only at the latest state, and notes a violation for good: only a
reset takes it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.checks import state
from kuartui.checks.evidence import Evidence, Verdict
from kuartui.checks.kind import QuestionKind
from kuartui.game.spec import HistorySpec

if TYPE_CHECKING:
    from kuartui.checks.world import World


async def observe(spec: HistorySpec, world: World, name: str) -> Evidence:
    return {"now": await state.observe(spec, world, name), "violated": name in world.violated}


def judge(spec: HistorySpec, evidence: Evidence) -> Verdict:
    verdict = state.judge_expression(spec.always, spec.observe, tuple(spec.resources), evidence["now"])
    return Verdict(False, verdict.observed) if evidence["violated"] else verdict


def holds_now(spec: HistorySpec, world: World, name: str) -> bool:
    """Whether it is true at this very moment; what cannot be told is no violation."""
    evidence = state.gather(spec, world, name)
    return state.judge_expression(spec.always, "", tuple(spec.resources), evidence).holds is not False


KIND = QuestionKind("history", state.reads, observe, judge)
