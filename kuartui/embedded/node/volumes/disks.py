"""Storage that outlives pods: a node's own directories, and what PersistentVolumes stand for.

One `Disks` serves the whole cluster, so that a volume is the same wherever it is mounted. With a directory given, the
content of persistent volumes is kept there as one archive each, and found again by the next process.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kuartui.embedded.node.runtime import Files, MountPoint, Volume
from kuartui.embedded.node.runtime.volumes import walk

if TYPE_CHECKING:
    from kuartui.embedded.images.model import Image

Obj = dict[str, Any]


class System(Protocol):
    """What is installed on a node."""

    def directories(self) -> Iterable[str]: ...

    def files(self) -> Mapping[str, bytes]: ...

    def image(self) -> Image: ...


class Disks:
    """Volumes by what they are: a PV's handle, an NFS export, a node's root."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._volumes: dict[str, Volume] = {}
        self._saved: dict[str, int] = {}
        self._nodes: dict[str, Volume] = {}
        self.systems: dict[str, System] = {}

    def node(self, name: str) -> Volume:
        """The root file system of a node: what hostPath sees."""
        root = self._nodes.get(name)
        if root is None:
            root = self._nodes[name] = self._open(f"node/{name}", Volume(mode=0o755, kind="hostPath"))
            if name in self.systems:
                self._install(root, self.systems[name])
        return root

    @staticmethod
    def _install(root: Volume, system: System) -> None:
        root.system = system.image
        if root.fs.exists("/etc/kubernetes"):
            return  # a disk that has been in use, whatever was deleted on it since
        for path in system.directories():
            root.fs.mkdir(path, recursive=True)
        for path, data in system.files().items():
            root.fs.mkdir(posixpath.dirname(path), recursive=True)
            root.fs.write_file(path, data)

    def tree(self, name: str) -> Files:
        """A node's disk with what pods mount of it as directories of their own."""
        root = self.node(name)
        return Files([MountPoint("/", root), *(MountPoint(f"/{path}", child) for path, child in root.apart())])

    def known(self, name: str) -> bool:
        """Whether anything has been on a node's disk, in this process or in a former one."""
        kept = self._directory is not None and _file(self._directory, f"node/{name}").exists()
        return name in self._nodes or kept

    def volume(self, key: str, *, mode: int = 0o755, kind: str = "csi") -> Volume:
        """The storage with this identity; made empty when first asked for."""
        found = self._volumes.get(key)
        if found is None:
            found = self._volumes[key] = self._open(key, Volume(mode=mode, kind=kind))
        return found

    def remove(self, key: str) -> None:
        """Delete the content for good: the volume's reclaim policy says so."""
        kind, _, rest = key.partition("/")
        if kind == "node":
            name, _, path = rest.partition("/")
            if name in self._nodes:
                self._nodes[name].drop(path)
            return
        self._volumes.pop(key, None)
        self._saved.pop(key, None)
        if self._directory:
            _file(self._directory, key).unlink(missing_ok=True)

    def save(self) -> None:
        """Write what has changed since the last time. Cheap if nothing has."""
        directory = self._directory
        if not directory:
            return
        for key, volume in [*self._volumes.items(), *((f"node/{name}", root) for name, root in self._nodes.items())]:
            state = _fingerprint(volume)
            if self._saved.get(key) == state:
                continue
            directory.mkdir(parents=True, exist_ok=True)
            file = _file(directory, key)
            part = file.with_suffix(".part")
            part.write_bytes(volume.export())
            part.replace(file)
            self._saved[key] = state

    def _open(self, key: str, volume: Volume) -> Volume:
        if self._directory:
            file = _file(self._directory, key)
            if file.exists():
                volume.restore(file.read_bytes())
                self._saved[key] = _fingerprint(volume)
        return volume


def _file(directory: Path, key: str) -> Path:
    return directory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.tar"


def _fingerprint(volume: Volume) -> int:
    own = tuple((path, info["size"], info["modified"], info["mode"]) for path, info in walk(volume.fs, "/"))
    return hash((own, tuple((path, _fingerprint(child)) for path, child in sorted(volume.children.items()))))


def absolute(path: str) -> str:
    """A path on a node, without dots and doubled slashes."""
    return posixpath.normpath("/" + path.strip("/"))


def persistent_key(pv: Obj, node: str) -> str:
    """What identifies the storage behind a PersistentVolume; node-local kinds differ from node to node."""
    spec = pv["spec"]
    if "csi" in spec:
        return f"csi/{spec['csi'].get('driver', '')}/{spec['csi'].get('volumeHandle', '')}"
    if "nfs" in spec:
        return nfs_key(spec["nfs"])
    for kind in ("hostPath", "local"):
        if kind in spec:
            return f"node/{node}{absolute(spec[kind]['path'])}"
    return f"pv/{pv['metadata']['uid']}"


def nfs_key(source: Obj) -> str:
    """An NFS export, whoever mounts it."""
    return f"nfs/{source['server']}{absolute(source['path'])}"
