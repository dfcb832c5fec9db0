"""kuard. Its image has CMD, not ENTRYPOINT, and a user without a number: both matter to players."""

from __future__ import annotations

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import userland
from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.kuard import kuard
from kuartui.embedded.images.reference import Reference

COLOURS = {"blue": "blue", "green": "green", "purple": "purple", "1": "blue", "2": "green", "3": "purple",
           "v0.10.0-blue": "blue", "v0.10.0-green": "green", "v0.10.0-purple": "purple"}  # fmt: skip


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    colour = COLOURS.get(reference.tag)
    if reference.digest and not reference.tag:
        for tag in ("blue", "green", "purple"):
            image = find(Reference(reference.registry, reference.path, tag))
            if image is not None and image.digest == reference.digest:
                return image
        return None
    if colour is None:
        return None
    programs, direct, commands, shells = userland("alpine")
    return Image(
        reference.repository,
        reference.tag,
        ImageConfig(cmd=("/kuard",), user="nobody:nobody", ports=(8080,)),
        base_files(),
        {**programs, "/kuard": kuard(colour)},
        direct,
        commands,
        shells,
        size=23_009_990,
        memory=6 << 20,
    )
