"""Image references, normalised as containerd and the kubelet do (distribution/reference)."""

from __future__ import annotations

import re

from msgspec import Struct

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?))*(?::[0-9]+)?"
PATTERN = re.compile(
    rf"^(?P<name>(?:{DOMAIN}/)?{COMPONENT}(?:/{COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?$"
)

HUB, MAX_PATH = "docker.io", 255


class InvalidReference(ValueError):
    """`invalid reference format`, or with uppercase letters a longer text."""


class Reference(Struct, frozen=True):
    """A full reference: docker.io/library/busybox:1.36 or …@sha256:…"""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Registry and path."""
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Parse and complete a reference as written in a pod. Raises InvalidReference with the library's words."""
    if re.fullmatch("[a-f0-9]{64}", text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    registry, rest = _split(text)
    remote = rest.partition(":")[0]
    if remote != remote.lower():
        raise InvalidReference(f"invalid reference format: repository name ({remote}) must be lowercase")
    found = PATTERN.fullmatch(f"{registry}/{rest}")
    if found is None:
        raise InvalidReference("invalid reference format")
    path, tag, digest = found["name"].partition("/")[2], found["tag"] or "", found["digest"] or ""
    if len(path) > MAX_PATH:
        raise InvalidReference(f"repository name must not be more than {MAX_PATH} characters")
    if not tag and not digest:
        tag = "latest"
    return Reference(registry, path, tag, digest)


def _split(name: str) -> tuple[str, str]:
    """The registry, Docker Hub if the first part is not one, and the rest (splitDockerDomain)."""
    first, slash, rest = name.partition("/")
    if not slash:
        return HUB, f"library/{name}"
    if first == "index.docker.io":
        first = HUB
    elif first != "localhost" and not re.search("[.:A-Z]", first):
        first, rest = HUB, name
    return first, rest if first != HUB or "/" in rest else f"library/{rest}"
