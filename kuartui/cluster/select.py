"""From what a person says (`--cluster embedded`) to a Cluster."""

from __future__ import annotations

from kuartui.cluster.base import Cluster
from kuartui.errors import UnknownName

KINDS = ("embedded",)


def choose(kind: str, name: str, *, nodes: int = 3, bare: bool = False) -> Cluster:
    """The cluster `name` of a kind; it need not be up. Raises UnknownName for a kind that there is not."""
    if kind != "embedded":
        raise UnknownName("cluster kind", kind, KINDS)
    from kuartui.cluster.embedded import EmbeddedCluster

    return EmbeddedCluster(name, nodes=nodes, bare=bare)
