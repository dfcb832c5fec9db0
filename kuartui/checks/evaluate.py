"""Judges evidence: pure, so that a leaderboard can judge again what a player's machine saw."""

from __future__ import annotations

from kuartui.checks.evidence import Evidence, Verdict
from kuartui.checks.registry import kind_of
from kuartui.game.level import Question


def evaluate(question: Question, evidence: Evidence) -> Verdict:
    """Whether the question holds over this evidence."""
    return kind_of(question).judge(question.spec, evidence)
