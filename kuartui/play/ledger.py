"""What the leader of an attempt has found, on its way into the store: kept as long as the store does not take it.

A disk that is full for a while must cost nobody a check: events keep the moment at which they happened, and are
written in their order when there is room again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kuartui.errors import StorageError
from kuartui.game.attempt import AttemptState, step
from kuartui.game.events import AttemptEvent
from kuartui.play.chronicle import Entry
from kuartui.progress.store import Store


class Ledger:
    """Of one attempt. `wrote()` is called after each write, `trouble(text)` when the store fails, and with "" when it
    works again."""

    def __init__(
        self, store: Store, attempt_id: str, *, wrote: Callable[[], None], trouble: Callable[[str], None]
    ) -> None:
        self._store, self._attempt_id = store, attempt_id
        self._wrote, self._trouble = wrote, trouble
        self._events: list[AttemptEvent] = []
        self._findings: dict[str, dict[str, Any]] = {}
        self._changes: list[Entry] = []
        self.stuck = False

    def events(self, *events: AttemptEvent) -> None:
        self._events += events
        self.flush()

    def finding(self, name: str, data: dict[str, Any]) -> None:
        self._findings[name] = data
        self.flush()

    def changes(self, entries: Sequence[Entry]) -> None:
        self._changes += entries
        self.flush()

    def after(self, state: AttemptState, sticky: frozenset[str]) -> AttemptState:
        """The stored state with what is not stored yet."""
        for event in self._events:
            state = step(state, event, sticky)
        return state

    def flush(self) -> None:
        """Write what there is."""
        try:
            while self._findings:
                name, data = next(iter(self._findings.items()))
                self._store.set_finding(self._attempt_id, name, data)
                del self._findings[name]
            if self._changes:
                self._store.note_changes(self._attempt_id, self._changes)
                self._changes = []
            if self._events:
                self._store.append(self._attempt_id, *self._events)
                self._events = []
        except StorageError as error:
            self.stuck = True
            self._trouble(error.message)
            return
        if self.stuck:
            self.stuck = False
            self._trouble("")
        self._wrote()
