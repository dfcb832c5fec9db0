"""Which images a workshop needs, which of them are there, and what pulling the others would take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kuartui.catalog.images import Image, images_of, read_lock, to_bring
from kuartui.cluster.addons import manifest
from kuartui.cluster.base import Progress, Report, silent
from kuartui.cluster.engine import Engine
from kuartui.containers.engine import Docker
from kuartui.errors import ClusterError
from kuartui.game.level import BaseImage, Level
from kuartui.message import later
from kuartui.play.setup import PROBE_IMAGE, needs_probe


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that levels use. `size` in bytes: of the image where it is there, else what is to be pulled, None when
    nobody says."""

    image: str
    digest: str  # "sha256:…" by which it is pulled; "" when only its tag is known
    there: bool
    size: int | None
    built: bool = False  # no registry has it

    @property
    def source(self) -> str:
        """What to pull: by digest where one is known."""
        return f"{self.image.rpartition(':')[0]}@{self.digest}" if self.digest else self.image


def images_for(levels: Iterable[Level], *, everything: bool = False) -> list[Image]:
    """The images of these levels, whatever plays them: a real cluster or a Docker engine. With `everything` also those
    of add-ons, and all that the list names."""
    lock = read_lock(manifest("images.yaml"))
    named: set[str] = {*lock} if everything else set()
    bases: dict[str, BaseImage] = {}
    for level in levels:
        named |= images_of(level)
        if needs_probe(level):
            named.add(PROBE_IMAGE)
        bases |= {base.name: base for base in (level.setup.docker.bases if level.setup.docker else ())}
    found = {name: lock[name] for name in to_bring(named, lock)}
    found |= {name: Image(name, "registry", base.digest) for name, base in bases.items()}
    return [found[name] for name in sorted(found)]


async def look(docker: Docker, images: Sequence[Image], *, ask_registries: bool = True) -> list[Wanted]:
    """What the engine has of them, and how big the others are by their registries, if those are to be asked."""
    registry = Engine()

    async def one(item: Image) -> Wanted:
        there = await docker.image(item.image)
        built = item.origin == "built"
        if there is not None:
            return Wanted(item.image, item.digest, True, int(there["Size"]), built)
        missing = Wanted(item.image, item.digest, False, None, built)
        size = None if built or not ask_registries else await registry.remote_size(missing.source)
        return Wanted(item.image, item.digest, False, size, built)

    return await asyncio.gather(*(one(item) for item in images))


async def pull(docker: Docker, wanted: Wanted, report: Report = silent) -> None:
    """Pull an image, by its digest where one is known, and give it its name; build one of kuartui's own. ClusterError
    when it does not come."""
    if wanted.built:
        await Engine().build(wanted.image, report)
        return
    report(Progress(later("pulling {source}", source=wanted.source)))
    repository, _, tag = wanted.image.rpartition(":")
    if wanted.digest:
        await docker.ask(lambda client: client.api.pull(wanted.source))
        await docker.ask(lambda client: client.api.tag(wanted.source, repository, tag))
    else:
        await docker.ask(lambda client: client.api.pull(repository, tag=tag))
    if await docker.image(wanted.image) is None:
        raise ClusterError(
            later("{source} was pulled, but the engine has no {image} now", source=wanted.source, image=wanted.image)
        )
