"""What the commands say of levels, attempts and results: lines for people, plain data for scripts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kuartui.cli.output import mark
from kuartui.prose import cells, check_word, outcome_word, padded, paragraphs, plain
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.game.level import Level, LevelCard
    from kuartui.game.score import Score
    from kuartui.play.view import AttemptView, CheckView, GuardView, Result

WIDTH = 100


def asks() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def span(seconds: float) -> str:
    """Whole seconds as 1m05s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


# Lines for people


def briefing(level: Level, facts: str = "") -> Iterator[str]:
    """Story, task and checks, as shown before and at the start. `facts`: what to say instead of name, points, times."""
    yield plain(level.title)
    stars, par, limit = "*" * level.difficulty, span(level.par_time), span(level.time_limit)
    counts = tr("{points} points, par {par}, limit {limit}", points=level.points, par=par, limit=limit)
    yield facts or f"{level.name}  {stars}  {counts}"
    for text in (level.story, level.task):
        yield ""
        yield from paragraphs(plain(text), WIDTH)
    yield ""
    for check in level.checks:
        yield f"  {check.weight:>3} %  {plain(check.title)}"
    if level.guards:
        yield ""
        yield tr("Must stay as it is:")
        for guard in level.guards:
            yield f"  - {plain(guard.title)}"


def rights(level: Level) -> Iterator[str]:
    """What the player may do on a cluster of others, beyond the level's own namespaces."""
    if level.rights:
        yield ""
        yield tr("On a cluster that others use you may, beyond its namespaces:")
        for right in level.rights:
            yield f"  - {plain(str(right))}"


def checks(view: AttemptView) -> Iterator[str]:
    """Every check with what was seen, then guards that broke and where the attempt stands."""
    for check in view.checks:
        yield check_line(check)
        seen = check.problem or check.observed
        if seen and not check.green:
            yield f"         {plain(seen)}"
    for guard in view.guards:
        if guard.broken:
            yield guard_line(guard) + (f" ({tr('reset to mend')})" if guard.sticky else "")
    if view.phase == "drill":
        yield f"{mark(None)} {tr('drill')}: {plain(view.progress)}"
    if view.trouble:
        yield f"{mark(None)} {plain(tr(view.trouble))}"
    if view.outcome:
        state = tr("over: {outcome}", outcome=outcome_word(view.outcome))
    else:
        spans = {"elapsed": view.elapsed, "limit": view.level.time_limit, "par": view.level.par_time}
        state = tr("{elapsed} of {limit} (par {par})", **{name: span(value) for name, value in spans.items()})
    if view.paused:
        state = tr("{one}, {other}", one=state, other=tr("paused"))
    points = tr("{points} points now, {potential} within reach", points=view.score.total, potential=view.potential)
    if view.mode == "practice":
        points = tr("practice: no points")
    if view.mode == "exam" and not view.outcome:
        state = tr("{elapsed} on this task", elapsed=span(view.elapsed))
        points = tr("{time} left of the exam", time=span(view.remaining))
    if view.mode == "exam" and view.outcome:
        points = "kuartui exam show"
    yield tr("{state}; {points}", state=state, points=points)


def check_line(check: CheckView) -> str:
    state = {"passing": True, "failing": False}.get(check.state)
    word = check_word(check.state)
    if check.state == "holding" and check.hold:
        word = tr("holding, {time} left", time=span(check.hold_left))
    voided = f" [{tr('no points: {guard} is broken', guard=check.voided_by)}]" if check.voided_by else ""
    return f"{mark(state)} {check.points:>3}p  {plain(check.title)}: {word}{voided}"


def guard_line(guard: GuardView) -> str:
    """A guard that broke, and how."""
    return f"{mark(False)} {tr('guard')}  {plain(guard.title)}: {plain(guard.why)}"


def ways(view: AttemptView) -> list[tuple[str, str]]:
    """Where to go on from here: what for, in a column, and the commands."""
    found = [(tr("In this terminal:"), "kuartui shell"), (tr("In any other:"), 'eval "$(kuartui env)"')]
    if view.level.setup.files:
        found.append((tr("The files:"), f"cd {shlex.quote(str(view.workspace))}"))
    if view.mode == "exam":
        check = "" if view.withheld else "kuartui level check, "
        found.append((tr("Then:"), f"{check}kuartui exam show | task TASK | flag TASK | finish"))
        return _in_columns(found)
    pause = " | pause | resume" if view.mode == "practice" else ""
    found.append((tr("Then:"), f"kuartui level check | hint{pause} | finish"))
    return _in_columns(found)


