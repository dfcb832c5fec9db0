"""A bundle: the images of a workshop in one file, for a room without Internet.

A tar (not compressed: layers are already) of

    bundle.json     kind Bundle: of each image its name, identity, platform, size, and its archive with size and SHA-256
    images/01.tar   what `docker save` writes of the first image; and so on

A bundle comes by stick from somebody. All of it is checked before any of it is loaded: names, sizes, checksums, and
that an archive brings the image that the list says and no other. It is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec

from kuartui.containers.engine import Docker, familiar, saved
from kuartui.errors import ClusterError, MissingError, StorageError, system_words
from kuartui.message import later

API_VERSION = "kuartui.dev/v1alpha1"
KIND = "Bundle"
MANIFEST = "bundle.json"
CHUNK = 1024 * 1024  # bytes
MAX_MANIFEST = 1024 * 1024
MAX_IMAGES = 500
Turn = Callable[[str, int, int], None]  # told of an image before its turn, with its number, and of how many
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image. `size` is what it takes on an engine, `bytes` what its archive does."""

    image: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._/:-]*:[\w.-]+$", max_length=255)]
    id: Annotated[str, msgspec.Meta(max_length=100)]
    digests: tuple[str, ...] = ()  # by which registries know it
    platform: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    archive: Annotated[str, msgspec.Meta(pattern=r"^images/\d{2,3}\.tar$")]
    bytes: Annotated[int, msgspec.Meta(ge=1)]
    sha256: Sha256


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """bundle.json"""

    api_version: str
    kind: str
    images: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=MAX_IMAGES)]

    @property
    def digest(self) -> str:
        """A name for the exact content of the bundle: sha256:…"""
        return f"sha256:{hashlib.sha256(_encode(self)).hexdigest()}"

    @property
    def size(self) -> int:
        """Bytes of all archives."""
        return sum(entry.bytes for entry in self.images)


def unheard(_image: str, _number: int, _of: int) -> None:
    """Tell nobody whose turn it is."""


async def create(docker: Docker, images: Sequence[str], target: Path, turn: Turn = unheard) -> Bundle:
    """Write a bundle of images that the engine has; a file of that name is replaced once the new one is whole.
    MissingError for an image that is not there, StorageError when there is no room."""
    described = [await _described(docker, image) for image in images]
    _make_room(target, sum(int(item["Size"]) for item in described))
    with _beside(target) as work:
        entries = []
        for number, (image, item) in enumerate(zip(images, described, strict=True), 1):
            turn(image, number, len(images))
            name = f"images/{number:02}.tar"
            platform = f"{item.get('Os', 'linux')}/{item.get('Architecture', '')}"
            size, digest = await _save(docker, image, platform, work / f"{number:02}.tar")
            entries.append(
                Entry(
                    image=image,
                    id=str(item["Id"]),
                    digests=tuple(sorted(str(digest) for digest in item.get("RepoDigests") or [])),
                    platform=platform,
                    size=int(item["Size"]),
                    archive=name,
                    bytes=size,
                    sha256=digest,
                )
            )
        bundle = Bundle(api_version=API_VERSION, kind=KIND, images=tuple(entries))
        with _writing(target):
            _pack(bundle, work)
            os.replace(work / MANIFEST, target)
    return bundle


def read(path: Path) -> Bundle:
    """The list of a bundle, without a look at the archives. StorageError when it is none."""
    with _opened(path) as archive:
        return _manifest(archive, path)


def verify(path: Path, turn: Turn = unheard) -> Bundle:
    """Check everything in a bundle; its list. StorageError, in one sentence, for what is not as it should be."""
    with _opened(path) as archive:
        bundle = _manifest(archive, path)
        wanted = {entry.archive: entry for entry in bundle.images}
        if len(wanted) < len(bundle.images):
            raise damaged(path, later("two images have the same archive"))
        found = {member.name: member for member in archive}
        for name, member in found.items():
            if name != MANIFEST and (name not in wanted or not member.isreg()):
                raise damaged(path, later("{name!a} does not belong there", name=name))
        if len(archive.getmembers()) > len(found):
            raise damaged(path, later("a file is in it twice"))
        for number, (name, entry) in enumerate(wanted.items(), 1):
            turn(entry.image, number, len(wanted))
            if name not in found:
                raise damaged(path, later("the archive of {image} is not in it", image=entry.image))
            _check(archive, found[name], entry, path)
    return bundle


@contextmanager
def archive_of(path: Path, entry: Entry) -> Iterator[IO[bytes]]:
    """What `docker save` wrote of an image, to read. Call `verify` first."""
    with _opened(path) as archive:
        inside = archive.extractfile(entry.archive)
        if inside is None:
            raise damaged(path, later("the archive of {image} is not in it", image=entry.image))
        yield inside


def extract(path: Path, entry: Entry, target: Path) -> None:
    """Write the archive of an image into a file of its own."""
    with archive_of(path, entry) as source, _writing(target), target.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)


async def load(docker: Docker, path: Path, entry: Entry) -> bool:
    """Give an image to the engine; False when it has one of that name, which stays as it is."""
    if await docker.image(entry.image) is not None:
        return False
    with archive_of(path, entry) as source:
        await docker.ask(lambda client: list(client.api.load_image(source) or []))
    if await docker.image(entry.image) is None:
        raise ClusterError(later("Docker took the archive of {image}, but has no such image now", image=entry.image))
    return True


