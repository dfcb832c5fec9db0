"""What can happen in an attempt. The append-only list of these is the attempt: state and score are replayed from it.

`at` is seconds on the attempt's clock. Two processes may record the same thing twice (a screen and a command line
share an attempt); replaying takes the second for nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

Mode = Literal["ranked", "practice", "exam"]
Outcome = Literal["solved", "finished", "time-up", "abandoned"]


class Event(Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, rename="camel"):
    at: float


class Started(Event, frozen=True, kw_only=True):
    """The level is set up and settled; the clock runs from here. `digest` names the exact content of the level."""

    level: str
    seed: int
    mode: Mode = "ranked"
    digest: str = ""


class CheckPassed(Event, frozen=True, kw_only=True):
    check: str


class CheckLost(Event, frozen=True, kw_only=True):
    check: str


class GuardBroken(Event, frozen=True, kw_only=True):
    guard: str
    why: str = ""


class GuardRestored(Event, frozen=True, kw_only=True):
    guard: str


class Violated(Event, frozen=True, kw_only=True):
    """What a history question asks was false for a moment: that cannot be undone, only reset."""

    question: str


class HintTaken(Event, frozen=True, kw_only=True):
    index: int


class SolutionsOpened(Event, frozen=True, kw_only=True):
    """The player looked before the end: from here on it is practice, without points."""


class ResetDone(Event, frozen=True, kw_only=True):
    """The level was set up anew; the clock ran on."""


class DrillStarted(Event, frozen=True, kw_only=True):
    drill: str


class DrillPassed(Event, frozen=True, kw_only=True):
    drill: str


class DrillFailed(Event, frozen=True, kw_only=True):
    """`why`: what did not come of it."""

    drill: str
    why: str = ""


class TimelineFired(Event, frozen=True, kw_only=True):
    """The level's own timeline did its step number `index`."""

    index: int


class Paused(Event, frozen=True, kw_only=True):
    """The clock stands (only where the mode allows it); `at` of what follows counts on from here."""


class Resumed(Event, frozen=True, kw_only=True):
    pass


class Finished(Event, frozen=True, kw_only=True):
    outcome: Outcome


AttemptEvent = (
    Started
    | CheckPassed
    | CheckLost
    | GuardBroken
    | GuardRestored
    | Violated
    | HintTaken
    | SolutionsOpened
    | ResetDone
    | DrillStarted
    | DrillPassed
    | DrillFailed
    | TimelineFired
    | Paused
    | Resumed
    | Finished
)

_decoder: msgspec.json.Decoder[AttemptEvent] = msgspec.json.Decoder(AttemptEvent)


def encode(event: AttemptEvent) -> bytes:
    """One event as JSON; `decode` is its inverse."""
    return msgspec.json.encode(event)


def decode(data: bytes | str) -> AttemptEvent:
    """Raises msgspec.ValidationError for what is not an event."""
    return _decoder.decode(data)
