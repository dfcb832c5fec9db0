"""Which versions of other people's tools will do, and what to say of one that will not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kuartui.errors import MissingError
from kuartui.message import later


@dataclass(frozen=True, slots=True)
class Bounds:
    """`least` is needed, for the reason `why`; nothing newer than `tested` was looked at (minor versions)."""

    program: str
    least: tuple[int, int]
    tested: tuple[int, int]
    why: str
    install: str

    def too_old(self, version: str) -> bool:
        """Whether this version will not do; one that cannot be read is given the benefit of the doubt."""
        found = minor(version)
        return found is not None and found < self.least

    def untested(self, version: str) -> bool:
        """Whether it is newer than what kuartui was held against."""
        found = minor(version)
        return found is not None and found > self.tested

    def need(self, version: str) -> None:
        """MissingError when it is too old."""
        if self.too_old(version):
            raise MissingError(
                later(
                    "{program} {version} is too old: {least} or newer is needed, {why}",
                    program=self.program,
                    version=version,
                    least=dotted(self.least),
                    why=self.why,
                ),
                hint=self.install,
            )


KIND = Bounds(
    "kind",
    (0, 24),
    (0, 33),
    later("whose network plugin enforces network policies"),
    later("install a newer kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"),
)
MINIKUBE = Bounds(
    "minikube",
    (1, 32),
    (1, 38),
    later("which knows --cni=calico for several nodes and today's Kubernetes"),
    later("install a newer minikube: https://minikube.sigs.k8s.io/docs/start/"),
)


def minor(version: str) -> tuple[int, int] | None:
    """ "v0.30.0-alpha" -> (0, 30); None when there is no version in it."""
    found = re.search(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
