"""Containers that stand in for kind's nodes, on a real engine: their power is cut, and comes back."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from kuartui.cluster.kind import LABEL, KindCluster
from kuartui.containers.engine import Docker
from kuartui.errors import ClusterError
from tests.containers.standin import BASE

pytestmark = pytest.mark.docker
#: a boot leaves a line; systemctl keeps the state of its unit in a file
BOOT = """\
echo boot >> /booted
printf '#!/bin/sh\\necho $1 > /$2\\n' > /bin/systemctl; chmod +x /bin/systemctl
while true; do sleep 1; done
"""


@pytest.fixture
async def cluster(docker: Docker) -> AsyncIterator[KindCluster]:
    """Two workers, run as kind runs its nodes, and a container of somebody else's."""
    name = f"kuartui-test-{uuid.uuid4().hex[:6]}"
    found = KindCluster(name, provider="docker")

    async def run(container: str, labels: dict[str, str]) -> None:
        await docker.ask(
            lambda client: client.containers.run(
                BASE,
                ["sh", "-c", BOOT],
                name=container,
                labels=labels,
                detach=True,
                network_mode="none",
                restart_policy={"Name": "on-failure", "MaximumRetryCount": 1},
            )
        )

    names = [f"{name}-worker", f"{name}-worker2", f"{name}-postgres"]
    try:
        for container in names[:2]:
            await run(container, {LABEL: name})
        await run(names[2], {})
        yield found
    finally:
        for container in names:
            if await docker.container(container) is not None:
                await docker.ask(lambda client, it=container: client.api.remove_container(it, force=True))


async def state(docker: Docker, name: str) -> str:
    found = await docker.container(name)
    assert found
    return str(found["State"]["Status"])


async def said(docker: Docker, name: str, file: str) -> str:
    def ask(client: object) -> str:
        _, output = client.containers.get(name).exec_run(["cat", file])  # type: ignore[attr-defined]
        return str(output.decode())

    return await docker.ask(ask)


async def test_power_is_cut_and_comes_back(docker: Docker, cluster: KindCluster) -> None:
    worker, other = f"{cluster.name}-worker", f"{cluster.name}-worker2"
    await cluster.machines.switch(worker, "fail")
    assert await state(docker, worker) == "exited"  # though it restarts when it fails by itself
    assert await state(docker, other) == "running"
    await cluster.machines.switch(worker, "recover")
    assert await state(docker, worker) == "running"
    assert await said(docker, worker, "/booted") == "boot\nboot\n"


async def test_a_kubelet_stops_and_starts(docker: Docker, cluster: KindCluster) -> None:
    worker = f"{cluster.name}-worker"
    for action, unit in (("pause", "stop"), ("resume", "start")):
        await cluster.machines.switch(worker, action)  # type: ignore[arg-type]
        assert await said(docker, worker, "/kubelet") == f"{unit}\n"
    assert await said(docker, worker, "/booted") == "boot\n"


async def test_another_process_repairs_and_leaves_others_alone(docker: Docker, cluster: KindCluster) -> None:
    worker, other = f"{cluster.name}-worker", f"{cluster.name}-worker2"
    await cluster.machines.switch(worker, "fail")
    await cluster.machines.switch(other, "pause")
    with pytest.raises(ClusterError, match="has no node container"):
        await cluster.machines.switch(f"{cluster.name}-postgres", "fail")
    again = KindCluster(cluster.name, provider="docker")  # knows nothing but the record
    assert again.machines.off() == {worker: ["fail"], other: ["pause"]}
    await again.machines.repair()
    assert await state(docker, worker) == "running"
    assert await said(docker, other, "/kubelet") == "start\n"
    assert again.machines.off() == {}
    assert await said(docker, f"{cluster.name}-postgres", "/booted") == "boot\n"
