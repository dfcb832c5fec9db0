"""`kuartui bundle`: the images that levels use, pulled beforehand, or in one file for a room without Internet."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from kuartui.cli import output, report
from kuartui.cli.bar import bar, nth, steps
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Argument, Option
from kuartui.cli.run import Noun, command, wait
from kuartui.cluster.base import Progress
from kuartui.errors import MissingError, UsageError
from kuartui.message import later
from kuartui.prose import padded
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from kuartui.cluster.base import Report
    from kuartui.cluster.pins import Image
    from kuartui.containers.bundle import Bundle, Entry, Turn
    from kuartui.containers.engine import Docker
    from kuartui.play.bundling import Wanted

app = Noun(help="The images that levels use: pull them, or carry them in one file.")
SEEDS = 12  # as many as the longest list of alternatives in a level
File = Annotated[Path, Argument(metavar="FILE", help="The bundle, such as workshop.tar.")]
Levels = Annotated[list[str] | None, Argument(metavar="[LEVEL]...", help="Only what these levels use.")]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask before something is pulled.")]


@command(app, "create")
def create(
    file: File,
    levels: Levels = None,
    yes: Yes = False,
    present: Annotated[bool, Option("--present", help="Pull nothing; leave out what the engine lacks.")] = False,
    out: Output = Format.text,
) -> None:
    """Write a bundle of all images that levels use."""
    from kuartui.containers import bundle as bundles
    from kuartui.containers.engine import Docker
    from kuartui.play.bundling import insist

    async def run() -> tuple[Bundle, list[str]]:
        docker = Docker()
        try:
            wanted = await gather(docker, levels or [], out, ask_registries=not present)
            insist(wanted)
            missing = [item for item in wanted if not item.there]
            left = [item.image for item in missing if present]
            if not present:
                await fetch(docker, missing, yes)
            images = [item.image for item in wanted if item.image not in left]
            if not images:
                raise MissingError(
                    later("there is nothing to put into a bundle"), hint="kuartui bundle create without --present"
                )
            with bar(True) as shown:
                return await bundles.create(docker, images, file, _saving(shown)), left
        finally:
            docker.close()

    made, left = wait(run)
    if left:
        output.note(tr("left out, the engine does not have them: {names}", names=", ".join(left)))
    tell(made, file, out)


@command(app, "pull")
def pull(levels: Levels = None, yes: Yes = False) -> None:
    """Pull the images that levels use; their sizes are shown, and you are asked, before anything is pulled."""
    from kuartui.containers.engine import Docker
    from kuartui.play.bundling import insist

    async def run() -> None:
        docker = Docker()
        try:
            wanted = await gather(docker, levels or [], Format.text)
            insist(wanted)
            await fetch(docker, [item for item in wanted if not item.there], yes)
        finally:
            docker.close()

    wait(run)
    output.line(tr("the Docker engine has them"))


@command(app, "verify")
def verify(file: File, out: Output = Format.text) -> None:
    """Check every byte of a bundle."""
    from kuartui.containers import bundle as bundles

    with bar(True) as shown:
        checked = bundles.verify(file, _checking(shown))
    tell(checked, file, out)


def _saving(shown: Report) -> Turn:
    return lambda image, number, of: shown(Progress(later("saving {image}", image=image), number - 1, of))


def _checking(shown: Report) -> Turn:
    return lambda image, number, of: shown(Progress(later("checking {image}", image=image), number - 1, of))


@command(app, "load")
def load(
    file: File,
    into: Annotated[str, Option("--into", help="docker, kind, or both: docker,kind.")] = "docker",
) -> None:
    """Check a bundle, then give its images to Docker or to kuartui's kind cluster."""
    from kuartui.containers import bundle as bundles

    places = [place.strip() for place in into.split(",")]
    if not places or any(place not in ("docker", "kind") for place in places):
        raise UsageError(
            later("cannot load into {into!r}", into=into), hint=later("--into docker, kind, or docker,kind")
        )
    with bar(True) as shown:
        checked = bundles.verify(file, _checking(shown))
    if "docker" in places:
        wait(lambda: load_into_docker(file, checked.images))
    if "kind" in places:
        wait(lambda: load_into_kind(file, checked.images))


