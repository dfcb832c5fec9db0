"""A cluster with three nodes and the scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kuartui.embedded.scheduler.scheduler import Scheduler
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


class Scheduled(Cluster):
    """Nodes, and pods that want to run on them."""

    async def node(self, name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> None:
        labels = {"kubernetes.io/hostname": name} | more.pop("labels", {})
        allocatable = {"cpu": cpu, "memory": memory, "pods": pods} | more.pop("extra", {})
        await self.create("nodes", name, metadata={"labels": labels}, spec=more, status={"allocatable": allocatable})

    async def pod(self, name: str, cpu: str = "", labels: dict[str, str] | None = None, **more: Any) -> None:
        container: Obj = {"name": "c", "image": "i", "resources": more.pop("resources", {})}
        if cpu:
            container["resources"] = {"requests": {"cpu": cpu}}
        spec = {"containers": [container], "schedulerName": "default-scheduler"} | more
        await self.create("pods", name, metadata={"labels": labels or {}}, spec=spec)

    def place(self, name: str) -> str:
        node: str = self.get("pods", name)["spec"].get("nodeName", "")
        return node

    def why(self, name: str) -> str:
        """The message of a pending pod."""
        found = [one for one in self.get("pods", name)["status"].get("conditions", ()) if one["type"] == "PodScheduled"]
        assert found, f"nothing is said about {name}"
        assert found[0]["status"] == "False"
        message: str = found[0]["message"]
        return message

    def schedule(self) -> None:
        import asyncio

        self.listen_kubelet()
        self.tasks.append(asyncio.create_task(Scheduler(self.client).run()))

    def listen_kubelet(self) -> None:
        self.client.listen("pods", self._kubelet)


@pytest.fixture
async def cluster() -> AsyncIterator[Scheduled]:
    """The scheduler over no nodes yet."""
    made = Scheduled()
    made.schedule()
    yield made
    await made.stop()


@pytest.fixture
async def three(cluster: Scheduled) -> Scheduled:
    """Three nodes in two zones."""
    for name, zone in (("n1", "za"), ("n2", "za"), ("n3", "zb")):
        await cluster.node(name, labels={"topology.kubernetes.io/zone": zone})
    return cluster
