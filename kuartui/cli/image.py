"""`kuartui image`: the container images that levels run on real clusters, and the digests that they are held to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Annotated

from kuartui.cli import output
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Argument, Option
from kuartui.cli.run import Noun, command, wait
from kuartui.message import later
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from pathlib import Path

    from kuartui.cluster.engine import Engine as Program
    from kuartui.cluster.pins import Image

app = Noun(help="The container images that levels run on real clusters.")
SEEDS = 12  # as many as the longest list of alternatives in a level
Engine = Annotated[str, Option("--engine", help="docker or podman.")]
Names = Annotated[list[str], Argument(metavar="IMAGE...", help="As in `kuartui image list`: busybox:1.36.")]


@command(app, "list")
def list_images(out: Output = Format.text) -> None:
    """List them: where each comes from, its digest, and how many levels use it."""
    from collections import Counter

    lock = listed()[1]
    used = Counter(image for images in by_level().values() for image in images)
    if out is Format.json:
        output.data(
            [
                {
                    "image": item.image,
                    "origin": item.origin,
                    "digest": item.digest,
                    "accepted": item.accepted,
                    "platforms": item.platforms,
                    "seen": item.seen,
                    "levels": used[item.image],
                }
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
    from kuartui.cluster.pins import PLATFORMS, lock_text, one_platform, unpinned
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
    open_ones = [name for name in unpinned(entries, entries) if name not in changed]
    if open_ones:
        output.note(
            tr("no digest yet, {engine} does not have them: {names}", engine=engine, names=", ".join(open_ones))
        )
    if check:
        if unpinned(entries, entries):
            names = ", ".join(unpinned(entries, entries))
            hint = later("docker pull them, then kuartui image lock")
            raise ClusterError(later("{place} holds to no digest: {names}", place=place.name, names=names), hint=hint)
        if few := one_platform(entries, entries):
            text = later(
                "not for {platforms}, as far as {place} knows: {names}",
                platforms=", ".join(PLATFORMS),
                place=place.name,
                names=", ".join(few),
            )
            raise ClusterError(text, hint=later("take images that are there for both"))
        moved = [name for name in changed if entries[name].digest]
        if moved:
            hint = later("look at what changed, then kuartui image lock")
            raise ClusterError(later("the tag was moved: {moved}", moved=", ".join(moved)), hint=hint)
        output.line(trn("{n} image is listed", "{n} images are listed", len(entries)))
        return
    seen = f"as {engine} got it from the registry, {date.today():%Y-%m-%d}"
    now = {**entries}
    for name, digest in changed.items():
        item = replace(entries[name], digest=digest, seen=seen)
        there = wait(lambda item=item: program(engine).platforms(item.source))  # type: ignore[misc]
        now[name] = replace(item, platforms=tuple(one for one in PLATFORMS if one in there))
    try:
        place.write_text(lock_text(now.values()))
    except OSError as error:
        raise unwritable(place, error) from error
    output.line(trn("{n} digest was filled in", "{n} digests were filled in", len(changed)))


@command(app, "pull")
def pull(names: Names, engine: Engine = "docker") -> None:
    """Pull images by their digests, and give them their tags: whatever has those tags on your engine loses them."""
    from kuartui.cli.bar import nth, steps
    from kuartui.cluster.pins import accept

    picked = pick(names)
    with steps() as shown:
        for number, item in enumerate(picked, 1):
            told = nth(shown, number, len(picked))
            wait(lambda item=item, told=told: program(engine).bring(replace(item, accepted=""), told))  # type: ignore[misc]
            accept(item.image, "")
            output.line(f"{item.image}: {item.digest}")


@command(app, "accept")
def take(names: Names, engine: Engine = "docker") -> None:
    """Take what your engine has by these tags, though it is not what levels were proven with: where a registry no
    longer has a digest, or a mirror has other ones. `kuartui image pull` takes that back."""
    from kuartui.cluster.pins import accept, digests_of
    from kuartui.errors import MissingError

    for item in pick(names):
        if wait(lambda item=item: program(engine).size(item.image)) is None:  # type: ignore[misc]
            text = later("your {engine} has no image {image}", engine=engine, image=item.image)
            raise MissingError(text, hint=f"{engine} pull {item.image}")
        known = wait(lambda item=item: program(engine).digests(item.image))  # type: ignore[misc]
        found = sorted(digests_of(item.image, known))
        if not found:
            output.line(tr("{image} was loaded or built here: it is taken as it is", image=item.image))
        elif item.digest in found:
            accept(item.image, "")
            output.line(tr("{image} is the pinned one", image=item.image))
        else:
            accept(item.image, found[0])
            output.line(tr("{image}: {digest} is taken for it", image=item.image, digest=found[0]))


@command(app, "nodes")
def nodes(
    cluster: Annotated[str, Option("--cluster", help="kind, minikube or context:NAME.")] = "kind",
    out: Output = Format.text,
) -> None:
    """Look at what the nodes of a cluster have of them, and whether it is the pinned one. A cluster behind a context
    pulls its own, by their tags."""
    from kuartui.cluster.pins import pins
    from kuartui.cluster.select import choose
    from kuartui.cluster.shared import SharedCluster
    from kuartui.errors import UsageError

    place = choose(cluster, "kuartui")
    if not isinstance(place, SharedCluster):
        raise UsageError(later("the embedded cluster runs no images: it has programs that behave like them"))
    lines = wait(lambda: place.images(pins(listed()[1])))
    if out is Format.json:
        output.data([{"node": node, "image": image, "held": held} for node, image, held in lines])
        return
    words = {"pinned": tr("as pinned"), "moved": tr("another one"), "unknown": tr("loaded, without a digest")}
    output.table([later("NODE"), later("IMAGE"), later("DIGEST")], ((n, i, words[h]) for n, i, h in lines))


def pick(names: list[str]) -> list[Image]:
    """Those of the list. UnknownName for one that is not of a registry."""
    from kuartui.cluster.pins import pins
    from kuartui.errors import UnknownName

    known = [name for name, item in listed()[1].items() if item.origin == "registry"]
    for name in names:
        if name not in known:
            raise UnknownName(later("image"), name, known)
    return pins(names)


def program(name: str) -> Program:
    """The engine's command line. UsageError for another program."""
    from kuartui.cluster.engine import Engine as Program
    from kuartui.errors import UsageError

    if name not in ("docker", "podman"):
        raise UsageError(later("--engine is docker or podman, not {name!r}", name=name))
    return Program(name)


