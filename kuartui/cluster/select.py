"""From what a person says (`--cluster embedded`) to a Cluster."""

from __future__ import annotations

from kuartui.cluster.base import Cluster
from kuartui.errors import UnknownName

KINDS = ("embedded",)


def check_kind(kind: str) -> None:
    """Raises UnknownName for a kind of cluster that there is not."""
    if kind not in KINDS:
        raise UnknownName("cluster kind", kind, KINDS)


def choose(kind: str, name: str, *, nodes: int = 3, bare: bool = False) -> Cluster:
    """The cluster `name` of a kind; it need not be up. Raises UnknownName for a kind that there is not."""
    check_kind(kind)
    from kuartui.cluster.embedded import EmbeddedCluster

    return EmbeddedCluster(name, nodes=nodes, bare=bare)
