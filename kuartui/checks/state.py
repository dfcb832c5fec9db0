"""`state`: a CEL expression over objects as they are now."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from kuartui.checks.evidence import Evidence, Obj, Verdict, redact
from kuartui.checks.kind import QuestionKind
from kuartui.checks.world import Gathered
from kuartui.game.cel import CelError, Facts, compile_cel
from kuartui.game.spec import HistorySpec, ResourceQuery, StateSpec
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

WRITERS = "managedFields"  # long and changing all the time: only for an expression that names it


def reads(spec: StateSpec | HistorySpec) -> tuple[ResourceQuery, ...]:
    return tuple(spec.resources.values())


async def observe(spec: StateSpec | HistorySpec, world: World, name: str) -> Evidence:
    await world.objects.follow(reads(spec))
    return gather(spec, world, name)


def gather(spec: StateSpec | HistorySpec, world: World, name: str) -> Facts:
    """The objects as the live copies have them at this moment: what was gathered last under this name, if it would be
    the same."""
    found = {variable: world.objects.current(query) for variable, query in spec.resources.items()}
    last = world.gathered.get(name)
    if last is not None and last.spec is spec and all(_same(last.found[item], found[item]) for item in found):
        return last.facts
    asked = spec.always if isinstance(spec, HistorySpec) else spec.cel
    writers = WRITERS in asked or WRITERS in spec.observe
    facts = Facts({variable: _redacted(objects, writers) for variable, objects in found.items()})
    world.gathered[name] = Gathered(spec, found, facts)
    return facts


def _same(one: Obj | list[Obj] | None, other: Obj | list[Obj] | None) -> bool:
    """Whether they are the same objects. A live copy replaces one that has changed."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(operator.is_, one, other))
    return one is other


def _redacted(found: Obj | list[Obj] | None, writers: bool) -> Obj | list[Obj] | None:
    if isinstance(found, list):
        return [redact(obj, writers=writers) for obj in found]
    return redact(found, writers=writers) if found is not None else None


def judge(spec: StateSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, tuple(spec.resources), evidence)


def judge_expression(cel: str, observed: str, variables: tuple[str, ...], evidence: Evidence) -> Verdict:
    """Judge by one CEL expression, and say with another what was seen."""
    facts = evidence if isinstance(evidence, Facts) else Facts(evidence)
    try:
        seen = compile_cel(observed, variables).text(facts) if observed else ""
        return Verdict(compile_cel(cel, variables).test(facts), seen)
    except CelError as error:
        return Verdict(None, problem=tr("the check's expression failed: {error}", error=error))


KIND = QuestionKind("state", reads, observe, judge)
