"""The scheduler: filters, scores, preemption and the queue, after pkg/scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kuartui.embedded.scheduler.scheduler import Scheduler as Scheduler

__all__ = ["Scheduler"]


def __getattr__(name: str) -> Any:
    """Import on use: others read `scheduler.matching` without needing the rest."""
    if name == "Scheduler":
        from kuartui.embedded.scheduler.scheduler import Scheduler

        return Scheduler
    raise AttributeError(name)
