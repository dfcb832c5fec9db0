"""Bundles of images: whole or not there, checked to the last byte, and nothing of another's is replaced."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kuartui.containers import bundle
from kuartui.containers.engine import Docker, saved
from kuartui.errors import ClusterError, MissingError, StorageError
from tests.cluster.server import serving
from tests.containers.standin import BASE, add


def image_archive(*tags: str, content: bytes = b"layer") -> bytes:
    """What `docker save` writes, as far as anybody here looks at it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        add(archive, "layer.tar", content, 0o644)
        listed = [{"Config": "c.json", "RepoTags": list(tags), "Layers": ["layer.tar"]}]
        add(archive, "manifest.json", json.dumps(listed).encode(), 0o644)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with nothing in it."""
    place = tmp_path / "stick"
    place.mkdir()
    return place


class Engine(Docker):
    """An engine that holds archives in memory."""

    def __init__(self, *names: str) -> None:
        super().__init__("unix:///nowhere")
        self.archives = {name: image_archive(name, content=name.encode() * 99) for name in names}
        self.api, self.api_version = self, "1.41"
        self.fails_after: int | None = None

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        return question(self)

    async def image(self, name: str) -> dict[str, Any] | None:
        if name not in self.archives:
            return None
        return {"Id": f"sha256:{name}", "Size": 1000, "Os": "linux", "Architecture": "amd64", "RepoDigests": None}

    def get_image(self, name: str) -> Iterator[bytes]:
        for number, start in enumerate(range(0, len(self.archives[name]), 512)):
            if self.fails_after is not None and number >= self.fails_after:
                raise OSError(28, "No space left on device")
            yield self.archives[name][start : start + 512]

    def load_image(self, source: Any) -> list[Any]:
        data = source.read()
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            manifest = archive.extractfile("manifest.json")
            assert manifest
            for tag in json.load(manifest)[0]["RepoTags"]:
                self.archives[tag] = data
        return []


async def test_what_goes_in_comes_out(folder: Path) -> None:
    source, target = Engine("busybox:1.36", "example.com:5000/a/b:2"), Engine()
    made = await bundle.create(source, [*source.archives], folder / "w.tar")
    assert bundle.verify(folder / "w.tar") == made == bundle.read(folder / "w.tar")
    assert [entry.image for entry in made.images] == [*source.archives]
    for entry in made.images:
        assert await bundle.load(target, folder / "w.tar", entry)
    assert target.archives == source.archives
    assert [item.name for item in folder.iterdir()] == ["w.tar"]
    again = await bundle.create(source, [*source.archives], folder / "again.tar")
    assert (folder / "again.tar").read_bytes() == (folder / "w.tar").read_bytes()
    assert again.digest == made.digest


async def test_it_is_told_whose_turn_it_is(folder: Path) -> None:
    names: list[str] = ["a:1", "b:1"]
    turns: list[tuple[str, int, int]] = []
    await bundle.create(Engine(*names), names, folder / "w.tar", lambda *turn: turns.append(turn))
    assert turns == [("a:1", 1, 2), ("b:1", 2, 2)]
    bundle.verify(folder / "w.tar", lambda *turn: turns.append(turn))
    assert turns[2:] == turns[:2]


async def test_an_engine_of_many_platforms_is_asked_for_one() -> None:
    docker = pytest.importorskip("docker")
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, request.query.get("platform", "")))
        if "gone" in request.path:
            return web.json_response({"message": "no suitable export target found"}, status=404)
        return web.Response(body=b"archive" * 1000)

    def ask(url: str, image: str) -> bytes:
        client = docker.DockerClient(base_url=url.replace("http", "tcp"), version="1.48")
        try:
            return b"".join(saved(client, image, "linux/arm64"))
        finally:
            client.close()

    async with serving(answer) as access:
        assert await asyncio.to_thread(ask, access.server, "busybox:1.36") == b"archive" * 1000
        with pytest.raises(ClusterError, match="no suitable export target found"):
            await asyncio.to_thread(ask, access.server, "gone:1")
    assert asked[0] == ("/v1.48/images/busybox:1.36/get", '{"os": "linux", "architecture": "arm64"}')


async def test_an_image_of_that_name_stays_as_it_is(folder: Path) -> None:
    made = await bundle.create(Engine("busybox:1.36"), ["busybox:1.36"], folder / "w.tar")
    own = Engine()
    own.archives["busybox:1.36"] = b"mine"
    assert not await bundle.load(own, folder / "w.tar", made.images[0])
    assert own.archives["busybox:1.36"] == b"mine"


@pytest.mark.parametrize("before", [None, b"the one before"])
async def test_a_bundle_that_cannot_be_finished_leaves_nothing(folder: Path, before: bytes | None) -> None:
    if before is not None:
        (folder / "w.tar").write_bytes(before)
    engine = Engine("a:1", "b:1")
    engine.fails_after = 2
    with pytest.raises(StorageError, match="no space left on device"):
        await bundle.create(engine, ["a:1", "b:1"], folder / "w.tar")
    left = {item.name: item.read_bytes() for item in folder.iterdir()}
    assert left == ({} if before is None else {"w.tar": before})


async def test_what_a_killed_one_left_goes_with_the_next(folder: Path) -> None:
    (folder / ".w.tar.partial").mkdir()
    (folder / ".w.tar.partial" / "01.tar").write_bytes(b"half")
    await bundle.create(Engine("a:1"), ["a:1"], folder / "w.tar")
    assert [item.name for item in folder.iterdir()] == ["w.tar"]


async def test_too_little_room_is_said_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="MB free"):
        await bundle.create(Engine("a:1"), ["a:1"], folder / "w.tar")
    assert not [*folder.iterdir()]


async def test_an_image_that_is_not_there(folder: Path) -> None:
    with pytest.raises(MissingError, match="no image b:1"):
        await bundle.create(Engine("a:1"), ["a:1", "b:1"], folder / "w.tar")
    assert not [*folder.iterdir()]


async def test_each_byte_counts(folder: Path) -> None:
    """Wherever a bundle is damaged, it is either refused or unchanged in all that is loaded."""
    made = await bundle.create(Engine("a:1", "b:1"), ["a:1", "b:1"], folder / "w.tar")
    whole = (folder / "w.tar").read_bytes()
    refused = 0
    for position in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        (folder / "w.tar").write_bytes(damaged)
        try:
            assert bundle.verify(folder / "w.tar").images == made.images
        except StorageError:
            refused += 1
    assert refused > len(whole) // 97 // 2
    for length in (0, 1, 511, 512, 2000, len(whole) // 2, len(whole) - 11000):
        (folder / "w.tar").write_bytes(whole[:length])
        with pytest.raises(StorageError):
            bundle.verify(folder / "w.tar")


def write(path: Path, images: list[dict[str, Any]], files: list[tuple[str, bytes]], **more: Any) -> None:
    """A bundle as a stranger might make it."""
    listed = {"apiVersion": bundle.API_VERSION, "kind": bundle.KIND, "images": images, **more}
    with tarfile.open(path, "w") as archive:
        add(archive, "bundle.json", json.dumps(listed).encode(), 0o644)
        for name, data in files:
            add(archive, name, data, 0o644)


def entry(data: bytes, **more: Any) -> dict[str, Any]:
    plain = {"image": "a:1", "id": "x", "platform": "linux/amd64", "size": 1, "archive": "images/01.tar"}
    return {**plain, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}


GOOD = image_archive("a:1")
OTHER = image_archive("nginx:latest")
BOTH = image_archive("a:1", "nginx:latest")


@pytest.mark.parametrize(
    ("images", "files", "says"),
    [
        ([entry(OTHER)], [("images/01.tar", OTHER)], "brings something else"),
        ([entry(BOTH)], [("images/01.tar", BOTH)], "brings something else"),
        ([entry(b"no tar")], [("images/01.tar", b"no tar")], "brings something else"),
        ([entry(GOOD)], [], "not in it"),
        ([entry(GOOD)], [("images/01.tar", GOOD), ("../../etc/x", b"")], "does not belong"),
        ([entry(GOOD)], [("images/01.tar", GOOD), ("images/01.tar", GOOD)], "twice"),
        ([entry(GOOD), entry(GOOD, image="b:1")], [("images/01.tar", GOOD)], "the same archive"),
        ([entry(GOOD, archive="/etc/passwd")], [("/etc/passwd", GOOD)], "bundle.json"),
        ([entry(GOOD, image="a:1; rm")], [("images/01.tar", GOOD)], "bundle.json"),
        ([entry(GOOD, sha256="0" * 64)], [("images/01.tar", GOOD)], "changed or damaged"),
        ([entry(GOOD, bytes=5)], [("images/01.tar", GOOD)], "bytes"),
        ([entry(GOOD, extra=1)], [("images/01.tar", GOOD)], "bundle.json"),
    ],
)
def test_a_strangers_bundle_is_refused(
    folder: Path, images: list[dict[str, Any]], files: list[tuple[str, bytes]], says: str
) -> None:
    write(folder / "w.tar", images, files)
    with pytest.raises(StorageError, match=says):
        bundle.verify(folder / "w.tar")


def test_a_good_one_by_hand_is_taken(folder: Path) -> None:
    write(folder / "w.tar", [entry(GOOD)], [("images/01.tar", GOOD)])
    assert [item.image for item in bundle.verify(folder / "w.tar").images] == ["a:1"]


def test_a_link_in_the_place_of_an_archive(folder: Path) -> None:
    with tarfile.open(folder / "w.tar", "w") as archive:
        listed = {"apiVersion": bundle.API_VERSION, "kind": bundle.KIND, "images": [entry(GOOD)]}
        add(archive, "bundle.json", json.dumps(listed).encode(), 0o644)
        link = tarfile.TarInfo("images/01.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(StorageError, match="does not belong"):
        bundle.verify(folder / "w.tar")


def test_no_bundle_at_all(folder: Path) -> None:
    with pytest.raises(StorageError, match="there is no file"):
        bundle.verify(folder / "none.tar")
    (folder / "text").write_text("hello")
    with pytest.raises(StorageError, match="no whole bundle"):
        bundle.verify(folder / "text")
    os.mkfifo(folder / "pipe")
    for place in (folder / "pipe", folder):
        with pytest.raises(StorageError, match="is no plain file, as a bundle is"):
            bundle.verify(place)


# --- with an engine ---------------------------------------------------------------------------------------------------


@pytest.mark.docker
async def test_an_engine_has_it_again(docker: Docker, folder: Path) -> None:
    name = "kuartui-test-bundle:1"
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo here > /here\n")
    await docker.build(folder, name, {})
    made = await bundle.create(docker, [name], folder / "w.tar")
    await docker.ask(lambda client: client.api.remove_image(name))
    assert await docker.image(name) is None
    bundle.verify(folder / "w.tar")
    try:
        assert await bundle.load(docker, folder / "w.tar", made.images[0])
        image = await docker.image(name)
        assert image is not None
        assert image["Id"] == made.images[0].id
        assert (await docker.run(image, ("cat", "/here")))["output"] == "here\n"
        assert not await bundle.load(docker, folder / "w.tar", made.images[0])
    finally:
        await docker.ask(lambda client: client.api.remove_image(name))


@pytest.mark.docker
async def test_what_an_engine_refuses_is_said(docker: Docker, folder: Path) -> None:
    write(folder / "w.tar", [entry(GOOD, image="kuartui-test-none:1")], [("images/01.tar", GOOD)])
    taken = bundle.read(folder / "w.tar").images[0]
    with pytest.raises(ClusterError):
        await bundle.load(docker, folder / "w.tar", taken)
