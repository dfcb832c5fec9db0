"""Writes archives as an honest author, and as a hostile one."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from kuartui.catalog.packfile import MANIFEST, archive, build, whole_digest
from kuartui.catalog.scaffold import new_level

FOLDER = "basics/shop-window"


def honest(root: Path, *, name: str = "acme", version: str = "1.0.0", level: str = "shop-window") -> Path:
    """A sound archive of one level, in `root`."""
    source = root / f"source-{name}-{version}-{level}"
    if not source.exists():
        new_level(source, "basics", level)
    file = root / f"{name}-{version}.tar.gz"
    file.write_bytes(archive(build(source, name=name, version=version)))
    return file


def members(file: Path) -> dict[str, bytes]:
    """What is in an archive."""
    with tarfile.open(file) as tar:
        return {item.name: stream.read() for item in tar if (stream := tar.extractfile(item)) is not None}


def tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.PAX_FORMAT) as made:
        for member, data in entries:
            made.addfile(member, io.BytesIO(data))
    return gzip.compress(inner.getvalue(), mtime=0)


def plain(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, data


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A link, a device or a pipe."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def with_manifest(files: Mapping[str, bytes], *, name: str = "acme", **changes: object) -> dict[str, bytes]:
    """The files, and a manifest that fits them: hostile, but consistent."""
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    spec = {"version": "1.0.0", "files": hashes, "digest": whole_digest(hashes), **changes}
    document = {"apiVersion": "kuartui.dev/v1alpha1", "kind": "Pack", "metadata": {"name": name}, "spec": spec}
    return {MANIFEST: yaml.safe_dump(document).encode(), **files}
