"""The file system as one container sees it: its root, `/proc`, `/dev` and its volumes, with links followed across them.

Programs written in Python use this; shells mount the same volumes. Errors are the operating system's, because programs
print them. Permission is checked by mode bits and the owners that volumes keep; root passes with the capabilities for it.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bashkit import FileSystem
from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.node.runtime.capabilities import DEFAULT
from kuartui.embedded.node.runtime.volumes import Volume

READ, WRITE, EXECUTE = 4, 2, 1
MAX_LINKS = 20
_ROOT = re.compile(r"/proc/([0-9]+)/root(?=/|$)")
IN_MEMORY = ("tmpfs", "secret", "projected", "downwardAPI")  # kinds of volumes
DISK, DISK_BYTES = "/dev/vda1", 100 << 30  # of the node


class User(Struct, frozen=True):
    """Who a process is."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    name: str = "root"
    home: str = "/root"
    capabilities: frozenset[str] = DEFAULT  # bounding; in effect for root only

    def can(self, capability: str) -> bool:
        """Whether it is in effect: no container of ours has ambient ones."""
        return self.uid == 0 and capability in self.capabilities

    @property
    def checked(self) -> bool:
        """Whether modes and owners of files matter to them."""
        return not {"DAC_OVERRIDE", "FOWNER", "CHOWN"} <= self.capabilities if self.uid == 0 else True


class MountPoint(Struct, frozen=True):
    """A volume in a container's tree."""

    path: str
    volume: Volume
    read_only: bool = False
    visible: bool = True  # listed by `mount` and `df`

    @property
    def type(self) -> str:
        """The kind of file system, as `mount` and /proc/mounts show it."""
        if self.path == "/" or self.volume.kind == "overlay":
            return "overlay"
        return "tmpfs" if self.volume.kind in IN_MEMORY else "nfs" if self.volume.kind == "nfs" else "ext4"

    @property
    def device(self) -> str:
        """What is mounted there."""
        return DISK if self.type == "ext4" else self.type

    def size(self, memory: int) -> int:
        """Bytes that fit in all; `memory` is what the node has of it."""
        return self.volume.limit or (memory if self.type == "tmpfs" else DISK_BYTES)

    def line(self, memory: int) -> str:
        """As /proc/mounts tells of it."""
        size = f",size={self.size(memory) >> 10}k" if self.type == "tmpfs" else ""
        return f"{self.device} {self.path} {self.type} {'ro' if self.read_only else 'rw'},relatime{size} 0 0\n"


class Stat(Struct, frozen=True):
    """lstat(2), as far as anyone asks."""

    kind: str  # file | directory | symlink
    mode: int
    size: int
    uid: int
    gid: int
    modified: float

    @property
    def is_dir(self) -> bool:
        return self.kind == "directory"

    def rights(self, user: User) -> int:
        """READ, WRITE and EXECUTE, as far as the user has them."""
        if user.can("DAC_OVERRIDE"):
            return READ | WRITE | EXECUTE
        if self.uid == user.uid:
            return self.mode >> 6 & 7
        if self.gid in (user.gid, *user.groups):
            return self.mode >> 3 & 7
        return self.mode & 7


