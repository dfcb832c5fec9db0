"""Which images a workshop needs, which of them are there, and what pulling the others would take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kuartui.catalog.images import bases_of, images_of, to_bring
from kuartui.cluster.addons import manifest
from kuartui.cluster.base import Progress, Report, silent
from kuartui.cluster.engine import GONE, Engine, accept_hint, another, gone
from kuartui.cluster.pins import Image, accept, accepted, digests_of, pins, read_lock, with_accepted
from kuartui.containers.engine import Docker
from kuartui.errors import ClusterError
from kuartui.game.level import Level
from kuartui.message import later
from kuartui.play.setup import PROBE_IMAGE, needs_probe


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that levels use. `size` in bytes: of the image where it is there, else what is to be pulled, None when
    nobody says. `names` are those with digests that the engine knows it by."""

    item: Image
    there: bool
    size: int | None
    names: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        """By its tag."""
        return self.item.image

    @property
    def built(self) -> bool:
        """No registry has it."""
        return self.item.origin == "built"

    @property
    def moved(self) -> bool:
        """What is there by that tag is another image than is pinned."""
        return self.there and self.item.held(self.names) == "moved"


def images_for(levels: Iterable[Level], *, everything: bool = False) -> list[Image]:
    """The images of these levels, whatever plays them: a real cluster or a Docker engine. With `everything` also those
    of add-ons, and all that the list names."""
    lock, taken = read_lock(manifest("images.yaml")), accepted()
    named: set[str] = {*lock} if everything else set()
    for level in levels:
        named |= images_of(level) | bases_of(level)
        if needs_probe(level):
            named.add(PROBE_IMAGE)
        for base in level.setup.docker.bases if level.setup.docker else ():
            lock.setdefault(base.name, Image(base.name, "registry", base.digest))  # of a pack
    return [with_accepted(lock[name], taken) for name in to_bring(named, lock)]


async def look(docker: Docker, images: Sequence[Image], *, ask_registries: bool = True) -> list[Wanted]:
    """What the engine has of them, and how big the others are by their registries, if those are to be asked."""
    registry = Engine()

    async def one(item: Image) -> Wanted:
        there = await docker.image(item.image)
        if there is not None:
            return Wanted(item, True, int(there["Size"]), tuple(there.get("RepoDigests") or ()))
        ask = ask_registries and item.origin != "built"
        return Wanted(item, False, await registry.remote_size(item.source) if ask else None)

    return await asyncio.gather(*(one(item) for item in images))


def insist(wanted: Iterable[Wanted]) -> None:
    """ClusterError when the engine has another image by the tag of one that is pinned."""
    for one in wanted:
        if one.moved:
            raise another(one.item, digests_of(one.image, one.names), "docker")


async def welcome(docker: Docker, image: str) -> None:
    """Take an image that was just loaded from a bundle for what it is. Docker's containerd image store gives it a
    digest of its own: that of the one platform that is in the archive."""
    (item,) = pins([image])
    there = await docker.image(image) or {}
    names = there.get("RepoDigests") or []
    if item.held(names) == "moved":
        accept(image, sorted(digests_of(image, names))[0])


async def pull(docker: Docker, wanted: Wanted, report: Report = silent) -> None:
    """Pull an image, by its digest where one is known, and give it its name; build one of kuartui's own. ClusterError
    when it does not come."""
    if wanted.built:
        await Engine().build(wanted.image, report)
        return
    item = wanted.item
    report(Progress(later("pulling {source}", source=item.source)))
    try:
        await docker.pull(item.source)
    except ClusterError as error:
        if GONE.search(str(error.__cause__ or "")) and item.source != item.image:
            what = later("pulling {image}", image=item.image)
            cause = later("{what} failed: {cause}", what=what, cause=gone(item))
            raise ClusterError(cause, hint=accept_hint(item, "docker")) from error
        raise
    if item.source != item.image:
        repository, _, tag = item.image.rpartition(":")
        await docker.ask(lambda client: client.api.tag(item.source, repository, tag))
