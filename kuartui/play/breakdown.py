"""A score to the point: what each part of the arithmetic gave or took, as whole points that add up."""

from __future__ import annotations

from dataclasses import dataclass

from kuartui.game.score import Score
from kuartui.translate import tr


@dataclass(frozen=True, slots=True)
class Part:
    """One line: in words, and the points that it adds (or takes, when negative)."""

    text: str
    points: int


def parts(score: Score) -> list[Part]:
    """Base first; the sum is the score. Parts that changed nothing and could not have are left out."""
    found = [Part(tr("points of the level"), score.base)]
    running = float(score.base)
    factors = [(tr("checks passed: {share}", share=f"{score.share:.0%}"), score.share)]
    if score.guard_factor < 1:
        factors.append((tr("guards broken: {share} is left", share=f"{score.guard_factor:.0%}"), score.guard_factor))
    slow = tr("slower than par: {share}", share=f"{score.time_factor:.0%}")
    factors.append((slow if score.time_factor < 1 else tr("within par"), score.time_factor))
    for text, factor in factors:
        found.append(Part(text, round(running * factor) - round(running)))
        running *= factor
    if score.hint_cost:
        found.append(Part(tr("hints"), max(0, round(running) - score.hint_cost) - round(running)))
    if not score.ranked:
        found.append(Part(tr("practice, exam: no points"), -sum(part.points for part in found)))
    return found
