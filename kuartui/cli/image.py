"""`kuartui image`: the container images that levels run on real clusters, and their digests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from kuartui.cli import output
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Option
from kuartui.cli.run import Noun, command, wait
from kuartui.message import later
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from pathlib import Path

    from kuartui.catalog.images import Image

app = Noun(help="The container images that levels run on real clusters.")
SEEDS = 12  # as many as the longest list of alternatives in a level
Engine = Annotated[str, Option("--engine", help="docker or podman.")]


@command(app, "list")
def list_images(out: Output = Format.text) -> None:
    """List them: where each comes from, its digest, and how many levels use it."""
    from collections import Counter

    lock = listed()[1]
    used = Counter(image for images in by_level().values() for image in images)
    if out is Format.json:
        output.data(
            [
                {"image": item.image, "origin": item.origin, "digest": item.digest, "levels": used[item.image]}
                for item in lock.values()
            ]
        )
        return
    output.table(
        [later("IMAGE"), later("ORIGIN"), later("LEVELS"), later("DIGEST")],
        ([item.image, item.origin, used[item.image], item.digest or "-"] for item in lock.values()),
    )


@command(app, "lock")
def lock(
    check: Annotated[
        bool, Option("--check", help="Change nothing; fail when the list is not as it should be.")
    ] = False,
    engine: Engine = "docker",
) -> None:
    """Fill in the digests of images that the engine has, after `docker pull`. With --check: hold the list against the
    levels and, where the engine knows better, against its digests."""
    from kuartui.catalog.images import lock_text
    from kuartui.errors import ClusterError
    from kuartui.paths import unwritable

    place, entries = listed()
    unknown = sorted({image for images in by_level().values() for image in images} - entries.keys())
    if unknown:
        raise ClusterError(
            later("{name} does not list {unknown}", name=place.name, unknown=", ".join(unknown)),
            hint=later("add it, with its origin"),
        )
    asked = {name: wait(lambda item=item: digest_of(item, engine)) for name, item in entries.items()}  # type: ignore[misc]
    changed = {name: digest for name, digest in asked.items() if digest and digest != entries[name].digest}
    for name, digest in changed.items():
        output.line(f"{name}: {entries[name].digest or tr('no digest')} -> {digest}")
    wanting = {name for name, item in entries.items() if item.origin == "registry" and not item.digest}
    open_ones = sorted(wanting - changed.keys())
    if open_ones:
        output.note(
            tr("no digest yet, {engine} does not have them: {names}", engine=engine, names=", ".join(open_ones))
        )
    if check:
        moved = [name for name in changed if entries[name].digest]
        if moved:
            hint = later("look at what changed, then kuartui image lock")
            raise ClusterError(later("the tag was moved: {moved}", moved=", ".join(moved)), hint=hint)
        output.line(trn("{n} image is listed", "{n} images are listed", len(entries)))
        return
    now = [replace(item, digest=changed.get(name, item.digest)) for name, item in entries.items()]
    try:
        place.write_text(lock_text(now))
    except OSError as error:
        raise unwritable(place, error) from error
    output.line(trn("{n} digest was filled in", "{n} digests were filled in", len(changed)))


def listed() -> tuple[Path, dict[str, Image]]:
    """The list and where it is."""
    from kuartui.catalog.images import read_lock
    from kuartui.cluster.addons import manifest

    place = manifest("images.yaml")
    return place, read_lock(place)


def by_level() -> dict[str, set[str]]:
    """The images of each shipped level, whatever its seed."""
    from kuartui.catalog.catalog import SHIPPED, Catalog
    from kuartui.catalog.images import images_of

    catalog = Catalog.default()
    names = [name for name in catalog.names() if catalog.owner(name) == SHIPPED]
    return {name: {image for seed in range(SEEDS) for image in images_of(catalog.level(name, seed))} for name in names}


async def digest_of(item: Image, engine: str) -> str:
    """What the engine says; "" when it does not have the image. Raises when it cannot be asked."""
    from kuartui.cluster.engine import Engine

    if item.origin != "registry":
        return ""
    asked = Engine(engine)
    return await asked.digest(item.image) if await asked.size(item.image) is not None else ""