class Files:
    """A container's tree. Paths are absolute; `cwd`-relative names are the caller's to join."""

    def __init__(self, mounts: list[MountPoint]) -> None:
        self._mounts = sorted(mounts, key=lambda mount: len(mount.path), reverse=True)
        self._straight: dict[str, bool] = {}
        for mount in mounts:
            if mount.visible and mount.path != "/" and not mount.volume.read_only:
                mount.volume.seen_by(self)
        self.outlets: dict[
            str, Callable[[bytes], None]
        ] = {}  # files that are open ends: what is written comes out there

        self.root_of: Callable[[int], Files | None] | None = None  # what /proc/PID/root leads to
        self._roots: dict[str, Files] = {}

    @property
    def mounts(self) -> list[MountPoint]:
        """Mount points, outermost first."""
        return sorted(self._mounts, key=lambda mount: mount.path)

    def exchange(self, path: str, volume: Volume) -> None:
        """Mount another volume at a path where one is."""
        self._mounts = [replace(one, volume=volume) if one.path == path else one for one in self._mounts]

    def own_programs(self) -> list[MountPoint]:
        """Have copies of the directories that other containers have, too, before something changes them; the copies."""
        shared = [mount.path for mount in self._mounts if mount.volume.shared]
        if shared:
            self._mounts = [replace(m, volume=m.volume.copied()) if m.volume.shared else m for m in self._mounts]
        return [mount for mount in self._mounts if mount.path in shared]

    def set_apart(self, volume: Volume, path: str, child: Volume) -> None:
        """A directory of a volume that is mounted here is mounted by somebody else, too: go on seeing what is in it."""
        made = [
            MountPoint(posixpath.join(point.path, path), child, point.read_only, visible=False)
            for point in self._mounts
            if point.volume is volume
        ]
        self._mounts = sorted([*self._mounts, *made], key=lambda mount: len(mount.path), reverse=True)
        child.seen_by(self)

    def mount_of(self, path: str) -> tuple[MountPoint, str]:
        """The mount that holds a path, and the path within it."""
        if path.startswith("/proc/") and (found := _ROOT.match(path)):
            self._show_root(found[0], int(found[1]))
        for mount in self._mounts:
            if mount.path == "/":
                return mount, path
            if path == mount.path or path.startswith(mount.path + "/"):
                return mount, path[len(mount.path) :] or "/"
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def has(self, program: str) -> bool:
        """Whether a program of the image still is there: in a directory that others share, all are."""
        mount, inner = self.mount_of(program)
        return mount.volume.shared or bool(mount.volume.fs.exists(inner))

    def _to_change(self, path: str) -> tuple[MountPoint, str]:
        """As mount_of, of a volume that nobody else sees by accident."""
        mount, inner = self.mount_of(path)
        if not mount.volume.shared:
            return mount, inner
        self.own_programs()
        return self.mount_of(path)

    def roots(self, pids: Iterable[int]) -> list[MountPoint]:
        """What is mounted at /proc/PID/root of these processes."""
        for pid in pids:
            self._show_root(f"/proc/{pid}/root", pid)
        return [mount for mount in self.mounts if _ROOT.match(mount.path)]

    def _show_root(self, top: str, pid: int) -> None:
        """Mount at /proc/PID/root what that process has there now."""
        tree = self.root_of(pid) if self.root_of is not None else None
        if tree is self._roots.get(top):
            return
        kept = [mount for mount in self._mounts if not f"{mount.path}/".startswith(f"{top}/")]
        if tree is None:
            self._roots.pop(top, None)
        else:
            self._roots[top] = tree
            kept += [
                MountPoint(top + (m.path if m.path != "/" else ""), m.volume, m.read_only, visible=False)
                for m in tree.mounts
                if not m.path.startswith("/proc")
            ]
        self._mounts = sorted(kept, key=lambda mount: len(mount.path), reverse=True)

    def real(self, path: str, *, last: bool = True) -> str:
        """The path with links resolved (`last`: also that of the final name). The final name need not exist."""
        return path if self._seen(path, last=last) else self._resolved(path, last=last)

    def _resolved(self, path: str, *, last: bool) -> str:
        todo = [part for part in path.split("/") if part]
        done = "/"
        links = 0
        while todo:
            part = todo.pop(0)
            if part == ".":
                continue
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = f"/{part}" if done == "/" else f"{done}/{part}"
            if todo or last:
                target = self._link(here)
                if target is not None:
                    links += 1
                    if links > MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                    if target.startswith("/"):
                        done = "/"
                    todo = [piece for piece in target.split("/") if piece] + todo
                    continue
            done = here
        return done

    def _seen(self, path: str, *, last: bool) -> tuple[MountPoint, str, Stat] | None:
        """What is at a path, if that can be seen to have no links in it: bashkit's file systems follow none, so what they
        find under the whole path has none on its way. One question instead of one for each directory; None may mean
        anything."""
        if not path.startswith("/") or "/." in path or "//" in path or path.endswith("/"):
            return None
        mount, inner = self.mount_of(path)
        if not self._is_straight(mount):
            return None
        try:
            stat = _stat(mount.volume, inner)
        except RuntimeError:
            return None
        return None if last and stat.kind == "symlink" else (mount, inner, stat)

    def _found(self, path: str, user: User | None, *, last: bool = True) -> tuple[MountPoint, str, Stat]:
        """What is at a path, as far as the user may go there; where it is mounted, and its path within that. Raises
        FileNotFoundError, NotADirectoryError and PermissionError."""
        seen = self._seen(path, last=last)
        real = path if seen else self._resolved(path, last=last)
        self._check_way(real, path, user)
        if seen:
            return seen
        mount, inner = self.mount_of(real)
        return mount, inner, self._stat(mount, inner, path)

    def _is_straight(self, mount: MountPoint) -> bool:
        """Whether no link leads to a mount: as long as something is mounted there, none can."""
        if mount.path == "/":
            return True
        known = self._straight.get(mount.path)
        if known is None:
            self._straight[mount.path] = False  # while it is looked for
            known = self._straight[mount.path] = self.real(mount.path) == mount.path
        return known

    def lstat(self, path: str, user: User | None = None) -> Stat:
        """Raises FileNotFoundError, and PermissionError if the user may not pass a directory on the way."""
        return self._found(path, user, last=False)[2]

    def stat(self, path: str, user: User | None = None) -> Stat:
        """As lstat, with the final link followed."""
        return self._found(path, user)[2]

    def exists(self, path: str, user: User | None = None) -> bool:
        """Whether the path leads anywhere that the user can see."""
        try:
            self.stat(path, user)
        except OSError:
            return False
        return True

    def is_dir(self, path: str) -> bool:
        """Whether the path is a directory."""
        try:
            return self.stat(path).is_dir
        except OSError:
            return False

    def is_file(self, path: str) -> bool:
        """Whether the path is a regular file."""
        try:
            return self.stat(path).kind == "file"
        except OSError:
            return False

    def read(self, path: str, user: User | None = None) -> bytes:
        """The content of a file."""
        mount, inner, stat = self._found(path, user)
        if stat.is_dir:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        self._check(stat, READ, user, path)
        return _data(mount.volume.fs, inner)

    def write(
        self, path: str, data: bytes, user: User | None = None, *, append: bool = False, mode: int = 0o644
    ) -> None:
        """Write or append to a file, making it if needed."""
        real = self.real(path)
        self._check_way(real, path, user)
        if real in self.outlets:
            self.outlets[real](data)
            return
        mount, inner = self._to_change(real)
        try:
            stat = self._stat(mount, inner, path)
        except FileNotFoundError:
            stat = None
        self._check_mount(mount, path)
        if stat is None:
            self._check_parent(real, path, user)
        elif stat.is_dir:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        else:
            self._check(stat, WRITE, user, path)
        try:
            if append:
                mount.volume.fs.append_file(inner, data) if stat else mount.volume.fs.write_file(inner, data)
            else:
                mount.volume.fs.write_file(inner, data)
        except RuntimeError as error:
            raise _translated(error, path) from None
        if stat is None:
            mount.volume.fs.chmod(inner, mode)
            self._own(mount, inner, user)

    def mkdir(self, path: str, user: User | None = None, *, parents: bool = False, mode: int = 0o755) -> None:
        """Make a directory. Raises FileExistsError unless `parents`."""
        real = self.real(path)
        if self.exists(real):
            if parents and self.is_dir(real):
                return
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        parent = posixpath.dirname(real)
        if parents and not self.exists(parent):
            self.mkdir(parent, user, parents=True)
        mount, inner = self._to_change(real)
        self._check_mount(mount, path)
        self._check_parent(real, path, user)
        mount.volume.fs.mkdir(inner)
        mount.volume.fs.chmod(inner, mode | self.stat(parent).mode & 0o2000)  # setgid is handed down
        self._own(mount, inner, user)

    def remove(self, path: str, user: User | None = None, *, recursive: bool = False) -> None:
        """Remove a file, link or (with `recursive`, or if empty) a directory."""
        real = self.real(path, last=False)
        mount, inner = self._to_change(real)
        stat = self._stat(mount, inner, path)
        if inner == "/" or any(other.path.startswith(real + "/") for other in self._mounts):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        self._check_mount(mount, path)
        self._check_parent(real, path, user)
        if stat.is_dir and not recursive and self.listdir(real):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        mount.volume.fs.remove(inner, recursive=True)
        for owned in [o for o in mount.volume.owners if o == inner or o.startswith(inner + "/")]:
            del mount.volume.owners[owned]

    def rename(self, source: str, target: str, user: User | None = None) -> None:
        """Move a file within one volume; replaces the target."""
        data = self.read(source, user)
        stat = self.lstat(source)
        self.write(target, data, user, mode=stat.mode & 0o7777)
        self.remove(source, user)

    def symlink(self, target: str, path: str, user: User | None = None) -> None:
        """Make a symbolic link."""
        real = self.real(path, last=False)
        mount, inner = self._to_change(real)
        self._check_mount(mount, path)
        self._check_parent(real, path, user)
        if self.exists(real):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        mount.volume.fs.symlink(target, inner)

    def readlink(self, path: str) -> str:
        """The target of a link."""
        mount, inner = self.mount_of(self.real(path, last=False))
        return mount.volume.fs.read_link(inner)

    def chmod(self, path: str, mode: int, user: User | None = None) -> None:
        """Change mode bits; owner or root only."""
        mount, inner = self._for_owner(path, user)
        if inner == "/":
            mount.volume.mode = mode
        else:
            mount.volume.fs.chmod(inner, mode)

    def chown(self, path: str, uid: int, gid: int, user: User | None = None) -> None:
        """Change owner and group; only with CAP_CHOWN, which root has unless it was dropped."""
        if user is not None and not user.can("CHOWN"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        mount, inner = self._for_owner(path, user)
        mount.volume.owners[inner] = uid, gid

    def touch(self, path: str, user: User | None = None) -> None:
        """Make an empty file, or write an existing one as it is (bashkit then sets its time)."""
        self.write(path, self.read(path) if self.exists(path) else b"", user)

    def lock(self, path: str) -> bool:
        """flock(2) without waiting: whether the file is held now by who asks. No lock outlives the machine."""
        mount, inner = self.mount_of(self.real(path))
        if inner in mount.volume.locks:
            return False
        mount.volume.locks.add(inner)
        return True

    def unlock(self, path: str) -> None:
        """Let go of a file."""
        mount, inner = self.mount_of(self.real(path))
        mount.volume.locks.discard(inner)

    def listdir(self, path: str, user: User | None = None) -> list[str]:
        """Names in a directory, mount points included."""
        real = self.real(path)
        self._check_way(real, path, user)
        mount, inner = self.mount_of(real)
        stat = self._stat(mount, inner, path)
        if not stat.is_dir:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self._check(stat, READ, user, path)
        names = {entry["name"] for entry in mount.volume.fs.read_dir(inner)}
        prefix = real.rstrip("/") + "/"
        names |= {
            m.path[len(prefix) :].split("/")[0] for m in self._mounts if m.path.startswith(prefix) and m.path != "/"
        }
        return sorted(names - {""})

    def walk(self, top: str) -> Iterator[str]:
        """Every path below a directory, parents first, links not followed."""
        for name in self.listdir(top):
            path = posixpath.join(top, name)
            yield path
            if self.lstat(path).is_dir:
                yield from self.walk(path)

    def allowed(self, path: str, need: int, user: User) -> bool:
        """access(2)."""
        try:
            mount, _, stat = self._found(path, user)
            if need & WRITE:
                self._check_mount(mount, path)
            self._check(stat, need, user, path)
        except OSError:
            return False
        return True

    def _link(self, path: str) -> str | None:
        mount, inner = self.mount_of(path)
        if inner == "/":
            return None
        try:
            info = mount.volume.fs.stat(inner)
        except RuntimeError:
            return None
        return mount.volume.fs.read_link(inner) if info["file_type"] == "symlink" else None

    def _stat(self, mount: MountPoint, inner: str, path: str) -> Stat:
        fs = mount.volume.fs
        try:
            return _stat(mount.volume, inner)
        except RuntimeError:
            if any(other.path.startswith(posixpath.join(mount.path, inner.lstrip("/"))) for other in self._mounts):
                return Stat("directory", 0o755, 4096, 0, 0, 0.0)
            parent = posixpath.dirname(inner)
            if parent != "/" and self._is_file(fs, parent):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    @staticmethod
    def _is_file(fs: FileSystem, path: str) -> bool:
        return fs.exists(path) and fs.stat(path)["file_type"] == "file"

    def _check(self, stat: Stat, need: int, user: User | None, path: str) -> None:
        if user is not None and stat.rights(user) & need != need:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def _check_way(self, real: str, path: str, user: User | None) -> None:
        """Every directory on the way must let the user pass."""
        if user is None or user.can("DAC_OVERRIDE"):
            return
        parent = posixpath.dirname(real)
        while parent != "/":
            mount, inner = self.mount_of(parent)
            stat = self._stat(mount, inner, path)
            if not stat.is_dir:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            self._check(stat, EXECUTE, user, path)
            parent = posixpath.dirname(parent)

    def _check_parent(self, real: str, path: str, user: User | None) -> None:
        parent = posixpath.dirname(real)
        self._check_way(parent, path, user)
        stat = self.stat(parent)
        if not stat.is_dir:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self._check(stat, WRITE | EXECUTE, user, path)

    @staticmethod
    def _check_mount(mount: MountPoint, path: str) -> None:
        if mount.read_only or mount.volume.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def _for_owner(self, path: str, user: User | None) -> tuple[MountPoint, str]:
        mount, inner = self._to_change(self.real(path))
        stat = self._stat(mount, inner, path)
        self._check_mount(mount, path)
        if user is not None and user.uid != stat.uid and not user.can("FOWNER"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        return mount, inner

    def _own(self, mount: MountPoint, inner: str, user: User | None) -> None:
        if user is None:
            return
        gid = mount.volume.gid if mount.volume.mode & 0o2000 else user.gid  # setgid directory
        if (user.uid, gid) != (mount.volume.uid, mount.volume.gid):
            mount.volume.owners[inner] = user.uid, gid


def _stat(volume: Volume, path: str) -> Stat:
    """Of a path within a volume. Raises RuntimeError where there is none."""
    uid, gid = volume.owner(path)
    if path == "/":
        return Stat("directory", volume.mode, 4096, uid, gid, 0.0)
    info: dict[str, Any] = volume.fs.stat(path)
    size = 4096 if info["file_type"] == "directory" else info["size"]
    return Stat(info["file_type"], info["mode"], size, uid, gid, info["modified"])


def _data(fs: FileSystem, path: str) -> bytes:
    data: bytes = fs.read_file(path)
    return data


def _translated(error: RuntimeError, path: str) -> OSError:
    text = str(error)
    if "too large" in text or "exceed" in text or "limit" in text:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    if "parent directory not found" in text or "not found" in text:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return OSError(errno.EIO, os.strerror(errno.EIO), path)
