"""Alpine Linux."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.accounts import accounts
from kuartui.embedded.images.library.bases import directory, text, userland
from kuartui.embedded.images.model import Image, ImageConfig, ImageFile
from kuartui.embedded.images.reference import Reference

TAGS = re.compile(r"^(latest|edge|3(\.(1[0-9]|2[0-3])(\.\d+)?)?)$")

RELEASE = """NAME="Alpine Linux"
ID=alpine
VERSION_ID=3.22.0
PRETTY_NAME="Alpine Linux v3.22"
HOME_URL="https://alpinelinux.org/"
"""


def base_files(users: str = "", groups: str = "") -> dict[str, ImageFile]:
    """Files of an Alpine image."""
    return {
        **accounts("alpine", users, groups),
        "/etc/os-release": text(RELEASE),
        "/etc/alpine-release": text("3.22.0\n"),
        "/root": directory(0o700),
        "/home": directory(),
        "/mnt": directory(),
        "/opt": directory(),
        "/srv": directory(),
        "/run": directory(),
        "/var/log": directory(),
        "/var/tmp": directory(0o1777),
        "/tmp": directory(0o1777),
        "/usr/local/bin": directory(),
    }


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if reference.tag and not TAGS.match(reference.tag):
        return None
    programs, direct, commands, shells = userland("alpine")
    return Image(
        reference.repository,
        reference.tag,
        ImageConfig(cmd=("/bin/sh",)),
        base_files(),
        programs,
        direct,
        commands,
        shells,
        size=3_800_000,
        memory=400 << 10,
    )
