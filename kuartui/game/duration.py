"""Durations as people and Kubernetes write them: 30s, 3m, 1m30s, 2h."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from msgspec import field

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(float):
    """Seconds. `Duration.parse("1m30s") == 90.0`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read "90s", "1m30s" or a plain number of seconds; raises ValueError."""
        if isinstance(text, int | float) and not isinstance(text, bool):
            value = float(text)
        elif isinstance(text, str) and text and not _PART.sub("", text):
            value = sum(float(number) * _UNIT[unit] for number, unit in _PART.findall(text))
        else:
            raise ValueError(f"expected a duration such as 30s or 1m30s, got {text!r}")
        if not 0 <= value < 1e7:
            raise ValueError(f"expected a duration between 0s and 115 days, got {text!r}")
        return cls(value)

    def __str__(self) -> str:
        exact = float(self)
        whole = int(exact)
        if whole != exact:
            return f"{exact:g}s"
        hours, rest = divmod(whole, 3600)
        minutes, seconds = divmod(rest, 60)
        text = "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n)
        return text or "0s"


def clock_text(seconds: float) -> str:
    """How a game clock shows a time: 2:05, 1:00:09."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def lasting(seconds: float) -> Any:
    """The default of a Duration field of a msgspec struct."""
    return field(default_factory=partial(Duration, seconds))