def _in_columns(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    width = max(cells(what) for what, _ in found)
    return [(padded(what, width), commands) for what, commands in found]


def signature(view: AttemptView) -> object:
    """What must change for `check --watch` to print again; the clock alone is no news."""
    seen = tuple((check.name, check.state, check.observed, check.problem) for check in view.checks)
    drill = view.progress if view.phase == "drill" else ""
    return seen, tuple(guard.broken for guard in view.guards), drill, view.trouble, view.paused, view.outcome


def summary(result: Result) -> Iterator[str]:
    """The end: checks, score to the point, debrief."""
    yield f"{result.level.name}: {outcome_word(result.outcome)}"
    for check in result.checks:
        yield check_line(check)
    yield from (guard_line(guard) for guard in result.guards if guard.broken)
    yield ""
    from kuartui.play import breakdown

    parts = [(part.text, f"{part.points:+}") for part in breakdown.parts(result.score)]
    for what, amount in [*parts, (tr("score"), str(result.score.total))]:
        yield f"  {padded(what, 34)} {amount:>6}"
    facts = [tr("time {time}", time=span(result.score.elapsed))]
    if result.score.medal:
        facts.append(tr("{medal} medal", medal=tr(result.score.medal)))
    facts.append(tr("best so far {points}", points=result.best))
    yield "  " + ", ".join(facts)
    if result.debrief:
        yield ""
        yield plain(result.debrief).strip()


# Data for scripts


def card(level: LevelCard) -> dict[str, Any]:
    return {
        "name": level.name,
        "title": level.title,
        "track": level.track,
        "chapter": level.chapter,
        "difficulty": level.difficulty,
        "points": level.points,
        "parTime": float(level.par_time),
        "timeLimit": float(level.time_limit),
        "needs": list(level.needs),
        "exams": [{"exam": domain.exam, "domain": domain.domain} for domain in level.exams],
    }


def level(level: Level) -> dict[str, Any]:
    return {
        "name": level.name,
        "title": level.title,
        "seed": level.seed,
        "story": level.story,
        "task": level.task,
        "difficulty": level.difficulty,
        "points": level.points,
        "namespace": level.namespace,
        "parTime": float(level.par_time),
        "timeLimit": float(level.time_limit),
        "checks": [{"name": c.name, "title": c.title, "weight": c.weight, "type": c.type} for c in level.checks],
        "guards": [{"name": g.name, "title": g.title, "effect": g.effect} for g in level.guards],
        "hints": len(level.hints),
        "rights": [
            {"verbs": r.verbs, "resources": r.resources, "names": r.names, "namespaces": r.namespaces}
            for r in level.rights
        ],
    }


def view(view: AttemptView) -> dict[str, Any]:
    return {
        "attempt": view.attempt_id,
        "level": view.level.name,
        "seed": view.level.seed,
        "mode": view.mode,
        "cluster": view.cluster,
        "kubeconfig": str(view.kubeconfig) if view.kubeconfig else None,
        "namespace": view.level.namespace,
        "phase": view.phase,
        "outcome": view.outcome,
        "elapsed": round(view.elapsed, 3),
        "paused": view.paused,
        "remaining": round(view.remaining, 3),
        "solved": view.solved,
        "checks": [_check(check) for check in view.checks],
        "guards": [_guard(guard) for guard in view.guards],
        "hints": [{"index": hint.index, "cost": hint.cost, "text": hint.text} for hint in view.hints],
        "nextHintCost": view.next_hint_cost,
        "score": _score(view.score),
        "potential": view.potential,
        "trouble": view.trouble,
        "withheld": view.withheld,
    }


def result(result: Result) -> dict[str, Any]:
    return {
        "attempt": result.attempt_id,
        "level": result.level.name,
        "seed": result.level.seed,
        "outcome": result.outcome,
        "score": _score(result.score),
        "checks": [_check(check) for check in result.checks],
        "guards": [_guard(guard) for guard in result.guards],
        "best": result.best,
        "bestBefore": result.best_before,
        "solutions": [{"name": solution.name, "run": list(solution.run)} for solution in result.solutions],
        "debrief": result.debrief,
    }


def _check(check: CheckView) -> dict[str, Any]:
    return {
        "name": check.name,
        "title": check.title,
        "weight": check.weight,
        "points": check.points,
        "passed": check.green,
        "state": check.state,
        "observed": check.observed,
        "problem": check.problem,
        "holdLeft": round(check.hold_left, 3),
    }


def _guard(guard: GuardView) -> dict[str, Any]:
    return {"name": guard.name, "title": guard.title, "effect": guard.effect, "broken": guard.broken, "why": guard.why}


def _score(score: Score) -> dict[str, Any]:
    return {
        "total": score.total,
        "base": score.base,
        "share": score.share,
        "guardFactor": score.guard_factor,
        "timeFactor": score.time_factor,
        "hintCost": score.hint_cost,
        "elapsed": round(score.elapsed, 3),
        "ranked": score.ranked,
        "medal": score.medal,
    }
