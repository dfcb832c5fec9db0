"""Images are what the list says they are: pulled by digest from a registry whose tags move, by a real Docker engine."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kuartui.cluster.engine import Engine
from kuartui.cluster.pins import Image, pins
from kuartui.containers.engine import Docker
from kuartui.errors import ClusterError
from kuartui.play.bundling import Wanted, insist, look, pull, welcome
from tests.cluster.server import serving
from tests.containers.registry import Registry

BOTH = ("linux/amd64", "linux/arm64")


@dataclass
class Shop:
    """A registry, an engine that can reach it, and the name of the one image that they talk about."""

    registry: Registry
    docker: Docker
    name: str

    @property
    def repository(self) -> str:
        return self.name.rpartition(":")[0]

    async def known(self) -> dict[str, Any] | None:
        return await self.docker.image(self.name)


@pytest.fixture
async def shop(docker: Docker) -> AsyncIterator[Shop]:
    registry = Registry()
    async with serving(registry.handle) as access:
        place = access.server.removeprefix("http://")
        registry.salt = f"{place} {time.time_ns()}"  # an engine keeps layers that it had before
        yield (found := Shop(registry, docker, f"{place}/bell:1"))
        for item in await docker.ask(lambda client: client.api.images()):
            if any(
                name.startswith(found.repository) for name in (item["RepoTags"] or []) + (item["RepoDigests"] or [])
            ):
                await docker.ask(lambda client, item=item: client.api.remove_image(item["Id"], force=True))


@pytest.mark.docker
async def test_a_tag_that_was_moved_meanwhile_does_not_matter(shop: Shop) -> None:
    first = shop.registry.push("1", "first", *BOTH)
    item = Image(shop.name, "registry", first)
    shop.registry.push("1", "second", *BOTH)
    engine = Engine()
    assert not await engine.has(item)
    await engine.bring(item)
    assert await engine.has(item)
    assert "1" not in shop.registry.asked
    image = await shop.known()
    assert image
    assert image["RepoDigests"] == [f"{shop.repository}@{first}"]  # of the index, whatever the platform

    await shop.docker.pull(shop.name)  # as a player would
    with pytest.raises(ClusterError, match="the tag was moved") as caught:
        await engine.has(item)
    assert first[:19] in caught.value.message
    assert f"kuartui image accept {shop.name}" in caught.value.hint
    assert await engine.has(replace(item, accepted=shop.registry.tags["1"]))

    await engine.bring(item)  # kuartui image pull
    assert await engine.has(item)


@pytest.mark.docker
async def test_the_same_through_the_sdk(shop: Shop) -> None:
    first = shop.registry.push("1", "first", *BOTH)
    item = Image(shop.name, "registry", first)
    shop.registry.push("1", "second", *BOTH)
    (wanted,) = await look(shop.docker, [item])
    assert (wanted.there, wanted.moved) == (False, False)
    await pull(shop.docker, wanted)
    (wanted,) = await look(shop.docker, [item])
    assert (wanted.there, wanted.moved) == (True, False)
    insist([wanted])

    await shop.docker.pull(shop.name)
    (wanted,) = await look(shop.docker, [item])
    assert wanted.moved
    with pytest.raises(ClusterError, match="the tag was moved"):
        insist([wanted])
    (wanted,) = await look(shop.docker, [replace(item, accepted=shop.registry.tags["1"])])
    assert not wanted.moved


@pytest.mark.docker
async def test_a_digest_that_is_gone_is_not_replaced_by_the_tag(shop: Shop) -> None:
    shop.registry.push("1", "first", *BOTH)
    absent = "sha256:" + hashlib.sha256(b"no such index").hexdigest()
    item = Image(shop.name, "registry", absent)
    said = f"pulling {shop.name} failed: the registry does not have {shop.repository}@{absent}"
    for bring in (Engine().bring(item), pull(shop.docker, Wanted(item, False, None))):
        with pytest.raises(ClusterError) as caught:
            await bring
        assert caught.value.message == said
        assert caught.value.hint.startswith(f"docker pull {shop.name}, then kuartui image accept {shop.name}: ")
    assert await shop.known() is None
    assert set(shop.registry.asked) == {absent}

    accepted = replace(item, accepted=shop.registry.tags["1"])  # a player who wants it all the same
    await Engine().bring(accepted)
    assert await Engine().has(accepted)


@pytest.mark.docker
async def test_an_image_for_other_machines_only(shop: Shop) -> None:
    item = Image(shop.name, "registry", shop.registry.push("1", "far", "linux/mips64le"))
    for bring in (Engine().bring(item), pull(shop.docker, Wanted(item, False, None))):
        with pytest.raises(ClusterError, match="there is no such image for the platform of this machine") as caught:
            await bring
        assert caught.value.hint
    assert await shop.known() is None


@pytest.mark.docker
async def test_a_registry_that_hands_out_something_else_is_not_believed(shop: Shop) -> None:
    item = Image(shop.name, "registry", shop.registry.push("1", "first", *BOTH))
    forged = json.loads(shop.registry.blobs[item.digest])
    forged["manifests"] = forged["manifests"][::-1]
    shop.registry.blobs[item.digest] = json.dumps(forged).encode()
    for bring in (Engine().bring(item), pull(shop.docker, Wanted(item, False, None))):
        with pytest.raises(ClusterError):
            await bring
    assert await shop.known() is None


@pytest.mark.docker
async def test_a_layer_that_does_not_come_is_told(shop: Shop) -> None:
    """Docker answers 200 first, and tells of this at the end: the SDK passes over it."""
    item = Image(shop.name, "registry", shop.registry.push("1", "first", *BOTH))
    for digest in [name for name, kind in shop.registry.types.items() if "layer" in kind]:
        del shop.registry.blobs[digest]
    for bring in (Engine().bring(item), pull(shop.docker, Wanted(item, False, None))):
        with pytest.raises(ClusterError):
            await bring
    assert await shop.known() is None


class Loaded(Docker):
    """An engine that has each image, by this digest."""

    digest = ""

    async def image(self, name: str) -> dict[str, Any] | None:
        return {"RepoDigests": [f"{name.partition(':')[0]}@{self.digest}"], "Size": 1}


async def test_an_image_of_a_bundle_is_taken_for_what_it_is() -> None:
    """The containerd image store knows it by the digest of the one platform that was in the archive."""
    docker = Loaded("unix:///nowhere")
    for digit in "ab":
        docker.digest = "sha256:" + digit * 64
        (wanted,) = await look(docker, pins(["busybox:1.36"]))
        assert wanted.moved
        await welcome(docker, "busybox:1.36")
        (wanted,) = await look(docker, pins(["busybox:1.36"]))
        assert not wanted.moved


@pytest.mark.docker
async def test_what_was_loaded_from_a_file_has_no_digest_and_is_taken(shop: Shop, tmp_path: Any) -> None:
    item = Image(shop.name, "registry", shop.registry.push("1", "first", *BOTH))
    engine = Engine()
    await engine.bring(item)
    await engine.save([item.image], tmp_path / "image.tar")
    await shop.docker.ask(lambda client: client.api.remove_image(shop.name, force=True))
    image = await shop.docker.image(f"{shop.repository}@{item.digest}")
    if image is not None:
        await shop.docker.ask(lambda client: client.api.remove_image(image["Id"], force=True))
    with (tmp_path / "image.tar").open("rb") as archive:
        await shop.docker.ask(lambda client: client.api.load_image(archive))
    known = await shop.known()
    assert known
    assert not known["RepoDigests"] or known["RepoDigests"] == [f"{shop.repository}@{item.digest}"]
    assert await engine.has(item)
