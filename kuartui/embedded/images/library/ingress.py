"""Ingress controllers."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import curl_programs, userland
from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.images.programs.ingress import CONTOUR, NGINX, TRAEFIK, contour, ingress
from kuartui.embedded.images.reference import Reference

PROGRAMS: dict[str, tuple[Program, str, str]] = {
    "controller": (ingress(NGINX), "/nginx-ingress-controller", r"v1\.\d+\.\d+"),
    "envoy": (ingress(CONTOUR), "/usr/local/bin/envoy", r"(distroless-)?v1\.\d+(\.\d+|-latest)?"),
    "contour": (contour, "/bin/contour", r"(latest|v1\.\d+\.\d+)"),
    "traefik": (ingress(TRAEFIK), "/usr/local/bin/traefik", r"(latest|v?[23](\.\d+){0,2})"),
}


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    program, path, tags = PROGRAMS[reference.path.rpartition("/")[2]]
    if reference.tag and not re.fullmatch(tags, reference.tag):
        return None
    programs, direct, commands, shells = userland("alpine")
    config = ImageConfig(entrypoint=(path,))
    return Image(
        reference.repository, reference.tag, config, base_files(), {**programs, **curl_programs(), path: program}, direct,
        commands, shells, size=90 << 20, memory=60 << 20,
    )  # fmt: skip