def damaged(path: Path, why: str) -> StorageError:
    """The same sentence for whatever is not as it should be."""
    return StorageError(
        later("{path} is no whole bundle: {why}", path=path, why=why),
        hint=later("copy it again, or kuartui bundle create"),
    )


async def _described(docker: Docker, image: str) -> dict[str, Any]:
    found = await docker.image(image)
    if found is None:
        raise MissingError(later("your Docker engine has no image {image}", image=image), hint=f"docker pull {image}")
    return found


async def _save(docker: Docker, image: str, platform: str, target: Path) -> tuple[int, str]:
    """Size and SHA-256 of what was written."""

    def stream(client: Any) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with _writing(target), target.open("wb") as file:
            for chunk in saved(client, image, platform):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()

    return await docker.ask(stream)


def _pack(bundle: Bundle, work: Path) -> None:
    """Put the archives behind the list, in work/bundle.json; each is removed once it is in there."""
    data = _encode(bundle)
    with (work / MANIFEST).open("wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        item = tarfile.TarInfo(MANIFEST)
        item.size, item.mode = len(data), 0o644
        archive.addfile(item, io.BytesIO(data))
        for entry in bundle.images:
            source = work / Path(entry.archive).name
            item = tarfile.TarInfo(entry.archive)
            item.size, item.mode = entry.bytes, 0o644
            with source.open("rb") as content:
                archive.addfile(item, content)
            source.unlink()
    with (work / MANIFEST).open("rb") as written:
        os.fsync(written.fileno())


def _check(archive: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, path: Path) -> None:
    if member.size != entry.bytes:
        raise damaged(
            path,
            later(
                "the archive of {image} has {found} bytes, not {wanted}",
                image=entry.image,
                found=member.size,
                wanted=entry.bytes,
            ),
        )
    inside = archive.extractfile(member)
    assert inside is not None
    digest = hashlib.sha256()
    try:
        while chunk := inside.read(CHUNK):
            digest.update(chunk)
    except (tarfile.TarError, OSError) as error:
        raise damaged(path, str(error)) from error
    if digest.hexdigest() != entry.sha256:
        raise damaged(
            path,
            later("the archive of {image} is not what the list says: it was changed or damaged", image=entry.image),
        )
    inside.seek(0)
    if _brings(inside) != [familiar(entry.image)]:
        raise damaged(path, later("the archive of {image} brings something else", image=entry.image))


def _brings(archive: IO[bytes]) -> list[str]:
    """The names that an image archive would give."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as content:
            manifest = content.extractfile("manifest.json")
            listed = json.loads(manifest.read(MAX_MANIFEST)) if manifest else []
        return [familiar(str(tag)) for item in listed for tag in item.get("RepoTags") or []]
    except (tarfile.TarError, KeyError, ValueError, AttributeError, TypeError):
        return []


def _manifest(archive: tarfile.TarFile, path: Path) -> Bundle:
    first = archive.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > MAX_MANIFEST:
        raise damaged(path, later("it does not begin with {name}", name=MANIFEST))
    file = archive.extractfile(first)
    assert file is not None
    try:
        bundle = msgspec.json.decode(file.read(), type=Bundle)
    except (msgspec.DecodeError, tarfile.TarError, OSError) as error:
        raise damaged(path, f"{MANIFEST}: {error}") from error
    if (bundle.api_version, bundle.kind) != (API_VERSION, KIND):
        raise damaged(
            path,
            later(
                "{name} is {found}, not {wanted}",
                name=MANIFEST,
                found=f"{bundle.api_version} {bundle.kind}",
                wanted=f"{API_VERSION} {KIND}",
            ),
        )
    return bundle


def _encode(bundle: Bundle) -> bytes:
    return msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n"


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for without an end
            raise StorageError(later("{path} is no plain file, as a bundle is", path=path))
        with tarfile.open(path, mode="r:") as archive:
            yield archive
    except tarfile.TarError as error:
        raise damaged(path, str(error)) from error
    except FileNotFoundError as error:
        raise StorageError(later("there is no file {path}", path=path)) from error
    except OSError as error:
        raise StorageError(later("cannot read {path}: {why}", path=path, why=system_words(error))) from error


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder beside the target, so that what is done there can be moved into its place; one that was left by somebody
    who was killed goes first."""
    work = target.with_name(f".{target.name}.partial")
    with _writing(target):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            later("cannot write {path}: {why}", path=target, why=system_words(error)),
            hint=later("make room, or write it elsewhere"),
        ) from error


def _make_room(target: Path, size: int) -> None:
    """StorageError when the disk cannot hold the archives and, while it is put together, the largest part twice."""
    with _writing(target):
        free = shutil.disk_usage(target.parent).free
    if free < size * 2:
        raise StorageError(
            later(
                "{folder} has {free} MB free, the bundle needs up to {needed} MB while it is made",
                folder=target.parent,
                free=free // 10**6,
                needed=size * 2 // 10**6,
            ),
            hint=later("make room, or write it elsewhere"),
        )
