"""The list that holds images to digests (`manifests/images.yaml`), and what is made of it.

Manifests say the tag only: what a player reads, types and is checked for stays short, and archives, by which nodes get
images, keep no digests. The digest is held to where an image comes from: it is pulled by its digest, and gets its tag
here. What is there by that tag, but known by another digest, is not used unless the player has accepted it
(`kuartui image accept`). What was loaded from a file or built here has no digest, and is taken as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from kuartui import paths
from kuartui.cluster.addons import manifest

Origin = Literal["registry", "built", "nowhere"]
Held = Literal["pinned", "moved", "unknown"]

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PLATFORMS = ("linux/amd64", "linux/arm64")  # of the machines that people play on; kind and minikube have nodes for both
HEAD = """\
# Every container image that a level, an add-on or kuartui itself runs on a real cluster. `origin` is `registry`,
# `built` (a demo program of kuartui's, manifests/images/) or `nowhere` (a level wants it not to be there). Images of a
# registry are pulled by `digest`: that of the index for all platforms. `platforms` are those of it that nodes have, and
# both have to be there. `seen` tells where the digest is written down, and when that was. `kuartui image lock` fills
# them in from an engine and its registry.
"""


@dataclass(frozen=True, slots=True)
class Image:
    """One entry. `digest` is `sha256:…` or ""; `platforms` (linux/amd64) are those of `PLATFORMS` that its index
    has; `accepted` is another digest that the player takes for it, and never in the list."""

    image: str
    origin: Origin
    digest: str = ""
    platforms: tuple[str, ...] = ()
    seen: str = ""
    accepted: str = ""

    @property
    def pinned(self) -> str:
        """busybox:1.36@sha256:…, as far as the digest is known."""
        return f"{self.image}@{self.digest}" if self.digest else self.image

    @property
    def source(self) -> str:
        """What to pull: busybox@sha256:…, or the tag where no digest is known. Not both: Podman takes only one."""
        digest = self.accepted or self.digest
        return f"{self.image.rpartition(':')[0]}@{digest}" if digest else self.image

    def held(self, names: Iterable[str]) -> Held:
        """What an image is that has this tag and is known by `names` (busybox@sha256:…, with or without registry)."""
        found = digests_of(self.image, names)
        if not self.digest or not found:
            return "unknown"
        return "pinned" if {self.digest, self.accepted} & found else "moved"


@dataclass(frozen=True, slots=True)
class _File:
    images: tuple[Image, ...]


def read_lock(path: Path) -> dict[str, Image]:
    """The list, by name of the image."""
    return {entry.image: entry for entry in msgspec.yaml.decode(path.read_bytes(), type=_File).images}


def lock_text(entries: Iterable[Image]) -> str:
    """The file with these entries, in order of their names."""
    return HEAD + "images:\n" + "".join(_entry_text(entry) for entry in sorted(entries, key=lambda entry: entry.image))


def _entry_text(entry: Image) -> str:
    lines = [f"  - image: {entry.image}", f"    origin: {entry.origin}"]
    if entry.digest:
        lines.append(f"    digest: {entry.digest}")
    if entry.platforms:
        lines.append(f"    platforms: [{', '.join(entry.platforms)}]")
    if entry.seen:
        lines.append(f"    seen: {json.dumps(entry.seen, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def unpinned(images: Iterable[str], lock: Mapping[str, Image]) -> list[str]:
    """Those that the list does not know, or knows to be in a registry but not by which digest."""
    return sorted(
        image
        for image in images
        if image not in lock or (lock[image].origin == "registry" and not DIGEST.fullmatch(lock[image].digest))
    )


def one_platform(images: Iterable[str], lock: Mapping[str, Image]) -> list[str]:
    """Those of a registry that some machines could not run: the list does not say that they are there for all."""
    listed = (lock[image] for image in images if image in lock and lock[image].origin == "registry")
    return sorted(item.image for item in listed if not {*PLATFORMS} <= {*item.platforms})


def pins(images: Iterable[str]) -> list[Image]:
    """Each of them once, as the list has it and the player has accepted it; without a digest what it does not know."""
    lock, taken = read_lock(manifest("images.yaml")), accepted()
    return [with_accepted(lock.get(name) or Image(name, "registry"), taken) for name in dict.fromkeys(images)]


def with_accepted(item: Image, taken: Mapping[str, str]) -> Image:
    """The entry with what the player accepted for it."""
    return replace(item, accepted=taken.get(item.image, ""))


# --- what the player accepts ------------------------------------------------------------------------------------------


def _accepted_file() -> Path:
    return paths.state_dir() / "accepted-images.json"


def accepted() -> dict[str, str]:
    """Digests that the player takes instead of the list's, by image."""
    try:
        found = json.loads(_accepted_file().read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def accept(image: str, digest: str) -> None:
    """Take this digest, too; "" takes that back. StorageError when it cannot be written."""
    now = {name: taken for name, taken in accepted().items() if name != image} | ({image: digest} if digest else {})
    paths.write_private(_accepted_file(), json.dumps(now, indent=2, sort_keys=True) + "\n")


# --- names ------------------------------------------------------------------------------------------------------------


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


def digests_of(image: str, names: Iterable[str]) -> set[str]:
    """`sha256:…` by which `names` know an image of this repository. Names of other repositories tell nothing."""
    repository = full_name(image).rpartition(":")[0]
    found = (name.partition("@") for name in names)
    return {digest for name, _, digest in found if digest and full_name(name).rpartition(":")[0] == repository}


def known_images(node: Mapping[str, Any]) -> list[list[str]]:
    """The names, with tags and with digests, of each image that a Node says it has (it says so of the 50 biggest)."""
    return [list(image.get("names") or []) for image in (node.get("status") or {}).get("images") or []]


def short(digest: str) -> str:
    """`sha256:73aaf090f3d8…`, for a sentence."""
    return f"{digest[:19]}…" if len(digest) > 19 else digest
