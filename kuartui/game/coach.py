"""What the coach of a guided level says now. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kuartui.game.level import CoachStep


def advance(
    steps: Sequence[CoachStep], index: int, since: float, elapsed: float, green: Collection[str]
) -> tuple[int, float]:
    """The step to show and when it began, given the one that is shown since `since` (seconds on the attempt's clock).

    A step that waits for a check ends when that is green, whenever that was; another one when it was up long enough.
    The index after the last step means that the coach is done.
    """
    while index < len(steps):
        step = steps[index]
        over = step.until in green if step.until else elapsed - since >= step.seconds
        if not over:
            break
        index, since = index + 1, elapsed
    return index, since
