"""client-go's flowcontrol.Backoff: what spaces restarts of containers and pulls of images."""

from __future__ import annotations

from collections.abc import Hashable

from kuartui.embedded.clock import Clock

FIRST = 10.0  # seconds, for restarts and pulls alike
LONGEST = 300.0
MANY = 50  # entries before the expired ones are dropped


class Backoff:
    """Delays that double with each `next` of a key, and start over after twice `longest` without one."""

    def __init__(self, clock: Clock, first: float = FIRST, longest: float = LONGEST) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._entries: dict[Hashable, tuple[float, float]] = {}

    def delay(self, key: Hashable) -> float:
        """The present delay of a key, in seconds; 0 if it never failed."""
        entry = self._entries.get(key)
        return entry[0] if entry else 0.0

    def next(self, key: Hashable, since: float) -> None:
        """Lengthen the delay of a key. `since` is the monotonic time of the failure."""
        delay, updated = self._entries.get(key, (0.0, 0.0))
        grown = min(delay * 2, self._longest) if delay and not self._expired(since, updated) else self._first
        self._entries[key] = grown, self._clock.monotonic()
        if len(self._entries) > MANY:
            # As client-go's GC does: containers of pods that are gone fail no more.
            self._entries = {k: e for k, e in self._entries.items() if not self._expired(since, e[1])}

    def remaining(self, key: Hashable, since: float) -> float:
        """Seconds that are left of the delay after a failure at `since`; 0 when it is over."""
        entry = self._entries.get(key)
        if entry is None or self._expired(since, entry[1]):
            return 0.0
        return max(0.0, since + entry[0] - self._clock.monotonic())

    def remaining_since_update(self, key: Hashable) -> float:
        """The same, counted from the last `next`."""
        entry = self._entries.get(key)
        return self.remaining(key, entry[1]) if entry else 0.0

    def forget(self, key: Hashable) -> None:
        """Drop a key whose object is gone."""
        self._entries.pop(key, None)

    def _expired(self, since: float, updated: float) -> bool:
        return since - updated > 2 * self._longest
