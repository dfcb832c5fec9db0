"""Every image that a level may run is listed, with where it comes from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from kuartui.catalog.catalog import Catalog
from kuartui.catalog.images import bases_of, images_of, to_bring
from kuartui.cluster.addons import known, manifest
from kuartui.cluster.engine import BASE
from kuartui.cluster.pins import PLATFORMS, Image, lock_text, one_platform, read_lock, unpinned

LOCK = manifest("images.yaml")
SEEDS = 12


def test_every_image_of_every_level_is_listed_and_none_besides() -> None:
    catalog = Catalog.default()
    used = {
        image
        for name in catalog.names()
        for seed in range(SEEDS)
        for image in images_of(catalog.level(name, seed)) | bases_of(catalog.level(name, seed))
    }
    assert {"busybox:1.36", "kuartui/loadgen:1"} <= used
    addons = {image for addon in known() for image in addon.images}
    assert {*read_lock(LOCK)} == used | addons | {BASE}, (
        "add it to manifests/images.yaml, with its origin, or take it out there"
    )


def test_what_a_level_wants_missing_and_what_nobody_knows_is_not_brought() -> None:
    level = Catalog.default().level("image-typo-pull")
    assert to_bring(images_of(level), read_lock(LOCK)) == ["nginx:1.27-alpine"]
    assert to_bring(["example.com/unheard-of:1"], read_lock(LOCK)) == []


@pytest.mark.parametrize("digest", ["", "sha256:" + "0" * 64])
def test_the_list_is_written_as_it_is_read(tmp_path: Path, digest: str) -> None:
    place = tmp_path / "images.yaml"
    image = Image("b:1", "registry", digest, ("linux/amd64", "linux/arm64"), 'somebody\'s "list", 2026')
    place.write_text(lock_text([image, Image("a:1", "built")]))
    assert [*read_lock(place).values()] == [Image("a:1", "built"), image]
    assert read_lock(place)["b:1"].pinned == (f"b:1@{digest}" if digest else "b:1")


def test_every_image_of_a_registry_has_a_digest_and_says_where_it_was_seen() -> None:
    lock = read_lock(LOCK)
    assert unpinned(lock, lock) == []
    for name, item in lock.items():
        assert bool(item.digest) == bool(item.seen) == (item.origin == "registry"), name
        assert item.platforms == (PLATFORMS if item.origin == "registry" else ()), f"{name} is not for every machine"
    assert one_platform(lock, lock) == []
    whole = re.compile(r"sha256:[0-9a-f]{64}")
    assert all(whole.fullmatch(item.digest) for item in lock.values() if item.digest)


def test_what_is_not_held_to_a_digest() -> None:
    lock = {
        "a:1": Image("a:1", "registry", "sha256:" + "1" * 64),
        "b:1": Image("b:1", "registry"),
        "c:1": Image("c:1", "registry", "sha256:123"),
        "d:1": Image("d:1", "built"),
    }
    assert unpinned([*lock, "e:1"], lock) == ["b:1", "c:1", "e:1"]


def test_what_some_machines_could_not_run() -> None:
    digest = "sha256:" + "1" * 64
    lock = {
        "a:1": Image("a:1", "registry", digest, ("linux/amd64", "linux/arm64")),
        "b:1": Image("b:1", "registry", digest, ("linux/amd64",)),
        "c:1": Image("c:1", "registry", digest),
        "d:1": Image("d:1", "built"),
        "e:1": Image("e:1", "nowhere"),
    }
    assert one_platform([*lock, "f:1"], lock) == ["b:1", "c:1"]


def test_the_list_is_as_the_command_would_write_it() -> None:
    assert LOCK.read_text() == lock_text(read_lock(LOCK).values())


def test_add_ons_run_what_they_say() -> None:
    for addon in known():
        folder = manifest(f"addons/{addon.name}")
        objects = [obj for obj in yaml.safe_load_all((folder / f"{addon.name}.yaml").read_text()) if obj]
        deployments = {
            f"{o['metadata']['namespace']}/{o['metadata']['name']}": o for o in objects if o["kind"] == "Deployment"
        }
        assert {*addon.ready} == {*deployments}
        containers = [c for o in deployments.values() for c in o["spec"]["template"]["spec"]["containers"]]
        assert [c["image"] for c in containers] == [*addon.images]
        assert all(addon.version.split(",")[0] in image for image in addon.images)
