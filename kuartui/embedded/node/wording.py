"""How Go and the kubelet write durations, quoted strings and pods: the forms that messages and events are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

Obj = dict[str, Any]


def go_duration(seconds: float) -> str:
    """A duration as Go's time.Duration prints it, to the millisecond: "10s", "1m20s", "812ms", "1.204s"."""
    total = round(seconds * 1000)
    if total == 0:
        return "0s"
    if total < 1000:
        return f"{total}ms"
    rest, milliseconds = divmod(total, 1000)
    minutes, whole = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{whole}.{milliseconds:03d}".rstrip("0") if milliseconds else str(whole)
    if hours:
        return f"{hours}h{minutes}m{text}s"
    return f"{minutes}m{text}s" if minutes else f"{text}s"


def quoted(text: str) -> str:
    """Go's %q for ordinary text."""
    return json.dumps(text, ensure_ascii=False)


def go_list(items: Iterable[str]) -> str:
    """Go's %v of a slice of strings: "[a b]"."""
    return f"[{' '.join(items)}]"


def pod_ref(pod: Obj) -> str:
    """`format.Pod`: "name_namespace(uid)"."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta['namespace']}({meta['uid']})"
