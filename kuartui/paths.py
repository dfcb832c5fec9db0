"""Where our files are, and how they are written.

The XDG base directories (or their likes on macOS), or everything below $KUARTUI_HOME when that is set. Files hold
tokens and progress, so directories are 0700 and files 0600, and a file is replaced whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from pathlib import Path

from kuartui.errors import StorageError, system_words
from kuartui.message import later

APP = "kuartui"
HOME_VARIABLE = "KUARTUI_HOME"
MEMORY = Path("/dev/shm")  # noqa: S108  directories there get a name of their own
MEMORY_ROOM = 2**28  # bytes; containers often have a quarter of it, and share that with who needs it more
#: what a machine says no with; anything else that goes wrong with a file is our mistake
REFUSALS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO),
)


def data_dir() -> Path:
    """What a player would miss: progress, installed level packs."""
    return _base("data")


def config_dir() -> Path:
    return _base("config")


def state_dir() -> Path:
    """Clusters, kubeconfigs, logs: made again when lost."""
    return _base("state")


def cache_dir() -> Path:
    return _base("cache")


def runtime_dir() -> Path:
    """Sockets and locks of running processes; falls back on a directory in the state directory."""
    if os.environ.get("XDG_RUNTIME_DIR") and HOME_VARIABLE not in os.environ:
        return Path(os.environ["XDG_RUNTIME_DIR"]) / APP
    return state_dir() / "run"


def scratch_dir() -> Path | None:
    """For files of a moment: in memory, where the system has such a place with some room. None is where temporary files
    go otherwise, and where $TMPDIR says that they should. A disk remembers for seconds what was deleted, and looks
    through it for each new file."""
    with contextlib.suppress(OSError):
        if not os.environ.get("TMPDIR") and os.access(MEMORY, os.W_OK | os.X_OK):
            found = os.statvfs(MEMORY)
            if found.f_bavail * found.f_frsize >= MEMORY_ROOM:
                return MEMORY
    return None


def process(module: str) -> list[str]:
    """How a process of ours is begun: with the code that is installed (-P), whatever lies in the working directory."""
    return [sys.executable, "-P", "-m", module]


def private_dir(path: Path) -> Path:
    """Make `path` (and its parents) if need be, readable by its owner only."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def write_private(path: Path, data: bytes | str) -> Path:
    """Write a 0600 file atomically: a reader sees the old content or the new, never half of it."""
    private_dir(path.parent)
    content = data.encode() if isinstance(data, str) else data
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 already
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def unwritable(path: Path, error: OSError) -> StorageError:
    """The same sentence wherever a file of ours cannot be written."""
    return StorageError(
        later("cannot write {path}: {why}", path=path, why=system_words(error)),
        hint=later("make it writable for you, or set {variable} to a directory that is", variable=HOME_VARIABLE),
    )


def refused(error: OSError) -> StorageError | None:
    """The sentence for a file or directory that the machine refuses, whoever wanted it; None if it is not that."""
    if error.filename is None or error.errno not in REFUSALS:
        return None
    return StorageError(
        later("cannot use {path}: {why}", path=error.filename, why=system_words(error)),
        hint=later("make it usable for you, or set {variable} to a directory that is", variable=HOME_VARIABLE),
    )


def settle_home() -> None:
    """Have $KUARTUI_HOME mean the same in every directory, as shells begin in others. Raises StorageError."""
    if home := os.environ.get(HOME_VARIABLE):
        try:
            os.environ[HOME_VARIABLE] = os.path.abspath(os.path.expanduser(home))
        except FileNotFoundError as error:  # the working directory is gone
            raise unwritable(Path(home), error) from error


def _base(kind: str) -> Path:
    if home := os.environ.get(HOME_VARIABLE):
        return _fit(Path(home) / kind)
    import platformdirs  # here, because most commands need one directory or none

    dirs = platformdirs.PlatformDirs(APP, appauthor=False)
    return _fit(
        {
            "data": dirs.user_data_path,
            "config": dirs.user_config_path,
            "state": dirs.user_state_path,
            "cache": dirs.user_cache_path,
        }[kind]
    )


def _fit(path: Path) -> Path:
    """The path, if it can be told in $KUBECONFIG, which lists several, and in files, which are UTF-8. Raises
    StorageError."""
    try:
        known = str(path).encode()
    except UnicodeEncodeError:
        known = b""
    if not known or os.pathsep.encode() in known:
        raise StorageError(
            later("{path!r} cannot hold kuartui's files: kubectl reads no such path", path=str(path)),
            hint=later("set {variable} to a directory without {sign!r} in its path", variable=HOME_VARIABLE, sign=":"),
        )
    return path
