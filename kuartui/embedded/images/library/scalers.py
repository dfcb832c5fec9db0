"""The autoscaler of Kubernetes' page on the cluster's DNS."""

from __future__ import annotations

import re

from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.proportional import autoscaler
from kuartui.embedded.images.reference import Reference


def find(reference: Reference) -> Image | None:
    """The image for a tag: a static binary without a shell."""
    if not re.fullmatch(r"v?1\.\d+\.\d+", reference.tag):
        return None
    path = "/cluster-proportional-autoscaler"
    config = ImageConfig(entrypoint=(path,), user="65532")
    return Image(reference.repository, reference.tag, config, {}, {path: autoscaler}, size=15 << 20, memory=9 << 20)
