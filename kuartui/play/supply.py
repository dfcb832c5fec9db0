"""Makes a cluster fit for a level: brings the add-ons and images that it needs, where kuartui may bring them."""

from __future__ import annotations

from kuartui.catalog.images import images_of, to_bring
from kuartui.cluster.addons import manifest
from kuartui.cluster.base import Cluster, Report, silent
from kuartui.cluster.pins import read_lock
from kuartui.game.level import Level
from kuartui.play.setup import PROBE_IMAGE, needs_probe


async def supply(cluster: Cluster, level: Level, report: Report = silent) -> None:
    """ClusterError or MissingError when something cannot be brought; clusters that are not ours stay as they are."""
    if cluster.kind in ("embedded", "context"):
        return
    images = {*images_of(level), *([PROBE_IMAGE] if needs_probe(level) else [])}
    await cluster.provide(level.needs, to_bring(images, read_lock(manifest("images.yaml"))), report)
