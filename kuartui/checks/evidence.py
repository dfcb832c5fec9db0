"""What a checker saw, as plain data, and what follows from it.

Observing (I/O) and judging (pure) are apart, so that a verdict can be explained, stored and judged again elsewhere.
Evidence may leave the machine: contents of Secrets are replaced by digests before anything looks at them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]
Evidence = dict[str, Any]

EVERYWHERE = "*"  # in place of a namespace


@dataclass(frozen=True, slots=True)
class Verdict:
    """`holds` is None when it cannot be told, and `problem` then says why."""

    holds: bool | None
    observed: str = ""
    problem: str = ""


class NotThereError(Exception):
    """What a question needs does not exist (yet): the answer is no, and this is what was seen."""


def redact(obj: Obj, *, writers: bool = False) -> Obj:
    """The object without bookkeeping (but who wrote which field stays for those who ask for `writers`), a Secret with
    digests for values (and no copy of them in annotations)."""
    metadata = obj.get("metadata", {})
    if obj.get("kind") != "Secret":
        if writers or "managedFields" not in metadata:
            return obj
        return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    kept = {key: value for key, value in metadata.items() if key not in ("managedFields", "annotations")}
    secret = {**obj, "metadata": kept}
    for section in ("data", "stringData"):
        if isinstance(obj.get(section), dict):
            secret[section] = {key: digest(str(value)) for key, value in obj[section].items()}
    return secret


def digest(text: str) -> str:
    """A stand-in for a value that must not be shown; equal values have equal digests."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
