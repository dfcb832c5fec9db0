"""A container engine (Docker or Podman) through its command line: which images it has, how big others are, pulling.

`kind load docker-image` takes images from the engine, so what is to be loaded has to be pulled there first.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from kuartui.cluster import tool
from kuartui.cluster.base import Progress, Report, silent
from kuartui.errors import ClusterError, KuartuiError, MissingError

INSTALL = {
    "docker": "install Docker: https://docs.docker.com/engine/install/",
    "podman": "install Podman: https://podman.io/docs/installation",
}
PULL_SECONDS = 900.0
LOCAL = "kuartui/"  # images that are built, not pulled
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}


class Engine:
    """`program` is docker or podman; their subcommands and output agree in what is used here."""

    def __init__(self, program: str = "docker") -> None:
        self.program = program

    async def _run(self, *arguments: str, what: str, timeout: float = 60.0, report: Report = silent) -> str:
        program = tool.need(self.program, INSTALL.get(self.program, f"install {self.program}"))

        def tell(line: str) -> None:
            report(Progress(tool.plain(line)))

        return await tool.run([program, *arguments], what=what, timeout=timeout, on_line=tell)

    async def size(self, image: str) -> int | None:
        """Bytes of an image that the engine has; None when it has not. Raises when the engine cannot be asked."""
        try:
            said = await self._run("image", "inspect", "--format", "{{.Size}}", image, what=f"looking for {image}")
        except MissingError:
            raise
        except ClusterError as error:
            if not error.hint:  # a cause that is known has one: the engine is not running, permission denied
                return None
            raise
        return int(said.strip()) if said.strip().isdigit() else None

    async def digest(self, image: str) -> str:
        """`sha256:…` under which the registry knows an image that the engine has; "" when it does not say."""
        what = f"asking {self.program} for the digest of {image}"
        said = await self._run("image", "inspect", "--format", "{{json .RepoDigests}}", image, what=what)
        listed = json.loads(said or "[]") or []
        repository = full_name(image).rpartition(":")[0]
        for entry in listed:
            name, _, digest = str(entry).partition("@")
            if full_name(name).rpartition(":")[0] == repository:
                return digest
        return ""

    async def remote_size(self, image: str) -> int | None:
        """Compressed bytes to pull, by the registry's manifest; None when it does not tell."""
        try:
            said = await self._run("manifest", "inspect", "--verbose", image, what=f"asking for the size of {image}")
        except KuartuiError:
            return None
        return manifest_size(said, ARCHITECTURES.get(platform.machine(), platform.machine()))

    async def pull(self, image: str, report: Report = silent) -> None:
        """ClusterError when it does not come; MissingError for an image that is built rather than pulled."""
        if image.startswith(LOCAL):
            raise MissingError(
                f"image {image} is not there, and no registry has it: it is one of kuartui's demo programs",
                hint="play this level with --cluster embedded, or build it after manifests/images/README.md",
            )
        report(Progress(f"pulling {image}"))
        await self._run("pull", "--quiet", image, what=f"pulling {image}", timeout=PULL_SECONDS)

    async def save(self, images: list[str], archive: Path) -> None:
        """Write images that the engine has into one archive of Docker's format."""
        several = ["--multi-image-archive", "--format", "docker-archive"] if self.program == "podman" else []
        what = f"writing {archive.name}"
        await self._run("save", *several, "--output", str(archive), *images, what=what, timeout=PULL_SECONDS)


def manifest_size(said: str, architecture: str) -> int | None:
    """Bytes of the layers and the configuration for Linux on `architecture`, of `docker manifest inspect --verbose`:
    one object, or a list with one per platform."""
    try:
        document = json.loads(said)
    except ValueError:
        return None
    entries: list[Any] = document if isinstance(document, list) else [document]
    for entry in entries:
        platform_of = (entry.get("Descriptor") or {}).get("platform") or {}
        if len(entries) > 1 and (platform_of.get("os"), platform_of.get("architecture")) != ("linux", architecture):
            continue
        manifest = entry.get("OCIManifest") or entry.get("SchemaV2Manifest") or {}
        parts = [*(manifest.get("layers") or []), manifest.get("config") or {}]
        total = sum(int(part.get("size", 0)) for part in parts)
        return total or None
    return None


def full_name(image: str) -> str:
    """`busybox:1.36` -> `docker.io/library/busybox:1.36`, as nodes list it; a digest stays what it is."""
    name, at, digest = image.partition("@")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    if not at and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return name + at + digest


def size_text(size: int | None) -> str:
    """Bytes for a person: 4.3 MB; "size unknown"."""
    if size is None:
        return "size unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
