"""A container engine (Docker or Podman) through its command line: which images it has, how big others are, pulling,
building kuartui's demo programs, writing archives.

Nodes get their images from an archive of this engine's, so what is to be loaded has to be there first.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kuartui.cluster import tool
from kuartui.cluster.addons import find
from kuartui.cluster.base import Progress, Report, silent
from kuartui.cluster.pins import Image, digests_of, full_name, pins, short
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
BASE = "python:3.12-alpine"  # what they are built on

#: words of an engine that asked a registry for a digest which it has not, or has no longer (docker, podman; docker with
#: the containerd image store)
GONE = re.compile(r"manifest unknown|sha256:[0-9a-f]{64}: not found", re.IGNORECASE)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}


class Engine:
    """`program` is docker or podman; their subcommands and output agree in what is used here."""

    def __init__(self, program: str = "docker") -> None:
        self.program = program

    async def _run(
        self,
        *arguments: str,
        what: str,
        timeout: float = 60.0,
        report: Report = silent,
        causes: tool.Causes = (),
    ) -> str:
        program = tool.need(self.program, INSTALL.get(self.program, later("install {program}", program=self.program)))

        def tell(line: str) -> None:
            report(Progress(tool.plain(line)))

        return await tool.run([program, *arguments], what=what, timeout=timeout, on_line=tell, causes=causes)

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

    async def digests(self, image: str) -> list[str]:
        """The names with digests (busybox@sha256:…) of an image that the engine has; none of what was loaded."""
        what = later("asking {program} for the digest of {image}", program=self.program, image=image)
        name = self._name(image)
        said = await self._run("image", "inspect", "--format", "{{json .RepoDigests}}", name, what=what)
        return [str(entry) for entry in json.loads(said or "[]") or []]

    async def has(self, image: Image) -> bool:
        """Whether the engine has it. ClusterError when what it has by that name is another one than is pinned."""
        if await self.size(image.image) is None:
            return False
        names = await self.digests(image.image) if image.digest else []
        if image.held(names) == "moved":
            raise another(image, digests_of(image.image, names), self.program)
        return True

    async def remote_size(self, image: str) -> int | None:
        """Compressed bytes to pull, by the registry's manifest; None when it does not tell."""
        said = await self._manifest(image, later("asking for the size of {image}", image=image))
        return manifest_size(said, ARCHITECTURES.get(platform.machine(), platform.machine()))

    async def platforms(self, image: str) -> tuple[str, ...]:
        """For which an image is there (linux/amd64), by the registry's index; none when it does not tell."""
        return manifest_platforms(
            await self._manifest(image, later("asking for the platforms of {image}", image=image))
        )

    async def _manifest(self, image: str, what: str) -> str:
        """What `manifest inspect --verbose` says of it; "" when the registry is out of reach."""
        try:
            return await self._run("manifest", "inspect", "--verbose", image, what=what)
        except KuartuiError:
            return ""

    async def bring(self, image: Image, report: Report = silent) -> None:
        """Pull an image by its digest and give it its tag, or build it when it is one of kuartui's own. ClusterError
        when it does not come: a digest that the registry has no longer is never replaced by what the tag is now."""
        if image.image.startswith(LOCAL):
            await self.build(image.image, report)
            return
        what = later("pulling {image}", image=image.image)
        report(Progress(what))
        source = self._name(image.source)
        causes = ((GONE, gone(image), accept_hint(image, self.program)),) if source != self._name(image.image) else ()
        await self._run("pull", "--quiet", source, what=what, timeout=PULL_SECONDS, causes=causes)
        if causes:
            await self._run("tag", source, self._name(image.image), what=later("naming {image}", image=image.image))

    async def build(self, image: str, report: Report = silent) -> None:
        """Build a demo program from its folder below `manifests/images/`, on a base that is brought first. MissingError
        when there is no such folder."""
        folder = find(f"images/{image.removeprefix(LOCAL).partition(':')[0]}/Dockerfile")
        if folder is None:
            raise MissingError(
                later(
                    "image {image} is not there, and no registry has it: it is one of kuartui's demo programs",
                    image=image,
                ),
                hint=later("play this level with --cluster embedded, or build it after manifests/images/README.md"),
            )
        (base,) = pins([BASE])
        if not await self.has(base):
            await self.bring(base, report)
        report(Progress(later("building {image}", image=image)))
        where = ["--tag", self._name(image), "--build-arg", f"BASE={self._name(BASE)}", str(folder.parent)]
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
    entries = _entries(said)
    for entry in entries:
        platform_of = (entry.get("Descriptor") or {}).get("platform") or {}
        if len(entries) > 1 and (platform_of.get("os"), platform_of.get("architecture")) != ("linux", architecture):
            continue
        manifest = entry.get("OCIManifest") or entry.get("SchemaV2Manifest") or {}
        parts = [*(manifest.get("layers") or []), manifest.get("config") or {}]
        total = sum(int(part.get("size", 0)) for part in parts)
        return total or None
    return None


def manifest_platforms(said: str) -> tuple[str, ...]:
    """linux/amd64 and so on, of the same; none for an image that is no index."""
    found = ((entry.get("Descriptor") or {}).get("platform") or {} for entry in _entries(said))
    named = {f"{item.get('os')}/{item.get('architecture')}" for item in found}
    return tuple(sorted(named - {"None/None", "unknown/unknown"}))  # what is no image, but says how one was built


def _entries(said: str) -> list[Any]:
    """The manifests that `manifest inspect --verbose` shows."""
    try:
        document = json.loads(said)
    except ValueError:
        return []
    return document if isinstance(document, list) else [document]


def another(image: Image, found: Iterable[str], place: str) -> ClusterError:
    """What is there by that tag is not what is pinned, nor what the player accepted."""
    there = ", ".join(short(digest) for digest in sorted(found))
    return ClusterError(
        later(
            "{image} of your {place} is {found}, not {digest} as pinned: the tag was moved",
            image=image.image,
            place=place,
            found=there,
            digest=short(image.digest),
        ),
        hint=later(
            "kuartui image pull {image} gives the tag to the pinned one; kuartui image accept {image} takes yours",
            image=image.image,
        ),
    )


def gone(image: Image) -> str:
    """The cause, when a registry does not know the digest."""
    return later("the registry does not have {source}", source=image.source)


def accept_hint(image: Image, program: str) -> str:
    """What to do then; that it is another image is for the player to decide."""
    return later(
        "{program} pull {image}, then kuartui image accept {image}: it is not the image that levels were proven with",
        program=program,
        image=image.image,
    )


def size_text(size: int | None) -> str:
    """Bytes for a person: 4.3 MB; "size unknown"."""
    if size is None:
        return "size unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
