"""From what a person says (`--cluster embedded`, `kind`, `context:NAME`) to a Cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kuartui.cluster.base import Cluster
from kuartui.errors import UnknownName, UsageError
from kuartui.message import later

KINDS = ("embedded", "kind", "minikube", "context:NAME")
CONTEXT = "context:"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?")  # of ours; a folder is called so, which is removed with it


def check_kind(ref: str) -> None:
    """Raises UnknownName for a kind of cluster that there is not, UsageError for a context without a name."""
    if ref == CONTEXT.rstrip(":") or ref == CONTEXT:
        raise UsageError(
            later("which context? The current one is never taken by itself"),
            hint=later("--cluster context:NAME; kubectl config get-contexts lists yours"),
        )
    if ref not in KINDS[:-1] and not ref.startswith(CONTEXT):
        raise UnknownName(later("cluster kind"), ref, KINDS)


@dataclass(frozen=True, slots=True)
class Options:
    """How to make a cluster that is not there yet; empty means the tool's own choice."""

    nodes: int = 3
    bare: bool = False
    image: str = ""
    version: str = ""
    provider: str = ""


def choose(ref: str, name: str, options: Options = Options()) -> Cluster:
    """The cluster `name` of a kind; it need not be up. Raises UnknownName for a kind that there is not, UsageError for
    what is no name."""
    check_kind(ref)
    if ref.startswith(CONTEXT):
        from kuartui.cluster.context import ContextCluster

        return ContextCluster(ref.removeprefix(CONTEXT))
    if not NAME.fullmatch(name):
        raise UsageError(
            later("{name!r} is no name for a cluster", name=name),
            hint=later("lower case letters, digits and dashes, at most 42"),
        )
    if ref == "kind":
        from kuartui.cluster.kind import KindCluster

        return KindCluster(name, image=options.image, version=options.version, provider=options.provider)
    if ref == "minikube":
        from kuartui.cluster.minikube import MinikubeCluster

        return MinikubeCluster(name, driver=options.provider, version=options.version)
    from kuartui.cluster.embedded import EmbeddedCluster

    return EmbeddedCluster(name, nodes=options.nodes, bare=options.bare)
