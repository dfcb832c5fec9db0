"""`state`: a CEL expression over objects as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.checks.evidence import Evidence, Obj, Verdict, redact
from kuartui.checks.kind import QuestionKind
from kuartui.game.cel import CelError, compile_cel
from kuartui.game.spec import HistorySpec, ResourceQuery, StateSpec
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

WRITERS = "managedFields"  # long and changing all the time: only for an expression that names it


def reads(spec: StateSpec | HistorySpec) -> tuple[ResourceQuery, ...]:
    return tuple(spec.resources.values())


async def observe(spec: StateSpec | HistorySpec, world: World, _name: str) -> Evidence:
    await world.objects.follow(reads(spec))
    return gather(spec, world)


def gather(spec: StateSpec | HistorySpec, world: World) -> Evidence:
    """The objects as the live copies have them at this moment."""
    asked = spec.always if isinstance(spec, HistorySpec) else spec.cel
    writers = WRITERS in asked or WRITERS in spec.observe
    return {variable: _redacted(world.objects.current(query), writers) for variable, query in spec.resources.items()}


def _redacted(found: Obj | list[Obj] | None, writers: bool) -> Obj | list[Obj] | None:
    if isinstance(found, list):
        return [redact(obj, writers=writers) for obj in found]
    return redact(found, writers=writers) if found is not None else None


def judge(spec: StateSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, tuple(spec.resources), evidence)


def judge_expression(cel: str, observed: str, variables: tuple[str, ...], evidence: Evidence) -> Verdict:
    """Judge by one CEL expression, and say with another what was seen."""
    try:
        seen = compile_cel(observed, variables).text(evidence) if observed else ""
        return Verdict(compile_cel(cel, variables).test(evidence), seen)
    except CelError as error:
        return Verdict(None, problem=tr("the check's expression failed: {error}", error=error))


KIND = QuestionKind("state", reads, observe, judge)
