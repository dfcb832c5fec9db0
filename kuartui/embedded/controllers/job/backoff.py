"""How long a job waits after a failure before it makes the next pod: 10 s, doubled each time, at most ten minutes.

After pkg/controller/job/backoff_utils.go.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

FIRST, LAST = 10.0, 600.0


class Backoff(Struct):
    """The failures of one job since its last success."""

    failures: int = 0
    last: datetime | None = None
    _seen: set[str] = field(default_factory=set)

    def note(self, uid: str, ended: datetime, *, success: bool) -> None:
        """A pod ended; each counts once."""
        if uid in self._seen:
            return
        self._seen.add(uid)
        if success:
            self.failures, self.last = 0, None
        else:
            self.failures += 1
            self.last = max(ended, self.last) if self.last else ended

    def remaining(self, now: datetime) -> float:
        """Seconds until the next pod may be made."""
        return 0.0 if self.last is None else remaining(self.failures, self.last, now)


def remaining(failures: int, last: datetime, now: datetime) -> float:
    """Seconds left of the wait after so many failures in a row, the last one at `last`."""
    if not failures:
        return 0.0
    wait = min(LAST, FIRST * 2.0 ** min(failures - 1, 20))
    return max(0.0, wait - (now - last).total_seconds())
