"""A level whose machine fails, on a cluster that is not made anew for it: it proves there, and afterwards all machines run.

The machines are those of an embedded cluster that is known by a context only; who switches them keeps a record, as for
kind and minikube.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.context import ContextCluster
from kuartui.cluster.machines import Action, LocalMachines
from kuartui.cluster.rest import Api
from kuartui.play.arena import Arena
from kuartui.play.leading import INVENTORY
from kuartui.play.proof import prove
from kuartui.play.report import text
from kuartui.play.takedown import take_down
from kuartui.progress.store import Store
from tests.play.conftest import Place
from tests.play.dumps import differences, dump
from tests.play.test_shared import record_of

pytestmark = pytest.mark.e2e
LEVEL = "lights-out"
UID = 36  # characters
OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


class Remote(LocalMachines):
    """With the administrator's kubeconfig."""

    def __init__(self, record: Path, kubeconfig: Path) -> None:
        super().__init__(record)
        self._kubeconfig = kubeconfig

    async def _switch(self, node: str, action: Action) -> None:
        async with Api.open(self._kubeconfig) as api:
            await api.request("POST", f"/kuartui.dev/nodes/{node}/{action}", body={})


class Powered(ContextCluster):
    """Such a context, whose machines can be switched off."""

    kubeconfig_of_admin: Path

    @property
    def machines(self) -> LocalMachines:
        return Remote(self.folder / "machines.json", self.kubeconfig_of_admin)


@pytest.fixture
async def powered(place: Place) -> Powered:
    cluster = Powered(place.cluster.name, clock=place.cluster.clock)
    cluster.kubeconfig_of_admin = place.kubeconfig
    await place.pace.through(cluster.up())
    assert "node-power" in cluster.capabilities
    return cluster


async def nodes(api: Api) -> dict[str, dict[str, Any]]:
    return {node["metadata"]["name"]: node for node in (await api.list(await api.resource("Node"))).items}


def ready(node: dict[str, Any]) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in node["status"]["conditions"])


async def test_it_proves_with_the_players_account(place: Place, powered: Powered) -> None:
    async with Api.open(place.kubeconfig) as api:
        before = await dump(api)
        report = await prove([Catalog.default().level(LEVEL)], powered)
        assert [text(line) for line in report.lines if not line.ok] == []
        assert powered.machines.off() == {}
        await place.pace.clock.advance(120)
        assert all(ready(node) for node in (await nodes(api)).values())
        left = differences(before, await dump(api))
        # one cheat strikes the machine from the books: it comes back, and its CSINode, under new uids
        assert sorted(key.partition(" /")[0] for key in left) == ["csinodes.storage.k8s.io", "nodes"]
        assert all(was[:-UID] == now[:-UID] for was, now in left.values())


async def test_after_a_crash_the_machine_is_switched_on_again(place: Place, powered: Powered, tmp_path: Path) -> None:
    """The process ends while the machine is off, and the player has said that it is out of service."""
    level = Catalog.default().level(LEVEL)
    store = Store(tmp_path / "progress.sqlite3")
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        record = record_of(level)
        store.begin(record)
        sandbox = await powered.sandbox(record.sandbox)
        arena = Arena(level, sandbox, record.id)
        await place.pace.through(
            arena.prepare(
                note=lambda made: store.note_made(record.id, made),
                found=lambda stock: store.set_baseline(record.id, {INVENTORY: stock}),
            )
        )
        await arena.close()
        (dark,) = powered.machines.off()
        assert not ready((await nodes(admin))[dark])
        async with Api.open(await sandbox.player_kubeconfig(level.namespace)) as player:
            taints = (await nodes(player))[dark]["spec"].get("taints", [])
            patch = {"spec": {"taints": [*taints, OUT_OF_SERVICE]}}
            await player.patch(await player.resource("Node"), "", dark, patch)

        await place.pace.through(take_down(record, level, powered, store))
        assert powered.machines.off() == {}
        await place.pace.clock.advance(120)
        assert ready((await nodes(admin))[dark])
        assert OUT_OF_SERVICE not in (await nodes(admin))[dark]["spec"].get("taints", [])
        assert differences(before, await dump(admin)) == {}
    store.close()
