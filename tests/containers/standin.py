"""A Docker engine for tests, and a stand-in for the one small image that levels build on.

Nothing is pulled: where busybox:1.36.1 is not there, an image of that name is made from the machine's own static busybox
(Debian: busybox-static). It has the same programs as far as the levels use them.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from kuartui.containers.engine import Docker, ready
from kuartui.errors import KuartuiError

BASE = "busybox:1.36.1"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"


@cache
def reason_to_skip() -> str:
    """Why tests on Docker cannot run here; empty when they can."""
    docker = Docker()
    try:
        asyncio.run(ready(docker))
        if asyncio.run(docker.image(BASE)) is None and not static_busybox():
            return f"the engine has no {BASE}, and there is no static busybox to make one from"
    except KuartuiError as error:
        return error.message
    finally:
        docker.close()
    return ""


def static_busybox() -> Path | None:
    found = shutil.which("busybox")
    if found is None:
        return None
    linked = subprocess.run(["ldd", found], capture_output=True, text=True, check=False)
    return Path(found).resolve() if linked.returncode else None


@contextmanager
def base_image() -> Iterator[None]:
    """The base image of levels, made where it is missing, and then removed again."""
    docker = Docker()
    try:
        if asyncio.run(docker.image(BASE)) is not None:
            yield
            return
        archive = root_filesystem()
        asyncio.run(docker.ask(lambda client: client.api.import_image_from_data(archive, BASE)))
        try:
            yield
        finally:
            asyncio.run(docker.ask(lambda client: client.api.remove_image(BASE)))
    finally:
        docker.close()


def root_filesystem() -> bytes:
    """busybox as a tar: one program and a link for each of its names."""
    busybox = static_busybox()
    assert busybox is not None
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("tmp", 0o1777)):
            item = tarfile.TarInfo(folder)
            item.type, item.mode = tarfile.DIRTYPE, mode
            archive.addfile(item)
        add(archive, "bin/busybox", busybox.read_bytes(), 0o755)
        add(archive, "etc/passwd", PASSWD.encode(), 0o644)
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
    return buffer.getvalue()


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    item = tarfile.TarInfo(name)
    item.size, item.mode = len(data), mode
    archive.addfile(item, io.BytesIO(data))
