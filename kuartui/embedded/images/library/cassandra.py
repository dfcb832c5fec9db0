"""Cassandra: the official image, and that of Kubernetes' tutorial."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.bases import directory, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.images.programs.cassandra import cassandra, nodetool, ready_probe
from kuartui.embedded.images.programs.entrypoint import entrypoint
from kuartui.embedded.images.reference import Reference

TAG = re.compile(r"latest|[345](\.\d+){0,2}(-\w+)?|v1\d")


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if not TAG.fullmatch(reference.tag or "latest"):
        return None
    programs, direct, commands, shells = userland("debian")
    place = "/usr/local/bin"
    own: dict[str, Program] = {
        f"{place}/cassandra": cassandra,
        f"{place}/nodetool": nodetool,
        f"{place}/docker-entrypoint.sh": entrypoint("cassandra"),
    }
    config = ImageConfig(entrypoint=("docker-entrypoint.sh",), cmd=("cassandra", "-f"), ports=(7000, 7199, 9042))
    if reference.registry == "gcr.io":
        own |= {"/run.sh": cassandra, "/ready-probe.sh": ready_probe}
        config = ImageConfig(cmd=("/run.sh",), ports=(7000, 7199, 9042))
    return Image(
        reference.repository,
        reference.tag,
        config,
        {**debian_files("cassandra:x:999:999::/var/lib/cassandra:/bin/bash\n"), "/var/lib/cassandra": directory()},
        {**programs, **own},
        direct,
        commands,
        shells,
        size=150 << 20,
        memory=2 << 20,
        distribution="debian",
    )
