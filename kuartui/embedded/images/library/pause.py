"""The pod infrastructure container."""

from __future__ import annotations

import re

from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.reference import Reference
from kuartui.embedded.node.runtime.process import Process


async def pause(process: Process) -> int:
    """Wait for a signal."""
    await process.signals("INT", "TERM").get()
    return 0


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if not re.match(r"^(latest|go|[0-3]\.\d+(\.\d+)?)$", reference.tag or "latest"):
        return None
    config = ImageConfig(entrypoint=("/pause",), user="65535:65535")
    return Image(reference.repository, reference.tag, config, {}, {"/pause": pause}, size=320_000, memory=200 << 10)
