"""What kuartui puts into real clusters of its own when a level needs it: pinned manifests, applied with kubectl.

They are in `manifests/addons/`, one kustomization each; `addons.yaml` says what each one provides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from kuartui.cluster import kubectl, tool
from kuartui.cluster.base import Progress, Report
from kuartui.errors import ClusterError
from kuartui.message import later

APPLY_SECONDS = 120.0
READY_SECONDS = 240  # an image may have to be pulled


@dataclass(frozen=True, slots=True)
class Addon:
    """`provides` are capabilities, `minikube` minikube's own add-on for the same, `ready` Deployments as
    namespace/name, `settled` an API path that has to list something, `images` what its pods run."""

    name: str
    provides: tuple[str, ...]
    version: str
    source: str
    license: str
    minikube: str
    ready: tuple[str, ...]
    settled: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    addons: tuple[Addon, ...]


@cache
def known() -> tuple[Addon, ...]:
    """All add-ons."""
    return msgspec.yaml.decode(manifest("addons/addons.yaml").read_bytes(), type=_Known).addons


def find(path: str) -> Path | None:
    """A file or folder below `manifests/`, in the source tree or in the installed package."""
    package = Path(__file__).parents[1]
    for base in (package, package.parent):
        if (place := base / "manifests" / path).exists():
            return place
    return None


def manifest(path: str) -> Path:
    """The same, of what has to be there. ClusterError when it is not."""
    if place := find(path):
        return place
    raise ClusterError(
        later("manifests/{path} is missing from this installation", path=path), hint=later("install kuartui anew")
    )


async def install(addon: Addon, kubeconfig: Path, context: str, report: Report) -> None:
    """Apply it and wait until it works. Applying it again changes nothing. ClusterError when it does not come up."""
    program = str(kubectl.find().path)
    where = ["--kubeconfig", str(kubeconfig), "--context", context]
    report(Progress(later("installing {name} {version}", name=addon.name, version=addon.version)))
    folder = str(manifest(f"addons/{addon.name}"))
    await tool.run(
        [program, *where, "apply", "--server-side", "--force-conflicts", "--field-manager=kuartui", "-k", folder],
        what=later("installing {name}", name=addon.name),
        timeout=APPLY_SECONDS,
    )
    for place in addon.ready:
        namespace, _, name = place.partition("/")
        report(Progress(later("waiting for {name}", name=addon.name)))
        await tool.run(
            [program, *where, "--namespace", namespace, "rollout", "status", f"deployment/{name}"]
            + [f"--timeout={READY_SECONDS}s"],
            what=later("waiting for {name}", name=addon.name),
            timeout=READY_SECONDS + 10.0,
        )
