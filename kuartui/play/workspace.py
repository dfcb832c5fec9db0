"""The player's workspace: a directory of an attempt's own, with the level's files, where its shells start.

It goes with the attempt. Files that begin with `#!` may be run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from kuartui.game.level import Level
from kuartui.paths import private_dir, state_dir, unwritable


def folder(attempt_id: str) -> Path:
    """Where an attempt's workspace is; the same in every process."""
    return state_dir() / "workspaces" / attempt_id


def lay_out(level: Level, attempt_id: str) -> Path:
    """Make the workspace as the level wants it at the start. One that is there is emptied, so that shells in it stay
    in it. StorageError when that cannot be done."""
    place = private_dir(folder(attempt_id))
    try:
        for item in place.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
        for name, text in level.setup.files.items():
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            # images are built from these files: others than their owner will read them there, whatever the umask here
            file.chmod(0o755 if text.startswith("#!") else 0o644)
            for above in file.relative_to(place).parents[:-1]:
                (place / above).chmod(0o755)
    except OSError as error:
        raise unwritable(place, error) from error
    return place


def clear_away(attempt_id: str) -> None:
    """Remove it. What a container wrote there as root stays, where the player may not remove it."""
    shutil.rmtree(folder(attempt_id), ignore_errors=True)
