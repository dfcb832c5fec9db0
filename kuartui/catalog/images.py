"""Which container images levels use, and the list that pins them: `manifests/images.yaml`.

A level's images are those of its manifests and those that its own solutions, cheats and configuration name. The list
says of each where it comes from, and holds its digest once an engine was asked for it (`kuartui image lock`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from kuartui.catalog.manifests import load
from kuartui.game.level import Level

Origin = Literal["registry", "built", "nowhere"]

#: in shell lines and in manifests within other texts; a name with a tag, and no pattern of sed or variable of a shell
NAMED = re.compile(r"(?:\bimage:\s*|--image[= ])\"?([a-z0-9][a-z0-9._/-]*(?::[0-9]+/[a-z0-9._/-]+)?:[A-Za-z0-9._-]+)")
HEAD = """\
# Every container image that a level, an add-on or kuartui itself runs on a real cluster. `origin` is `registry`,
# `built` (a demo program of kuartui's, manifests/images/) or `nowhere` (a level wants it not to be there). `digest` is
# that of the index for all platforms, as an engine got it from the registry; `kuartui image lock` fills it in.
"""


@dataclass(frozen=True, slots=True)
class Image:
    """One entry; `digest` is `sha256:…` or ""."""

    image: str
    origin: Origin
    digest: str = ""

    @property
    def pinned(self) -> str:
        """busybox:1.36@sha256:…, as far as the digest is known."""
        return f"{self.image}@{self.digest}" if self.digest else self.image


@dataclass(frozen=True, slots=True)
class _File:
    images: tuple[Image, ...]


def images_of(level: Level) -> frozenset[str]:
    """The images that a level, filled in for its seed, names anywhere. LevelError when its files are gone."""
    setup = level.setup
    groups = [stage.apply for stage in setup.all_stages()]
    groups += [event.apply for event in setup.events] + [drill.apply for drill in level.after]
    found: set[str] = set()
    for names in groups:
        for obj in load(Path(level.folder), names, level):
            found |= {*_run_by(obj), *_named_in(obj)}
    runs = [solution.run for solution in level.solutions] + [cheat.run for cheat in level.cheats]
    for line in (line for run in runs for line in run):
        found |= {*NAMED.findall(line)}
    return frozenset(found)


def read_lock(path: Path) -> dict[str, Image]:
    """The list, by name of the image."""
    return {entry.image: entry for entry in msgspec.yaml.decode(path.read_bytes(), type=_File).images}


def lock_text(entries: Iterable[Image]) -> str:
    """The file with these entries, in order of their names."""
    lines = [
        f'  - {{image: {entry.image}, origin: {entry.origin}, digest: "{entry.digest}"}}'
        for entry in sorted(entries, key=lambda entry: entry.image)
    ]
    return HEAD + "images:\n" + "\n".join(lines) + "\n"


def to_bring(images: Iterable[str], lock: Mapping[str, Image]) -> list[str]:
    """Those that nodes of a real cluster need: what a level wants not to be there is left out, and so is what the list
    does not know, because nobody has looked where it comes from."""
    return sorted(image for image in images if image in lock and lock[image].origin != "nowhere")


def _run_by(value: Any) -> Iterator[str]:
    """Images of containers, wherever they are in an object."""
    if isinstance(value, dict):
        image = value.get("image")
        if isinstance(image, str) and isinstance(value.get("name"), str):
            yield image
        for item in value.values():
            yield from _run_by(item)
    elif isinstance(value, list):
        for item in value:
            yield from _run_by(item)


def _named_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from NAMED.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _named_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _named_in(item)
