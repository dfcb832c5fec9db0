"""Which shell the player's is, wherever one is opened."""

from __future__ import annotations

import os
import shutil


def own_shell() -> str:
    """As $SHELL tells; bash where nothing is told, as in many containers, and /bin/sh where that is no program."""
    return shutil.which(os.environ.get("SHELL") or "bash") or "/bin/sh"
