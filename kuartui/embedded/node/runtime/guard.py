"""A container's tree as one user may see it, for bashkit to mount: every access of a shell passes `Files`.

bashkit checks no permissions and knows no owners. It does take file systems of other native modules, through a table of
C functions (its `FileSystem.v1` interface, crates/bashkit/src/interop/fs.rs); this is such a table, filled with Python.
bashkit calls it from its own threads, so nothing here waits for anything. root needs none of this and does without.
"""

from __future__ import annotations

import ctypes
import errno
import posixpath
from collections.abc import Callable
from ctypes import POINTER, byref, c_bool, c_char_p, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from itertools import count
from typing import Any

from bashkit import FileSystem
from msgspec import Struct

from kuartui.embedded.node.runtime.files import Files, Stat, User

NAME = b"bashkit.FileSystem.v1"
VERSION = 1
OK, FAILED = 0, 1
KINDS = {"file": 0, "directory": 1, "symlink": 2}
ERRORS = {
    errno.ENOENT: 1,
    errno.EEXIST: 2,
    errno.EACCES: 3,
    errno.EPERM: 3,
    errno.EINVAL: 4,
    errno.EISDIR: 5,
    errno.ENOTDIR: 6,
    errno.ENOTEMPTY: 7,
}


class _Text(ctypes.Structure):
    """Bytes that bashkit lends us."""

    _fields_ = (("ptr", c_void_p), ("len", c_size_t))


class _Bytes(ctypes.Structure):
    """Bytes that we lend bashkit; it gives them back to `free_bytes`."""

    _fields_ = (("ptr", c_void_p), ("len", c_size_t))


class _Error(ctypes.Structure):
    _fields_ = (("kind", c_uint32), ("message", _Bytes))


class _Metadata(ctypes.Structure):
    _fields_ = (
        ("file_type", c_uint8),
        ("reserved", c_uint8 * 7),
        ("size", c_uint64),
        ("mode", c_uint32),
        ("modified_secs", c_int64),
        ("modified_nanos", c_uint32),
        ("created_secs", c_int64),
        ("created_nanos", c_uint32),
    )


class _Entry(ctypes.Structure):
    _fields_ = (("name", _Bytes), ("metadata", _Metadata))


class _Entries(ctypes.Structure):
    _fields_ = (("ptr", c_void_p), ("len", c_size_t))


_READ = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, POINTER(_Bytes), POINTER(_Error))
_WRITE = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, _Text, POINTER(_Error))
_FLAG = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, c_bool, POINTER(_Error))
_STAT = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, POINTER(_Metadata), POINTER(_Error))
_LIST = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, POINTER(_Entries), POINTER(_Error))
_EXISTS = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, POINTER(c_bool), POINTER(_Error))
_CHMOD = ctypes.CFUNCTYPE(c_uint32, c_void_p, _Text, c_uint32, POINTER(_Error))
_FREE = ctypes.CFUNCTYPE(None, c_void_p, _Bytes)
_FREE_ENTRIES = ctypes.CFUNCTYPE(None, c_void_p, _Entries)
_COUNT = ctypes.CFUNCTYPE(None, c_void_p)


class _Table(ctypes.Structure):
    _fields_ = (
        ("read_file", _READ),
        ("write_file", _WRITE),
        ("append_file", _WRITE),
        ("mkdir", _FLAG),
        ("remove", _FLAG),
        ("stat", _STAT),
        ("read_dir", _LIST),
        ("exists", _EXISTS),
        ("rename", _WRITE),
        ("copy", _WRITE),
        ("symlink", _WRITE),
        ("read_link", _READ),
        ("chmod", _CHMOD),
        ("free_bytes", _FREE),
        ("free_dir_entries", _FREE_ENTRIES),
    )


class _Handle(ctypes.Structure):
    _fields_ = (
        ("abi_version", c_uint32),
        ("reserved", c_uint32),
        ("instance", c_void_p),
        ("retain", _COUNT),
        ("release", _COUNT),
        ("vtable", POINTER(_Table)),
    )


class _Guard(Struct):
    """A tree and who looks at it; `held` is how often bashkit holds it."""

    files: Files
    user: User
    top: str
    held: int = 0

    def path(self, text: _Text) -> str:
        """Where bashkit's path, which begins at the top, is in the tree."""
        return posixpath.normpath(self.top + "/" + _said(text).decode(errors="surrogateescape").lstrip("/"))


_guards: dict[int, _Guard] = {}
_numbers = count(1)
_lent: dict[int, Any] = {}  # what bashkit reads until it gives it back, by address


def guarded(files: Files, user: User, top: str = "") -> FileSystem:
    """The tree below `top`, with the rights of `user` and with what they make owned by them."""
    number = next(_numbers)
    _guards[number] = _Guard(files, user, top)
    handle = _Handle(VERSION, 0, number, _RETAIN, _RELEASE, ctypes.pointer(_TABLE))
    capsule = _new_capsule(byref(handle), NAME, None)
    return FileSystem.from_capsule(capsule)  # copies the handle and retains


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (c_void_p, c_char_p, c_void_p)


def _retain(instance: int) -> None:
    _guards[instance].held += 1


def _release(instance: int) -> None:
    guard = _guards[instance]
    guard.held -= 1
    if guard.held == 0:
        del _guards[instance]


def _said(text: _Text) -> bytes:
    return ctypes.string_at(text.ptr, text.len) if text.len else b""