async def load_into_docker(file: Path, images: tuple[Entry, ...]) -> None:
    """What the engine has by that name stays as it is, and is said so."""
    from kuartui.containers import bundle as bundles
    from kuartui.containers.engine import Docker
    from kuartui.play.bundling import welcome

    docker = Docker()
    try:
        with bar(True) as shown:
            for number, entry in enumerate(images):
                shown(Progress(later("loading {image}", image=entry.image), number, len(images)))
                loaded = await bundles.load(docker, file, entry)
                if loaded:
                    await welcome(docker, entry.image)
                said = tr("loaded") if loaded else tr("Docker has an image of that name; it stays")
                output.line(f"{entry.image}: {said}")
    finally:
        docker.close()


async def load_into_kind(file: Path, images: tuple[Entry, ...]) -> None:
    """Through `kind load image-archive`, one after the other, so that the disk need hold only one twice."""
    from kuartui.cluster.kind import KindCluster
    from kuartui.containers import bundle as bundles

    cluster = KindCluster("kuartui")
    with tempfile.TemporaryDirectory(prefix="kuartui-bundle-") as place, steps() as shown:
        for number, entry in enumerate(images, 1):
            archive = Path(place) / "image.tar"
            bundles.extract(file, entry, archive)
            await cluster.load(archive, nth(shown, number, len(images)))
            output.line(f"{entry.image}: {tr('loaded into kind')}")


async def gather(docker: Docker, levels: list[str], out: Format, *, ask_registries: bool = True) -> list[Wanted]:
    """The images and their sizes, shown."""
    from kuartui.cluster.engine import size_text
    from kuartui.play.bundling import look

    await docker.version()
    wanted = await look(docker, images(levels), ask_registries=ask_registries)
    if out is Format.text:
        for item in wanted:
            output.line(f"{padded(item.image, 60)} {padded(state_of(item), 13)} {size_text(item.size)}")
    return wanted


def state_of(item: Wanted) -> str:
    """In two words."""
    if item.moved:
        return tr("another one")
    return tr("there") if item.there else tr("to be built") if item.built else tr("not there")


async def fetch(docker: Docker, missing: list[Wanted], yes: bool) -> None:
    """Pull what is missing, or build it where it is kuartui's own, after the question."""
    from kuartui.cluster.engine import size_text
    from kuartui.play.bundling import pull as pull_one

    if not missing:
        return
    pulled = [item for item in missing if not item.built]
    total = sum(item.size or 0 for item in pulled)
    unknown = sum(item.size is None for item in pulled)
    sizes = [size_text(total)] if total else []
    sizes += [trn("{n} of unknown size", "{n} of unknown size", unknown)] if unknown else []
    built = len(missing) - len(pulled)
    question = later(
        "images to be pulled: {pulled}{sizes}; to be built: {built}",
        pulled=len(pulled),
        sizes=f" ({', '.join(sizes)})" if sizes else "",
        built=built,
    )
    if not yes and not report.asks():
        raise UsageError(question, hint=later("say --yes, or --present to do with what is there"))
    if not yes:
        click.confirm(tr("{question}. Go on?", question=question), abort=True, err=True)
    with steps() as shown:
        for number, item in enumerate(missing, 1):
            await pull_one(docker, item, nth(shown, number, len(missing)))


def images(levels: list[str]) -> list[Image]:
    """Those of some levels, or all that there are."""
    from kuartui.catalog.catalog import Catalog
    from kuartui.cli.level import open_level
    from kuartui.play.bundling import images_for

    names = levels or Catalog.default().names()
    found = [open_level(name, seed) for name in names for seed in range(SEEDS)]
    return images_for(found, everything=not levels)


def tell(bundle: Bundle, file: Path, out: Format) -> None:
    from kuartui.cluster.engine import size_text

    if out is Format.json:
        fields = ("image", "id", "digests", "platform", "size", "bytes", "sha256")
        listed = [{field: getattr(entry, field) for field in fields} for entry in bundle.images]
        output.data({"file": str(file), "digest": bundle.digest, "images": listed})
        return
    output.table(
        [later("IMAGE"), later("PLATFORM"), later("SIZE"), "SHA-256"],
        ([item.image, item.platform, size_text(item.size), item.sha256[:16]] for item in bundle.images),
    )
    images = trn("{n} image", "{n} images", len(bundle.images))
    output.line(f"{file}: {images}, {size_text(bundle.size)}, {bundle.digest}")
