"""What a front end shows of an attempt: frozen snapshots, and the events that say that a new one is worth taking.

All texts may come from a level pack or a cluster: they are plain text, never markup, and a screen must treat them so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kuartui.checks.engine import State as CheckState
from kuartui.game.events import Mode, Outcome
from kuartui.game.level import Level, Solution
from kuartui.game.score import Score

Phase = Literal["setup", "running", "drill", "over"]


@dataclass(frozen=True, slots=True)
class CheckView:
    name: str
    title: str
    weight: int
    points: int  # what it is worth in this level, before time and hints
    state: CheckState = "unknown"
    observed: str = ""  # what was seen: "2 of 3 ready pods are behind the Service"
    problem: str = ""  # why it cannot be told, when unknown
    hold: float = 0.0
    hold_left: float = 0.0  # seconds of cluster time until holding becomes passing
    waits_for: tuple[str, ...] = ()
    voided_by: str = ""  # the broken guard that takes its points

    @property
    def green(self) -> bool:
        return self.state == "passing"


@dataclass(frozen=True, slots=True)
class GuardView:
    name: str
    title: str
    effect: str
    broken: bool = False
    why: str = ""
    sticky: bool = False  # broken for good: only a reset helps


@dataclass(frozen=True, slots=True)
class HintView:
    """A hint that was taken; `cost` in points."""

    index: int
    cost: int
    text: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """`at` is seconds on the attempt's clock; `kind` a word such as started, passed, lost, guard, hint, reset, over."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class AttemptView:
    attempt_id: str
    level: Level
    mode: Mode
    cluster: str
    kubeconfig: Path | None  # the player's
    workspace: Path  # where the player's shells start
    phase: Phase
    elapsed: float
    paused: bool
    checks: tuple[CheckView, ...]
    guards: tuple[GuardView, ...]
    hints: tuple[HintView, ...]
    next_hint_cost: int | None  # points; None when there is no other hint
    hints_left: int
    score: Score  # if it ended now
    potential: int  # if all were green now, and guards mended that can be
    timeline: tuple[TimelineEntry, ...]
    outcome: Outcome | None = None
    trouble: str = ""  # one sentence while the cluster cannot be watched; the attempt goes on
    progress: str = ""  # in phase setup or drill: what is being done
    withheld: bool = False  # a task of a strict exam: what was found is told after its end

    @property
    def remaining(self) -> float:
        """Seconds to the limit."""
        return max(0.0, self.level.time_limit - self.elapsed)

    @property
    def solved(self) -> bool:
        return all(check.green for check in self.checks) and not any(guard.broken for guard in self.guards)


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended, for the result screen and `--output json`."""

    attempt_id: str
    level: Level
    outcome: Outcome
    score: Score
    checks: tuple[CheckView, ...]
    guards: tuple[GuardView, ...]
    timeline: tuple[TimelineEntry, ...]
    debrief: str
    solutions: tuple[Solution, ...]
    best: int  # points of the best attempt at this level, this one included
    best_before: int | None = None  # None when this was the first
    in_exam: bool = False  # a task of an exam


# --- events ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckChanged:
    """State, observation or countdown of one check."""

    check: CheckView
    before: CheckState


@dataclass(frozen=True, slots=True)
class GuardChanged:
    guard: GuardView


@dataclass(frozen=True, slots=True)
class HintTaken:
    hint: HintView


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    phase: Phase
    text: str = ""


@dataclass(frozen=True, slots=True)
class SetupProgress:
    text: str
    step: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class TroubleChanged:
    """The cluster cannot be watched (`text`), or can again ("")."""

    text: str


@dataclass(frozen=True, slots=True)
class TimelineGrew:
    entry: TimelineEntry


@dataclass(frozen=True, slots=True)
class WasReset:
    resets: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The attempt is over, here or in another process."""

    result: Result = field(repr=False)


PlayEvent = (
    CheckChanged
    | GuardChanged
    | HintTaken
    | PhaseChanged
    | SetupProgress
    | TroubleChanged
    | TimelineGrew
    | WasReset
    | Finished
)
