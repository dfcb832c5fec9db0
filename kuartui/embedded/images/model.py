"""What an image is: its config as a registry serves it, its files, and the programs in it.

A program is a coroutine that gets a `Process`. Shell commands that the sandboxed shell brings itself (grep, awk, …)
are only named, so that an image without them does not have them.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from kuartui.embedded.node.runtime.process import Process

Program = Callable[["Process"], Awaitable[int]]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageConfig(Struct, frozen=True):
    """The OCI image config, as far as a kubelet uses it."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = (("PATH", PATH),)
    user: str = ""  # "", "1000", "nobody", "101:101"
    working_dir: str = "/"
    ports: tuple[int, ...] = ()
    stop_signal: str = "SIGTERM"
    volumes: tuple[str, ...] = ()


class ImageFile(Struct, frozen=True):
    """A file (`data`), a link (`target`) or a directory (neither) of an image."""

    data: bytes | None = None
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""


class Image(Struct, frozen=True, dict=True):
    """One image. What can be run is by absolute path.

    `programs` replace a command of the sandboxed shell with the same name, `direct` ones run only when a container or
    an exec starts them itself (the shell's own are faster inside of it); `commands` are those that only the shell has.
    `shells` says how each shell words its complaints: ash (busybox), dash (Debian) or bash.
    """

    repository: str  # docker.io/library/busybox
    tag: str
    config: ImageConfig = field(default_factory=ImageConfig)
    files: Mapping[str, ImageFile] = field(default_factory=dict)
    programs: Mapping[str, Program] = field(default_factory=dict)
    direct: Mapping[str, Program] = field(default_factory=dict)
    commands: frozenset[str] = frozenset()
    shells: Mapping[str, str] = field(default_factory=dict)
    size: int = 5 << 20
    memory: int = 1 << 20  # working set of its main program at rest
    distribution: str = "alpine"
    pinned: str = ""  # the digest that it was asked for by

    @cached_property
    def executables(self) -> frozenset[str]:
        """Every path that can be run."""
        return frozenset((*self.programs, *self.direct, *self.commands, *self.shells))

    @cached_property
    def by_directory(self) -> dict[str, frozenset[str]]:
        """The executables of each directory."""
        found: dict[str, set[str]] = {}
        for path in self.executables:
            found.setdefault(posixpath.dirname(path), set()).add(path)
        return {directory: frozenset(paths) for directory, paths in found.items()}

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """The executables of each name."""
        found: dict[str, list[str]] = {}
        for path in self.executables:
            found.setdefault(posixpath.basename(path), []).append(path)
        return found

    @cached_property
    def file_directories(self) -> frozenset[str]:
        """Directories that hold one of `files`."""
        return frozenset(posixpath.dirname(path) for path in self.files)

    @cached_property
    def _on_path(self) -> dict[str, tuple[dict[str, Program], frozenset[str]]]:
        return {}

    def on_path(self, path: str) -> tuple[dict[str, Program], frozenset[str]]:
        """What a PATH finds here by name: programs that replace the shell's commands, and all names."""
        known = self._on_path.get(path)
        if known is None:
            found: dict[str, Program] = {}
            names: set[str] = set()
            for directory in path.split(":"):
                prefix = directory.rstrip("/") + "/"
                for executable in self.executables:
                    name = executable.removeprefix(prefix)
                    if executable.startswith(prefix) and "/" not in name:
                        names.add(name)
                        if executable in self.programs:
                            found.setdefault(name, self.programs[executable])
            known = self._on_path[path] = found, frozenset(names)
        return known

    @cached_property
    def reference(self) -> str:
        """The full name with tag."""
        return f"{self.repository}:{self.tag}"

    @property
    def digest(self) -> str:
        """The manifest's digest, or a stable stand-in for it."""
        return self.pinned or "sha256:" + hashlib.sha256(f"{self.repository}:{self.tag}".encode()).hexdigest()

    @property
    def id(self) -> str:
        """The image id: the digest of its config."""
        return "sha256:" + hashlib.sha256(f"config {self.repository}:{self.tag or self.pinned}".encode()).hexdigest()

    @property
    def shown(self) -> str:
        """As in a container status' image: one that has no tag goes by its id."""
        return self.reference if self.tag else self.id

    @property
    def repo_digest(self) -> str:
        """As in a container status' imageID."""
        return f"{self.repository}@{self.digest}"
