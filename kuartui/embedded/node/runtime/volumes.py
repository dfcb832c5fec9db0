"""Storage that containers mount: a tree of files with owners, alive as long as whoever made it keeps it.

The bytes live in a `bashkit.FileSystem`, because shells mount those; it knows modes but no owners, so owners are kept
here. ConfigMaps and the like are trees that change as a whole: `project` swaps a `..data` link, as the kubelet does.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from bashkit import FileSystem
from msgspec import Struct

if TYPE_CHECKING:
    from kuartui.embedded.images.model import Image


class Projected(Struct, frozen=True):
    """A file of a projected volume."""

    data: bytes
    mode: int = 0o644
    uid: int = 0  # whose it is: root's, but for tokens


def empty_filesystem() -> FileSystem:
    """A file system without the directories that bashkit puts into a new one."""
    fs = FileSystem()
    for entry in fs.read_dir("/"):
        fs.remove("/" + entry["name"], recursive=True)
    return fs


class Viewer(Protocol):
    """Somebody who sees a volume as a part of a greater tree."""

    def set_apart(self, volume: Volume, path: str, child: Volume) -> None:
        """What was at a path of the volume is in another one from now on."""


class Volume:
    """A tree of files. `mode`, `uid` and `gid` are those of its top directory and of files that nobody chowned."""

    def __init__(
        self, *, mode: int = 0o777, uid: int = 0, gid: int = 0, read_only: bool = False, kind: str = "emptyDir"
    ) -> None:
        self.fs = empty_filesystem()
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.read_only = read_only  # for everyone: ConfigMap, Secret, downward API, projected
        self.kind = kind
        self.locks: set[str] = set()  # files that somebody holds (flock): as long as this process lives
        self.shared = False  # by containers that must not notice: who changes it takes a copy first
        self.limit: int | None = None  # bytes; None: as much as there is
        self.system: Callable[[], Image] | None = None  # the programs installed here, for who makes it their root
        self.owners: dict[str, tuple[int, int]] = {}
        self.children: dict[str, Volume] = {}  # directories that some container mounts by subPath
        self._viewers: WeakSet[Viewer] | None = None  # who has it in a tree; once there is one
        self._projected: dict[str, Projected] = {}

    @classmethod
    def projection(cls, files: Mapping[str, Projected], now: datetime, gid: int = 0, kind: str = "configMap") -> Volume:
        """A ConfigMap, Secret, downward API or projected volume."""
        volume = cls(mode=0o1777 if gid == 0 else 0o3777, gid=gid, read_only=True, kind=kind)
        volume.project(files, now)
        return volume

    def project(self, files: Mapping[str, Projected], now: datetime) -> bool:
        """Replace the whole tree at once; whoever reads sees either the old or the new. True if it changed."""
        if dict(files) == self._projected and self.fs.exists("/..data"):
            return False
        stamp = now.strftime("..%Y_%m_%d_%H_%M_%S.") + f"{now.microsecond * 1000 + len(files):09d}"
        while self.fs.exists("/" + stamp):
            stamp += "0"
        old = self.fs.read_link("/..data") if self.fs.exists("/..data") else ""
        self.fs.mkdir("/" + stamp)
        owners: dict[str, tuple[int, int]] = {}
        for path, entry in files.items():
            parent = str(PurePosixPath(path).parent)
            if parent != ".":
                self.fs.mkdir(f"/{stamp}/{parent}", recursive=True)
            self.fs.write_file(f"/{stamp}/{path}", entry.data)
            # pkg/volume/volume_linux.go: with an fsGroup, the group may read what is mounted read-only.
            self.fs.chmod(f"/{stamp}/{path}", entry.mode | 0o440 if self.gid else entry.mode)
            if entry.uid:
                owners[f"/{stamp}/{path}"] = entry.uid, self.gid
        if old:
            self.fs.remove("/..data")
        self.fs.symlink(stamp, "/..data")
        visible = {PurePosixPath(path).parts[0] for path in files}
        before = {PurePosixPath(path).parts[0] for path in self._projected}
        for name in before - visible:
            self.fs.remove("/" + name)
        for name in visible - before:
            self.fs.symlink(f"..data/{name}", "/" + name)
        if old:
            self.fs.remove("/" + old, recursive=True)
        self.owners = owners
        self._projected = dict(files)
        return True

    def sub(self, path: str) -> Volume:
        """The volume that a subPath directory is; it is made on first use and shared by everyone who mounts it."""
        path = path.strip("/")
        child = self.children.get(path)
        if child is None:
            for known, around in self.children.items():
                if path.startswith(f"{known}/"):
                    return around.sub(path.removeprefix(f"{known}/"))
            child = Volume(mode=0o755, uid=self.uid, gid=self.gid, kind=self.kind)
            child.mode = self.mode if self.gid else 0o755
            source = "/" + path
            if self.fs.exists(source):
                child.mode = self.fs.stat(source)["mode"] | (child.mode & 0o2070 if self.gid else 0)
                _copy_tree(self.fs, source, child.fs, "")
                self.fs.remove(source, recursive=True)
            self.fs.mkdir(source, recursive=True)
            for known in [name for name in self.children if name.startswith(f"{path}/")]:
                child.children[known.removeprefix(f"{path}/")] = self.children.pop(known)
            child.owners = {
                at.removeprefix(source): self.owners.pop(at) for at in [*self.owners] if at.startswith(source)
            }
            child.uid, child.gid = child.owners.pop("", (child.uid, child.gid))
            self.children[path] = child
            for viewer in list(self._viewers or ()):
                viewer.set_apart(self, path, child)
        return child

    def copied(self) -> Volume:
        """A copy that is nobody else's."""
        copy = Volume(mode=self.mode, uid=self.uid, gid=self.gid, kind=self.kind)
        _copy_tree(self.fs, "/", copy.fs, "/")
        return copy

    def seen_by(self, viewer: Viewer) -> None:
        """Tell somebody of directories that are mounted apart from now on."""
        if self._viewers is None:
            self._viewers = WeakSet()
        self._viewers.add(viewer)

    def apart(self) -> Iterator[tuple[str, Volume]]:
        """All directories that somebody mounts by subPath, with their path below this volume."""
        for path, child in self.children.items():
            yield path, child
            for below, inner in child.apart():
                yield f"{path}/{below}", inner

    def drop(self, path: str) -> None:
        """Delete a directory with all that is in it."""
        path = path.strip("/")
        for known, child in list(self.children.items()):
            if f"{known}/".startswith(f"{path}/"):
                del self.children[known]
            elif path.startswith(f"{known}/"):
                child.drop(path.removeprefix(f"{known}/"))
        if self.fs.exists("/" + path):
            self.fs.remove("/" + path, recursive=True)

    def at(self, path: str) -> tuple[FileSystem, str]:
        """Where the bytes of a path are: those of directories that somebody mounts by subPath are apart."""
        path = path.strip("/")
        for known, child in self.children.items():
            if path == known or path.startswith(f"{known}/"):
                return child.at(path[len(known) :])
        return self.fs, "/" + path

    def mode_of(self, path: str) -> int:
        """The mode of a directory, the volume's own for ""."""
        path = path.strip("/")
        for known, child in self.children.items():
            if path == known or path.startswith(f"{known}/"):
                return child.mode_of(path[len(known) :])
        return int(self.fs.stat("/" + path)["mode"]) if path else self.mode

    def make_directory(self, base: str, path: str) -> None:
        """Make a directory below `base`, with the mode that this one has, unless there is something.

        Raises NotADirectoryError if a file is in the way.
        """
        parts = PurePosixPath(path).parts
        for depth in range(1, len(parts) + 1):
            fs, where = self.at(str(PurePosixPath(base, *parts[:depth])))
            if not fs.exists(where):
                break
            if depth < len(parts) and fs.stat(where)["file_type"] != "directory":
                raise NotADirectoryError(where)
        else:
            return
        fs, where = self.at(str(PurePosixPath(base, *parts)))
        fs.mkdir(where, recursive=True)
        fs.chmod(where, self.mode_of(base))

    def owner(self, path: str) -> tuple[int, int]:
        """Owner and group of a path below this volume."""
        return self.owners.get(path) or (self.uid, self.gid)

    def used(self) -> int:
        """Bytes of all files."""
        return _size(self.fs, "/") + sum(child.used() for child in self.children.values())

    def export(self) -> bytes:
        """The content as a tar archive, to keep it beyond this process."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            self._export(archive, "")
        return buffer.getvalue()

    def _export(self, archive: tarfile.TarFile, prefix: str) -> None:
        for path, info in walk(self.fs, "/"):
            member = tarfile.TarInfo((prefix + path).lstrip("/"))
            member.mode = info["mode"]
            member.uid, member.gid = self.owner(path)
            member.mtime = int(info["modified"])
            if info["file_type"] == "directory":
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif info["file_type"] == "symlink":
                member.type, member.linkname = tarfile.SYMTYPE, self.fs.read_link(path)
                archive.addfile(member)
            else:
                data = self.fs.read_file(path)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        for path, child in self.children.items():
            child._export(archive, f"{prefix}/{path}")

    def restore(self, data: bytes) -> None:
        """Take back what `export` gave."""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                path = "/" + member.name.lstrip("/")
                if member.isdir():
                    self.fs.mkdir(path, recursive=True)
                elif member.issym():
                    self.fs.symlink(member.linkname, path)
                    continue
                else:
                    content = archive.extractfile(member)
                    self.fs.mkdir(str(PurePosixPath(path).parent), recursive=True)
                    self.fs.write_file(path, content.read() if content else b"")
                self.fs.chmod(path, member.mode)
                if (member.uid, member.gid) != (self.uid, self.gid):
                    self.owners[path] = member.uid, member.gid


def walk(fs: FileSystem, top: str) -> list[tuple[str, dict[str, Any]]]:
    """Every path below `top`, parents first."""
    found = []
    for entry in fs.read_dir(top):
        path = f"{top.rstrip('/')}/{entry['name']}"
        found.append((path, entry["metadata"]))
        if entry["metadata"]["file_type"] == "directory":
            found += walk(fs, path)
    return found


def _copy_tree(source: FileSystem, top: str, target: FileSystem, prefix: str) -> None:
    for path, info in walk(source, top):
        to = prefix + path.removeprefix(top)
        if info["file_type"] == "directory":
            target.mkdir(to, recursive=True)
        elif info["file_type"] == "symlink":
            target.symlink(source.read_link(path), to)
        else:
            target.write_file(to, source.read_file(path))
            target.chmod(to, info["mode"])


def _size(fs: FileSystem, top: str) -> int:
    return sum(info["size"] for _, info in walk(fs, top) if info["file_type"] == "file")
