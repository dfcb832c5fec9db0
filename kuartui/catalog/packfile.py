"""A pack as one file: a .tar.gz of level folders with a manifest that names every file by its SHA-256.

    pack.yaml                         kind Pack: name, version, tracks, files, digest
    tracks.yaml                       order and titles, as in any folder of tracks
    services/shop-window/level.yaml   …

A pack comes from a stranger. It is read in memory, bounded in every direction, and anything that is not plain text data
of a level refuses the whole file with one sentence. Nothing in it is ever run by installing or playing it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from kuartui.catalog.decode import API_VERSION, decode_spec, document_of, open_document
from kuartui.catalog.reader import LEVEL_FILE
from kuartui.catalog.tracks import TRACKS_FILE
from kuartui.catalog.yamlfile import MAX_BYTES
from kuartui.errors import LevelError, system_words
from kuartui.game.level import Slug
from kuartui.game.spec import Spec
from kuartui.message import later

KIND = "Pack"
MANIFEST = "pack.yaml"
SUFFIXES = (".yaml", ".yml", ".json", ".md", ".txt")
MAX_ARCHIVE = 8 * 1024 * 1024
MAX_UNPACKED = 32 * 1024 * 1024
MAX_FILES = 2000
#: track/level/folder/file; a name has letters, digits, dot, dash and underscore, and begins with none of the marks
MAX_DEPTH = 6
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that Windows cannot write
Version = Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$", max_length=40)]


class PackSpec(Spec, frozen=True, kw_only=True):
    """`spec` of pack.yaml. Authors write version and title; `build` adds the rest."""

    version: Version = "0.1.0"
    title: Annotated[str, msgspec.Meta(max_length=80)] = ""
    license: Annotated[str, msgspec.Meta(max_length=80)] = ""
    tracks: tuple[Slug, ...] = ()
    files: dict[str, str] = {}  # SHA-256 by path
    digest: str = ""  # of all of them


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack in memory. `files` by path, with the manifest."""

    name: str
    spec: PackSpec
    files: Mapping[str, bytes]


def read_archive(path: Path) -> Pack:
    """The pack in a file, checked to the last byte. LevelError, with one sentence, for anything that is not right."""
    return from_files(_unpack(path), str(path))


def from_files(files: Mapping[str, bytes], where: str) -> Pack:
    """A pack out of its files. LevelError when they are not what its manifest says."""
    if MANIFEST not in files:
        raise LevelError(later("is no pack: there is no {manifest} in it", manifest=MANIFEST), file=where)
    name, spec = manifest(files[MANIFEST].decode("utf-8"), f"{where}:{MANIFEST}")
    content = {path: data for path, data in files.items() if path != MANIFEST}
    for path in spec.files.keys() - content.keys():
        raise LevelError(later("{path!a} is in the manifest, but not in the pack", path=path), file=where)
    for path, data in content.items():
        if path not in spec.files:
            raise LevelError(later("{path} is in the pack, but not in its manifest", path=path), file=where)
        if spec.files[path] != hashlib.sha256(data).hexdigest():
            raise LevelError(
                later("{path} is not what the manifest says: it was changed or damaged", path=path), file=where
            )
    if spec.digest != whole_digest(spec.files):
        raise LevelError(later("the digest is not that of the files: the manifest was changed or damaged"), file=where)
    return Pack(name, spec, files)


def manifest(text: str, where: str) -> tuple[str, PackSpec]:
    """Name and spec of a pack.yaml."""
    document, name = document_of(text, where, KIND)
    fields, problems = decode_spec(document, PackSpec)
    if problems:
        raise problems[0]
    return name, PackSpec(**fields)


def build(root: Path, *, name: str = "", version: str = "") -> Pack:
    """The pack of a folder of tracks. Name and version are those of its pack.yaml unless given. LevelError for a file
    that a pack cannot have."""
    spec = PackSpec()
    if (root / MANIFEST).exists():
        document, own = open_document(root / MANIFEST, KIND)
        fields, problems = decode_spec(document, PackSpec)
        if problems:
            raise problems[0]
        name, spec = name or own, PackSpec(**fields)
    folders = sorted({file.parent for file in root.glob("*/*/level.yaml")})
    if not folders:
        raise LevelError(
            later("no levels there: a pack is a folder of tracks, a track a folder of levels"),
            file=str(root),
            hint=_above(root),
        )
    places = [root / TRACKS_FILE, *(item for folder in folders for item in sorted(folder.rglob("*")))]
    files = {place.relative_to(root).as_posix(): _read(place) for place in places if _belongs(place, root)}
    check_files(files, str(root))
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
    spec = msgspec.structs.replace(
        spec,
        version=version or spec.version,
        tracks=tuple(dict.fromkeys(folder.parent.name for folder in folders)),
        files=hashes,
        digest=whole_digest(hashes),
    )
    text = _manifest_text(name, spec)
    manifest(text, "")  # a name or version from the command line may be none
    return Pack(name, spec, {MANIFEST: text.encode(), **files})


def _above(root: Path) -> str:
    """The folder that was meant by one of a track or of a level in it."""
    track = root if any(root.glob("*/level.yaml")) else root.parent if (root / LEVEL_FILE).exists() else None
    return later("the folder of tracks is {folder}", folder=track.resolve().parent) if track else ""


def _belongs(place: Path, root: Path) -> bool:
    """Everything but folders themselves and hidden files, such as those that editors and desktops leave."""
    hidden = any(part.startswith(".") for part in place.relative_to(root).parts)
    return not hidden and (place.is_symlink() or (place.exists() and not place.is_dir()))


