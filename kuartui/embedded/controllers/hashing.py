"""Stable short hashes of pod templates and revisions.

Kubernetes hashes a dump of the Go struct; we hash canonical JSON. The values differ, their alphabet and use do not.
"""

from __future__ import annotations

from typing import Any

import orjson

from kuartui.embedded.meta.random import safe_hash


def short_hash(value: Any, collisions: int | None = None) -> str:
    """The hash of a JSON value, another one for each collision count."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if collisions:
        data += str(collisions).encode()
    return safe_hash(data)
