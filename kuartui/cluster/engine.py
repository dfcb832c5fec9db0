"""A container engine (Docker or Podman) through its command line: which images it has, how big others are, pulling,
building kuartui's demo programs, writing archives.

Nodes get their images from an archive of this engine's, so what is to be loaded has to be there first.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from kuartui.cluster import tool
from kuartui.cluster.addons import find
from kuartui.cluster.base import Progress, Report, silent
from kuartui.cluster.versions import minor
from kuartui.errors import ClusterError, KuartuiError, MissingError
from kuartui.message import later

INSTALL = {
    "docker": later("install Docker: https://docs.docker.com/engine/install/"),
    "podman": later("install Podman: https://podman.io/docs/installation"),
}
PULL_SECONDS = 900.0
ONE_PLATFORM = (1, 48)  # the version of Docker's API from which on `docker save` takes a --platform
LOCAL = "kuartui/"  # images that are built, not pulled
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}


class Engine:
    """`program` is docker or podman; their subcommands and output agree in what is used here."""

    def __init__(self, program: str = "docker") -> None:
        self.program = program

    async def _run(self, *arguments: str, what: str, timeout: float = 60.0, report: Report = silent) -> str:
        program = tool.need(self.program, INSTALL.get(self.program, later("install {program}", program=self.program)))

        def tell(line: str) -> None:
            report(Progress(tool.plain(line)))

        return await tool.run([program, *arguments], what=what, timeout=timeout, on_line=tell)

    async def size(self, image: str) -> int | None:
        """Bytes of an image that the engine has; None when it has not. Raises when the engine cannot be asked."""
        name = self._name(image)
        try:
            said = await self._run(
                "image", "inspect", "--format", "{{.Size}}", name, what=later("looking for {image}", image=image)
            )
        except MissingError:
            raise
        except ClusterError as error:
            if not error.hint:  # a cause that is known has one: the engine is not running, permission denied
                return None
            raise
        return int(said.strip()) if said.strip().isdigit() else None

    async def digest(self, image: str) -> str:
        """`sha256:…` under which the registry knows an image that the engine has; "" when it does not say."""
        what = later("asking {program} for the digest of {image}", program=self.program, image=image)
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
            said = await self._run(
                "manifest", "inspect", "--verbose", image, what=later("asking for the size of {image}", image=image)
            )
        except KuartuiError:
            return None
        return manifest_size(said, ARCHITECTURES.get(platform.machine(), platform.machine()))

    async def bring(self, image: str, report: Report = silent) -> None:
        """Pull an image, or build it when it is one of kuartui's own. ClusterError when it does not come."""
        if image.startswith(LOCAL):
            await self.build(image, report)
            return
        report(Progress(later("pulling {image}", image=image)))
        await self._run(
            "pull", "--quiet", self._name(image), what=later("pulling {image}", image=image), timeout=PULL_SECONDS
        )

    async def build(self, image: str, report: Report = silent) -> None:
        """Build a demo program from its folder below `manifests/images/`. MissingError when there is none."""
        folder = find(f"images/{image.removeprefix(LOCAL).partition(':')[0]}/Dockerfile")
        if folder is None:
            raise MissingError(
                later(
                    "image {image} is not there, and no registry has it: it is one of kuartui's demo programs",
                    image=image,
                ),
                hint=later("play this level with --cluster embedded, or build it after manifests/images/README.md"),
            )
        report(Progress(later("building {image}", image=image)))
        where = ["--tag", self._name(image), str(folder.parent)]
        await self._run("build", "--quiet", *where, what=later("building {image}", image=image), timeout=PULL_SECONDS)

    async def archives(self, images: list[str]) -> list[tuple[str, list[str]]]:
        """How to save them: (platform, images) for each archive. The platform is "" where all go into one as they are.

        With Docker's containerd image store `docker save` writes an index of all platforms, whose other parts were
        never pulled, and no node takes that (kubernetes-sigs/kind issue 3795). Hence one platform at a time, that of
        the image and not of the machine, which may emulate another."""
        if not await self._knows_platforms():
            return [("", images)]
        groups: dict[str, list[str]] = {}
        for image in images:
            groups.setdefault(await self._platform(image), []).append(image)
        return list(groups.items())

    async def save(self, images: list[str], archive: Path, platform: str = "") -> None:
        """Write images that the engine has into one archive of Docker's format."""
        options = ["--multi-image-archive", "--format", "docker-archive"] if self.program == "podman" else []
        options += ["--platform", platform] if platform else []
        what = later("writing {name}", name=archive.name)
        names = [self._name(image) for image in images]
        await self._run("save", *options, "--output", str(archive), *names, what=what, timeout=PULL_SECONDS)

    async def _knows_platforms(self) -> bool:
        """Whether `docker save` can be told a platform, by the version that client and engine agreed upon."""
        if self.program != "docker":
            return False
        said = await self._run(
            "version", "--format", "{{.Client.APIVersion}}", what=later("asking docker for its version")
        )
        return (minor(said) or (0, 0)) >= ONE_PLATFORM

    async def _platform(self, image: str) -> str:
        """linux/amd64, say."""
        shown = "{{.Os}}/{{.Architecture}}"
        what = later("looking for {image}", image=image)
        return (await self._run("image", "inspect", "--format", shown, image, what=what)).strip()

    def _name(self, image: str) -> str:
        """Podman wants the registry told, and would call what it builds localhost/…"""
        return full_name(image) if self.program == "podman" else image


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
