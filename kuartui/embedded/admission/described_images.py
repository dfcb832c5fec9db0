"""DescribedImages: a ConfigMap that describes images is refused when it makes no sense. Kubernetes has no such plugin;
without it the author of a level would learn no more than that nobody can pull the image."""

from __future__ import annotations

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.images.registry import IMAGES_LABEL
from kuartui.embedded.meta import errors

BASE = "spec.base"  # may be an image of another ConfigMap, perhaps of one that comes later


class DescribedImages(Plugin):
    """Judges ConfigMaps that are labelled to carry images; all others pass."""

    async def validate(self, attributes: Attributes) -> None:
        obj = attributes.obj
        if attributes.resource != "configmaps" or attributes.operation not in ("CREATE", "UPDATE") or obj is None:
            return
        if (obj["metadata"].get("labels") or {}).get(IMAGES_LABEL) != "true":
            return
        from kuartui.embedded.images.described import load_config_map
        from kuartui.embedded.images.library import catalogue

        complaints = [text for text in load_config_map(catalogue(), obj) if BASE not in text]
        if complaints:
            raise errors.forbidden("configmaps", attributes.name, "; ".join(complaints))
