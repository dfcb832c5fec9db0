"""What a node's services wrote to the system's journal: lines of the kubelet in klog's format, of what it really did."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from kuartui.embedded.clock import Clock

KEPT = 1000  # entries; journald throws away the oldest, too
PIDS = {"kubelet": 612, "containerd": 341}


class Entry(Struct, frozen=True):
    """Something that was logged. `text` lacks klog's header, which `line` adds."""

    time: datetime
    unit: str
    level: str
    source: str
    message: str
    fields: dict[str, Any]

    def line(self) -> str:
        """The message as journalctl shows it, without its own columns."""
        stamp = self.time.strftime("%m%d %H:%M:%S.%f")
        fields = "".join(f" {key}={json.dumps(str(value))}" for key, value in self.fields.items())
        return f"{self.level}{stamp} {PIDS[self.unit]:7d} {self.source}] {json.dumps(self.message)}{fields}"


class Journal:
    """The newest entries of one node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)

    def kubelet(self, level: str, source: str, text: str, /, **fields: Any) -> None:
        """Note a line of the kubelet. `level` is klog's letter: I, W or E; `source` the file and line that say so."""
        self._entries.append(Entry(self._clock.now(), "kubelet", level, source, text, fields))

    def event(self, obj: dict[str, Any], type_: str, reason: str, message: str) -> None:
        """Note an event that the kubelet told, as client-go's recorder logs it."""
        meta = obj["metadata"]
        name = f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]
        kind = {"kind": obj.get("kind", "Pod"), "apiVersion": "v1", "type": type_, "reason": reason}
        self.kubelet("I", "event.go:389", "Event occurred", object=name, **kind, message=message)

    def entries(self, unit: str = "") -> Iterator[Entry]:
        """All entries, or those of one unit, oldest first."""
        return (entry for entry in list(self._entries) if unit in ("", entry.unit))
