"""What the screens remember from one time to the next, in one small JSON file: layout, sizes of panes, and the like.

A file that cannot be read or written is no trouble worth a word: then the defaults hold.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from kuartui import paths
from kuartui.errors import StorageError

FILE = "tui.json"


def read() -> dict[str, Any]:
    """Everything remembered; {} when there is nothing."""
    try:
        found = json.loads((paths.config_dir() / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(**values: Any) -> None:
    """Add to it."""
    with contextlib.suppress(StorageError):
        paths.write_private(paths.config_dir() / FILE, json.dumps({**read(), **values}, indent=2))
