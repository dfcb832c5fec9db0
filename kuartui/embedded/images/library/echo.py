"""hashicorp/http-echo, Kubernetes' echoserver and agnhost."""

from __future__ import annotations

import re

from kuartui.embedded.images.applets import names
from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import curl_programs, text, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.agnhost import agnhost
from kuartui.embedded.images.programs.echo import echoserver, http_echo
from kuartui.embedded.images.reference import Reference

DEMOS = ("nautilus", "kitten")
"""What the update demo of kubectl shows: agnhost with a file that says which one it is."""


_ACCOUNTS = (
    "user-defined-in-image:x:1000:1000:Linux User,,,:/home/user-defined-in-image:/bin/sh\n",
    "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n",
)
"""A user with a supplementary group, to show what supplementalGroupsPolicy does."""


def _version(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in tag.split("."))


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if reference.path.endswith("http-echo"):
        if not re.fullmatch(r"latest|alpine|(0\.2\.[0-3]|1\.0(\.0)?|1)", reference.tag or "latest"):
            return None
        config = ImageConfig(entrypoint=("/http-echo",), user="65532", ports=(5678,))
        return Image(
            reference.repository, reference.tag, config, {}, {"/http-echo": http_echo}, size=5 << 20, memory=4 << 20
        )
    if reference.path.endswith("echoserver"):
        if not re.fullmatch(r"1\.(\d|10)", reference.tag):
            return None
        programs, direct, commands, shells = userland("debian")
        own = {**curl_programs(), "/usr/local/bin/run.sh": echoserver(reference.tag)}
        return Image(
            reference.repository, reference.tag, ImageConfig(cmd=("/usr/local/bin/run.sh",), ports=(8080, 8443)),
            debian_files(), {**programs, **own}, direct, commands, shells,
            size=42 << 20, memory=6 << 20, distribution="debian",
        )  # fmt: skip
    demo = reference.path.rpartition("/")[2] if reference.path.endswith(tuple(DEMOS)) else ""
    if not re.fullmatch(r"1\.\d" if demo else r"2\.\d{1,2}(\.\d+)?", reference.tag):
        return None
    programs, direct, commands, shells = userland("alpine")
    bind = {"/usr/bin/dig": names.dig, "/usr/bin/nslookup": names.bind_nslookup, "/usr/bin/host": names.host}
    bash = {"/bin/bash": "bash"}
    files = base_files(*_ACCOUNTS) if not demo and _version(reference.tag) >= (2, 43) else base_files()
    return Image(
        reference.repository,
        reference.tag,
        ImageConfig(entrypoint=("/agnhost",), cmd=("test-webserver",) if demo else ("pause",)),
        {**files, "/data.json": text(f'{{\n"image": "{demo}.jpg"\n}}\n')} if demo else files,
        {**programs, **bind, **curl_programs(), "/agnhost": agnhost},
        direct,
        commands,
        {**shells, **bash},
        size=52 << 20,
        memory=6 << 20,
    )
