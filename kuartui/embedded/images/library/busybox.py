"""busybox, in the versions that people pin."""

from __future__ import annotations

import re

from msgspec.structs import replace

from kuartui.embedded.images.applets import names
from kuartui.embedded.images.library.accounts import accounts
from kuartui.embedded.images.library.bases import directory, text, userland
from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.httpd_busybox import httpd
from kuartui.embedded.images.reference import Reference

TAGS = re.compile(r"^(latest|stable|1|1\.(2[4-9]|3[0-7])(\.\d)?)(-(musl|glibc|uclibc))?$|^(musl|glibc|uclibc)$")


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if reference.tag and not TAGS.match(reference.tag):
        return None
    programs, direct, commands, shells = userland("busybox")
    programs = {**programs, "/bin/httpd": httpd}
    if re.match(r"1\.2[4-8]", reference.tag):
        programs["/bin/nslookup"] = names.old_nslookup
    files = {
        **accounts("busybox"),
        "/root": directory(0o700),
        "/home": directory(),
        "/tmp": directory(0o1777),
        "/var/www": directory(),
        "/var/spool/mail": directory(),
        "/usr/sbin": directory(),
        "/etc/localtime": text(""),
    }
    image = Image(
        reference.repository,
        reference.tag or "1.36",
        ImageConfig(cmd=("sh",)),
        files,
        programs,
        direct,
        commands,
        shells,
        size=2_156_519,
        memory=300 << 10,
        distribution="busybox",
    )
    return image if not reference.digest or reference.digest == image.digest else replace(image, tag=reference.tag)
