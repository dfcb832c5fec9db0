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
    found = PATTERN.match(text)
    if found is None:
        if PATTERN.match(text.lower()) and not re.search(r"[A-Z]", text.partition("/")[0] if "/" in text else ""):
            raise InvalidReference(
                "invalid reference format: repository name "
                f"({text.rpartition('@')[0] or _without_tag(text)}) must be lowercase"
            )
        raise InvalidReference("invalid reference format")
    name, tag, digest = found["name"], found["tag"] or "", found["digest"] or ""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = ("docker.io" if first == "index.docker.io" else first), rest
    else:
        registry, path = "docker.io", name
    if registry == "docker.io" and "/" not in path:
        path = "library/" + path
    if not tag and not digest:
        tag = "latest"
    return Reference(registry, path, tag, digest)


def _without_tag(text: str) -> str:
    name, colon, tag = text.rpartition(":")
    return name if colon and "/" not in tag else text
