"""kuartui's own demo images: one static binary each, on nothing."""

from __future__ import annotations

from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.demo_checkout import checkout
from kuartui.embedded.images.programs.demo_loadgen import loadgen
from kuartui.embedded.images.programs.demo_pruner import pruner
from kuartui.embedded.images.reference import Reference

PROGRAMS = {"checkout": checkout, "loadgen": loadgen, "pruner": pruner}


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    name = reference.repository.rpartition("/")[2]
    if reference.tag != "1" or name not in PROGRAMS:
        return None
    config = ImageConfig(entrypoint=(f"/{name}",), user="65532:65532", ports=(8080,))
    programs = {f"/{name}": PROGRAMS[name]}
    return Image(reference.repository, "1", config, {}, programs, size=6_400_000, memory=8 << 20)
