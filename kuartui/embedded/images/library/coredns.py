"""CoreDNS, as registry.k8s.io has it: one binary on a distroless base."""

from __future__ import annotations

import re

from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.coredns import coredns
from kuartui.embedded.images.reference import Reference


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if not re.fullmatch(r"v?1\.(1[0-4]|9)\.\d+", reference.tag):
        return None
    config = ImageConfig(entrypoint=("/coredns",), ports=(53,), user="65532:65532")
    return Image(
        reference.repository, reference.tag, config, {}, {"/coredns": coredns}, size=23_500_000, memory=16 << 20
    )
