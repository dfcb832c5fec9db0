"""What the player chose on the screens and expects to find again: one small file, and no harm if it is lost."""

from __future__ import annotations

import orjson

from kuartui import paths
from kuartui.errors import KuartuiError

FILE = "screens.json"


def read() -> dict[str, str]:
    """All choices; none where the file is missing or damaged."""
    try:
        found = orjson.loads((paths.data_dir() / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def keep(name: str, value: str) -> None:
    """Remember one. A full disk is no reason to stop playing."""
    try:
        paths.write_private(paths.data_dir() / FILE, orjson.dumps({**read(), name: value}))
    except KuartuiError:
        return