def listed() -> tuple[Path, dict[str, Image]]:
    """The list and where it is, with what the player accepted."""
    from kuartui.cluster.addons import manifest
    from kuartui.cluster.pins import accepted, read_lock, with_accepted

    place = manifest("images.yaml")
    return place, {name: with_accepted(item, accepted()) for name, item in read_lock(place).items()}


def by_level() -> dict[str, set[str]]:
    """The images of each shipped level, whatever its seed."""
    from kuartui.catalog.catalog import SHIPPED, Catalog
    from kuartui.catalog.images import bases_of, images_of

    catalog = Catalog.default()
    names = [name for name in catalog.names() if catalog.owner(name) == SHIPPED]
    levels = {name: [catalog.level(name, seed) for seed in range(SEEDS)] for name in names}
    return {name: {image for one in some for image in images_of(one) | bases_of(one)} for name, some in levels.items()}


async def digest_of(item: Image, engine: str) -> str:
    """What the engine says, which may know several; "" when it does not have the image. Raises when it cannot be
    asked."""
    from kuartui.cluster.pins import digests_of

    asked = program(engine)
    if item.origin != "registry" or await asked.size(item.image) is None:
        return ""
    found = digests_of(item.image, await asked.digests(item.image))
    return item.digest if item.digest in found else next(iter(sorted(found)), "")