def _read(file: Path) -> bytes:
    if file.is_symlink() or not file.is_file():
        raise LevelError(later("is no plain file, and a pack holds only those"), file=str(file))
    if file.stat().st_size > MAX_BYTES:
        raise LevelError(later("larger than {max_bytes} KiB", max_bytes=MAX_BYTES // 1024), file=str(file))
    return file.read_bytes()


def archive(pack: Pack) -> bytes:
    """The .tar.gz: the same bytes for the same content, whoever builds it and when."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, data in sorted(pack.files.items(), key=lambda item: (item[0] != MANIFEST, item[0])):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(inner.getvalue(), mtime=0)


def whole_digest(hashes: Mapping[str, str]) -> str:
    """One name for all files: SHA-256 over lines of `sha256  path`, as sha256sum prints them, in order of the paths."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(hashes.items()))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def check_files(files: Mapping[str, bytes], where: str) -> None:
    """LevelError unless each path is harmless, no two are one on some file system, and each file is text."""
    seen: dict[str, str] = {}
    if len(files) > MAX_FILES:
        raise LevelError(later("more than {max_files} files", max_files=MAX_FILES), file=where)
    if sum(map(len, files.values())) > MAX_UNPACKED:
        raise LevelError(later("more than {max_unpacked} MiB", max_unpacked=MAX_UNPACKED // 1024**2), file=where)
    for path, data in files.items():
        check_path(path, where)
        folded = path.lower()
        if folded in seen:
            raise LevelError(
                later("{seen} and {path} differ only in upper and lower case", seen=seen[folded], path=path), file=where
            )
        seen[folded] = path
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise LevelError(later("{path} is not UTF-8 text", path=path), file=where) from error
    for path in files:
        for parent in Path(path).parents:
            if parent.as_posix().lower() in seen:
                raise LevelError(later("{parent} is a file and a folder", parent=parent.as_posix()), file=where)


def check_path(path: str, where: str) -> None:
    """LevelError for a path that leads out of its folder, or that some system reads in another way."""
    shown = ascii(path)
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or ":" in path or ".." in parts:
        raise LevelError(later("{shown} leads out of the pack", shown=shown), file=where)
    if len(parts) > MAX_DEPTH or not all(PART.fullmatch(part) for part in parts) or any(map(RESERVED.fullmatch, parts)):
        text = later(
            "{shown} is no name for a file: letters, digits, dots and dashes, and folders no deeper than {depth}",
            shown=shown,
            depth=MAX_DEPTH,
        )
        raise LevelError(text, file=where)
    if not path.endswith(SUFFIXES):
        raise LevelError(
            later("{shown}: a pack holds only {suffixes} files", shown=shown, suffixes=", ".join(SUFFIXES)), file=where
        )


def _manifest_text(name: str, spec: PackSpec) -> str:
    fields: dict[str, Any] = msgspec.to_builtins(spec)
    value = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": fields}
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=200)


# --- reading what a stranger wrote ----------------------------------------------------------------------------------


def _unpack(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for without an end
            raise LevelError(later("is no plain file, as a pack is"), file=str(path))
        with path.open("rb") as file:
            packed = file.read(MAX_ARCHIVE + 1)
        if len(packed) > MAX_ARCHIVE:
            raise LevelError(later("larger than {max_archive} MiB", max_archive=MAX_ARCHIVE // 1024**2), file=str(path))
        tar_bytes = _inflate(packed, str(path))
        with tarfile.open(fileobj=io.BytesIO(tar_bytes), mode="r:", errorlevel=2) as tar:
            for member in tar:
                if member.isdir():
                    continue
                _check_member(member, len(files), str(path))
                if member.name in files:
                    raise LevelError(later("{name} is there twice", name=member.name), file=str(path))
                content = tar.extractfile(member)
                files[member.name] = content.read(MAX_BYTES + 1) if content is not None else b""
    except FileNotFoundError as error:
        raise LevelError(later("no such file"), file=str(path)) from error
    except RecursionError as error:  # tarfile calls itself for each header that only speaks of the next one
        raise LevelError(later("is no .tar.gz, or a damaged one ({error})", error=error), file=str(path)) from error
    except (gzip.BadGzipFile, tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise LevelError(later("is no .tar.gz, or a damaged one ({error})", error=error), file=str(path)) from error
    except OSError as error:
        raise LevelError(later("cannot be read: {why}", why=system_words(error)), file=str(path)) from error
    check_files(files, str(path))
    return files


def _inflate(data: bytes, where: str) -> bytes:
    """What a gzip file holds, refused as soon as it is more than a pack may be."""
    limit = MAX_UNPACKED + MAX_FILES * 2048
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        found = stream.read(limit + 1)
    if len(found) > limit:
        raise LevelError(
            later("unpacks to more than {max_unpacked} MiB", max_unpacked=MAX_UNPACKED // 1024**2), file=where
        )
    return found


def _check_member(member: tarfile.TarInfo, count: int, where: str) -> None:
    check_path(member.name, where)
    if not member.isreg() or member.issparse():
        raise LevelError(later("{name} is no plain file, and a pack holds only those", name=member.name), file=where)
    if member.size > MAX_BYTES:
        raise LevelError(
            later("{name} is larger than {max_bytes} KiB", name=member.name, max_bytes=MAX_BYTES // 1024), file=where
        )
    if count >= MAX_FILES:
        raise LevelError(later("more than {max_files} files", max_files=MAX_FILES), file=where)
