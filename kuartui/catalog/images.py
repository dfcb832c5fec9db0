"""Which container images levels use: those of their manifests and those that their own solutions, cheats and
configuration name. Where each comes from, and which digest it is held to, says `manifests/images.yaml` (cluster.pins).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kuartui.catalog.manifests import load
from kuartui.cluster.pins import Image
from kuartui.game.level import Level

#: in shell lines and in manifests within other texts; a name with a tag, and no pattern of sed or variable of a shell
NAMED = re.compile(r"(?:\bimage:\s*|--image[= ])\"?([a-z0-9][a-z0-9._/-]*(?::[0-9]+/[a-z0-9._/-]+)?:[A-Za-z0-9._-]+)")
DESCRIBED = "kuartui.dev/images"  # a label of ConfigMaps, see docs/levels.md
REPOSITORY = re.compile(r"^\s*repository:\s*\"?([a-z0-9][\w./:-]*)", re.MULTILINE)


def images_of(level: Level) -> frozenset[str]:
    """The images that a level, filled in for its seed, names anywhere. LevelError when its files are gone."""
    found: set[str] = set()
    for obj in _objects(level):
        found |= {*_run_by(obj), *_named_in(obj)}
    runs = [solution.run for solution in level.solutions] + [cheat.run for cheat in level.cheats]
    for line in (line for run in runs for line in run):
        found |= {*NAMED.findall(line)}
    return frozenset(found)


def described_by(level: Level) -> frozenset[str]:
    """The repositories of images that a level describes for the embedded cluster: its author's own."""
    found: set[str] = set()
    for obj in _objects(level):
        if obj.get("kind") == "ConfigMap" and (obj["metadata"].get("labels") or {}).get(DESCRIBED) == "true":
            found |= {name for text in (obj.get("data") or {}).values() for name in REPOSITORY.findall(str(text))}
    return frozenset(found)


def _objects(level: Level) -> Iterator[dict[str, Any]]:
    """Whatever the level applies, at any time."""
    groups = [stage.apply for stage in level.setup.all_stages()]
    groups += [event.apply for event in level.setup.events] + [drill.apply for drill in level.after]
    for names in groups:
        yield from load(Path(level.folder), names, level)


def bases_of(level: Level) -> frozenset[str]:
    """The images that a level on Docker builds on. No node of a cluster needs them."""
    return frozenset(base.name for base in level.setup.docker.bases) if level.setup.docker else frozenset()


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
