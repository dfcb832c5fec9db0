"""The types of questions, by the word that a level uses for them."""

from __future__ import annotations

from kuartui.checks import access, answer, docker, execute, history, logs, reach, state, traffic, unchanged
from kuartui.checks.kind import QuestionKind
from kuartui.game.level import Question

KINDS: dict[str, QuestionKind] = {
    kind.name: kind
    for kind in (
        state.KIND,
        history.KIND,
        access.KIND,
        answer.ADMISSION,
        reach.KIND,
        reach.DNS,
        execute.EXEC,
        execute.DATA,
        logs.LOGS,
        logs.FILE,
        traffic.TRAFFIC,
        traffic.METRIC,
        answer.KIND,
        unchanged.UNCHANGED,
        unchanged.SAME_UID,
        docker.IMAGE,
        docker.CONTAINER,
    )
}


def kind_of(question: Question) -> QuestionKind:
    """How this question is observed and judged."""
    return KINDS[question.type]
