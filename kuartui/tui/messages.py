"""What workers tell screens: small, past tense, immutable."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from kuartui.cluster.base import ClusterStatus, Progress
from kuartui.play.view import Result


@dataclass
class ClusterSeen(Message):
    """How the cluster is, or what went wrong."""

    status: ClusterStatus


@dataclass
class StepTaken(Message):
    """Something slow went on."""

    progress: Progress

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StepTaken)


@dataclass
class AttemptChanged(Message):
    """A new snapshot is worth taking."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, AttemptChanged)


@dataclass
class AttemptReset(Message):
    """The level was set up anew: other objects, other credentials."""


@dataclass
class ClusterChanged(Message):
    """The objects of the level are worth another look."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ClusterChanged)


@dataclass
class AttemptEnded(Message):
    """The attempt is over, here or in another process."""

    result: Result


@dataclass
class Failed(Message):
    """A worker could not do its work: one sentence and a hint."""

    text: str
    hint: str = ""
    fatal: bool = False