def _lend(data: bytes) -> _Bytes:
    if not data:
        return _Bytes(None, 0)
    buffer = ctypes.create_string_buffer(data, len(data))
    address = ctypes.addressof(buffer)
    _lent[address] = buffer
    return _Bytes(address, len(data))


def _free_bytes(_instance: int, lent: _Bytes) -> None:
    _lent.pop(lent.ptr, None)


def _free_entries(_instance: int, lent: _Entries) -> None:
    entries = _lent.pop(lent.ptr, None)
    for entry in entries or ():
        _lent.pop(entry.name.ptr, None)


def _attempt(err: Any, work: Callable[[], object]) -> int:
    """Do it; what goes wrong is told the way bashkit wants it, never raised into C."""
    try:
        work()
    except OSError as error:
        err[0] = _Error(ERRORS.get(error.errno or 0, 0), _lend((error.strerror or str(error)).encode()))
        return FAILED
    except Exception as error:  # noqa: BLE001  an exception cannot cross into C; the shell says what it was
        err[0] = _Error(0, _lend(str(error).encode()))
        return FAILED
    return OK


def _read_file(instance: int, path: _Text, out: Any, err: Any) -> int:
    guard = _guards[instance]

    def work() -> None:
        out[0] = _lend(guard.files.read(guard.path(path), guard.user))

    return _attempt(err, work)


def _write_file(instance: int, path: _Text, content: _Text, err: Any) -> int:
    guard = _guards[instance]
    return _attempt(err, lambda: guard.files.write(guard.path(path), _said(content), guard.user))


def _append_file(instance: int, path: _Text, content: _Text, err: Any) -> int:
    guard = _guards[instance]
    return _attempt(err, lambda: guard.files.write(guard.path(path), _said(content), guard.user, append=True))


def _mkdir(instance: int, path: _Text, recursive: bool, err: Any) -> int:
    guard = _guards[instance]
    return _attempt(err, lambda: guard.files.mkdir(guard.path(path), guard.user, parents=recursive))


def _remove(instance: int, path: _Text, recursive: bool, err: Any) -> int:
    guard = _guards[instance]
    return _attempt(err, lambda: guard.files.remove(guard.path(path), guard.user, recursive=recursive))


def _metadata(stat: Stat, user: User) -> _Metadata:
    """`mode` has no bits that the user can make no use of: `[ -x FILE ]` looks at nothing else."""
    modified = int(stat.modified)
    mode = stat.mode & (0o7000 | stat.rights(user) * 0o111)
    return _Metadata(KINDS[stat.kind], (c_uint8 * 7)(), stat.size, mode, modified, 0, modified, 0)


def _stat(instance: int, path: _Text, out: Any, err: Any) -> int:
    guard = _guards[instance]

    def work() -> None:
        out[0] = _metadata(guard.files.lstat(guard.path(path), guard.user), guard.user)

    return _attempt(err, work)


def _read_dir(instance: int, path: _Text, out: Any, err: Any) -> int:
    guard = _guards[instance]

    def work() -> None:
        top = guard.path(path)
        names = guard.files.listdir(top, guard.user)
        entries = (_Entry * len(names))()
        for number, name in enumerate(names):
            stat = guard.files.lstat(posixpath.join(top, name))
            entries[number] = _Entry(_lend(name.encode(errors="surrogateescape")), _metadata(stat, guard.user))
        if names:
            _lent[ctypes.addressof(entries)] = entries
            out[0] = _Entries(ctypes.addressof(entries), len(names))

    return _attempt(err, work)


def _exists(instance: int, path: _Text, out: Any, err: Any) -> int:
    guard = _guards[instance]

    def work() -> None:
        out[0] = guard.files.exists(guard.path(path), guard.user)

    return _attempt(err, work)


def _rename(instance: int, source: _Text, target: _Text, err: Any) -> int:
    guard = _guards[instance]
    return _attempt(err, lambda: guard.files.rename(guard.path(source), guard.path(target), guard.user))


def _copy(instance: int, source: _Text, target: _Text, err: Any) -> int:
    guard = _guards[instance]

    def work() -> None:
        data = guard.files.read(guard.path(source), guard.user)
        mode = guard.files.stat(guard.path(source)).mode & 0o777
        guard.files.write(guard.path(target), data, guard.user, mode=mode)

    return _attempt(err, work)


def _symlink(instance: int, target: _Text, link: _Text, err: Any) -> int:
    guard = _guards[instance]
    words = _said(target).decode(errors="surrogateescape")
    return _attempt(err, lambda: guard.files.symlink(words, guard.path(link), guard.user))


def _read_link(instance: int, path: _Text, out: Any, err: Any) -> int:
    guard = _guards[instance]

    def work() -> None:
        out[0] = _lend(guard.files.readlink(guard.path(path)).encode(errors="surrogateescape"))

    return _attempt(err, work)


def _chmod(instance: int, path: _Text, mode: int, err: Any) -> int:
    guard = _guards[instance]
    return _attempt(err, lambda: guard.files.chmod(guard.path(path), mode, guard.user))


_TABLE = _Table(
    _READ(_read_file),
    _WRITE(_write_file),
    _WRITE(_append_file),
    _FLAG(_mkdir),
    _FLAG(_remove),
    _STAT(_stat),
    _LIST(_read_dir),
    _EXISTS(_exists),
    _WRITE(_rename),
    _WRITE(_copy),
    _WRITE(_symlink),
    _READ(_read_link),
    _CHMOD(_chmod),
    _FREE(_free_bytes),
    _FREE_ENTRIES(_free_entries),
)
_RETAIN, _RELEASE = _COUNT(_retain), _COUNT(_release)
