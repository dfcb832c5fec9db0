"""Our label on what is not ours, and what is ours without any record: on a cluster of somebody else's.

The cluster is an embedded one on stepped time behind a plain kubeconfig, as in test_shared.py.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.checks.world import PROBE_POD
from kuartui.cluster import capabilities
from kuartui.cluster.capabilities import PROBE_LIFE
from kuartui.cluster.context import ContextCluster
from kuartui.cluster.rest import MERGE_PATCH, Api
from kuartui.errors import ApiError, ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, SYSTEM_NAMESPACE
from kuartui.game.level import Right
from kuartui.play.arena import Arena
from kuartui.play.cleanup import cluster_of, take_stock
from kuartui.play.leading import Leader
from kuartui.play.takedown import take_down
from kuartui.progress.store import Store
from tests.play.conftest import Place, begin
from tests.play.dumps import differences, dump
from tests.play.test_adversary import NOTE, VOLUMES, level_of, make, thing, volume
from tests.play.test_shared import Killed, _mortal, record_of

pytestmark = pytest.mark.e2e

NAMESPACES = Right(verbs=("get", "patch"), resources=("namespaces",))
NODES = Right(verbs=("get", "patch"), resources=("nodes",))
CLASSES = Right(verbs=("get", "patch"), resources=("storageclasses.storage.k8s.io",))


def rank(name: str, value: int) -> dict[str, Any]:
    return thing("PriorityClass", name, "scheduling.k8s.io/v1", value=value)


async def label(api: Api, kind: str, name: str, attempt: str | None) -> None:
    """As kubectl does it."""
    path = (await api.resource(kind)).path("", name)
    body = {"metadata": {"labels": {LABEL_ATTEMPT: attempt}}}
    await api.request("PATCH", path, params={"fieldManager": "kubectl-label"}, body=body, content_type=MERGE_PATCH)


async def test_a_label_makes_nothing_ours(place: Place, tmp_path: Path) -> None:
    """A player puts the label of the attempt on what he may change: it stays, as it was."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE], NAMESPACES, NODES, CLASSES)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, thing("Namespace", "shop"), thing("ConfigMap", "precious", namespace="shop"))
        await place.pace.pass_by(5)
        node = (await admin.list(await admin.resource("Node"))).items[0]["metadata"]["name"]
        storage = (await admin.list(await admin.resource("StorageClass"))).items[0]["metadata"]["name"]
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            await make(admin, thing("Namespace", "stall"), thing("ConfigMap", "precious", namespace="stall"))
            for kind, name in (
                *(("Namespace", name) for name in ("shop", "stall", "default", "kube-system", "kube-node-lease")),
                ("Node", node),
                ("StorageClass", storage),
            ):
                await label(player, kind, name, record.id)
        await place.pace.through(take_down(record, level, place.cluster, store))
        after = await dump(admin)
        assert "configmaps stall/precious" in after
        assert {key for key in differences(before, after) if "stall" not in key} == set()
    store.close()


async def test_reset_removes_nothing_that_somebody_labelled(place: Place, tmp_path: Path) -> None:
    """`kuartui cluster reset` knows of an attempt nothing but its label."""
    store = Store(tmp_path / "progress.sqlite3")
    in_common = thing("ConfigMap", "by-the-pack", namespace="kube-system")
    level = level_of(tmp_path / "pack", [NOTE, volume("shelf"), in_common], NAMESPACES, NODES, CLASSES)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, thing("Namespace", "shop"), thing("ConfigMap", "precious", namespace="shop"))
        await place.pace.pass_by(5)
        node = (await admin.list(await admin.resource("Node"))).items[0]["metadata"]["name"]
        storage = (await admin.list(await admin.resource("StorageClass"))).items[0]["metadata"]["name"]
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            labelled = (
                *(("Namespace", name) for name in ("shop", "default", "kube-system", "kube-node-lease")),
                ("Node", node),
                ("StorageClass", storage),
            )
            for kind, name in labelled:
                await label(player, kind, name, record.id)
        await place.pace.through(place.cluster.reset())
        for kind, name in labelled:
            await label(admin, kind, name, None)
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_a_level_that_is_set_up_anew_is_undone_before(place: Place, tmp_path: Path) -> None:
    """Else what the player left would pass for what was there before."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE, volume("shelf")], VOLUMES, NODES)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, volume("theirs"))
        node = (await admin.list(await admin.resource("Node"))).items[0]["metadata"]["name"]
        await place.pace.pass_by(5)
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            await make(player, volume("by-the-player"))
            await player.patch(await player.resource("Node"), "", node, {"spec": {"unschedulable": True}})
            await player.patch(
                await player.resource("PersistentVolume"), "", "theirs", {"metadata": {"labels": {"by": "player"}}}
            )
        sandbox = await place.cluster.find(record.sandbox)
        assert sandbox is not None
        leader = Leader.for_setup(level, record.id, sandbox, store)
        try:
            await place.pace.through(leader.renew())
        finally:
            await leader.stop()
        await place.pace.through(take_down(record, level, place.cluster, store))
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_what_was_changed_is_put_back_though_the_level_is_gone(place: Place, tmp_path: Path) -> None:
    """Its pack was removed, and nobody knows its rights any more; what it let the player change was stored."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE], NODES, CLASSES)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        node = (await admin.list(await admin.resource("Node"))).items[0]["metadata"]["name"]
        async with Api.open(await begin(place, level, record, store)) as player:
            await player.patch(await player.resource("Node"), "", node, {"spec": {"unschedulable": True}})
        await place.pace.through(take_down(record, None, place.cluster, store))
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_the_probe_stays_for_who_plays_on(place: Place, tmp_path: Path) -> None:
    """Two players side by side, the first of whom brought the pod from which both look at the network."""
    store = Store(tmp_path / "progress.sqlite3")
    names = ("broken-selector", "label-leak")
    first, second = (Catalog.default().level(name) for name in names)
    one, other = record_of(first), record_of(second)
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        await begin(place, first, one, store)
        await begin(place, second, other, store)
        probe = await admin.read(await admin.resource("Pod"), SYSTEM_NAMESPACE, PROBE_POD)
        assert probe is not None
        await place.pace.through(take_down(one, first, place.cluster, store))
        still = await admin.read(await admin.resource("Pod"), SYSTEM_NAMESPACE, PROBE_POD)
        assert still is not None
        assert still["metadata"]["uid"] == probe["metadata"]["uid"]
        assert "deletionTimestamp" not in still["metadata"]
        await place.pace.through(take_down(other, second, place.cluster, store))
        await place.pace.pass_by(5)
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_what_was_made_anew_in_another_way_is_put_back(place: Place, tmp_path: Path) -> None:
    """No update leads from one to the other: a class has its value, and a volume its source, for good."""
    store = Store(tmp_path / "progress.sqlite3")
    ranks = Right(verbs=("create", "delete"), resources=("priorityclasses.scheduling.k8s.io",))
    level = level_of(tmp_path / "pack", [NOTE], VOLUMES, ranks)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, volume("theirs"), rank("theirs", 100))
        await place.pace.pass_by(5)
        meant = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            for obj in (volume("theirs", hostPath={"path": "/srv"}), rank("theirs", 200)):
                await player.delete(await player.resource(obj["kind"]), "", "theirs")
                await place.pace.pass_by(2)
                await make(player, obj)
        await place.pace.through(take_down(record, level, place.cluster, store))
        after = await dump(admin)
        assert {key: text.rpartition("}")[0] for key, text in meant.items()} == {
            key: text.rpartition("}")[0] for key, text in after.items()
        }
    store.close()


async def test_what_the_player_could_not_change_is_left_as_it_is(place: Place, tmp_path: Path) -> None:
    """He might have removed it, somebody else changed it: that is no trace of the attempt, and does not hold it up."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE], Right(verbs=("delete",), resources=("persistentvolumes",)))
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, volume("theirs"), volume("lost"))
        await place.pace.pass_by(5)
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            volumes = await admin.resource("PersistentVolume")
            await player.delete(volumes, "", "lost")
            await admin.patch(volumes, "", "theirs", {"metadata": {"labels": {"by": "somebody"}}})
        await place.pace.through(take_down(record, level, place.cluster, store))
        after = await dump(admin)
        assert "persistentvolumes /lost" in after
        assert {*differences(before, after)} == {"persistentvolumes /lost", "persistentvolumes /theirs"}
        assert '"by": "somebody"' in after["persistentvolumes /theirs"]
    store.close()


async def test_who_goes_on_another_day_has_credentials_that_are_good(place: Place, tmp_path: Path) -> None:
    """The player's token was as old as the checker's; here somebody's `cluster reset` took the accounts away."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE])
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        kubeconfig = await begin(place, level, record, store)
        accounts = await admin.resource("ServiceAccount")
        await admin.delete(accounts, SYSTEM_NAMESPACE, record.sandbox)
        await place.cluster.find(record.sandbox)
        async with Api.open(kubeconfig) as player:
            assert await player.read(await player.resource("ConfigMap"), "pit", "note")
        await place.pace.through(take_down(record, level, place.cluster, store))
    store.close()


async def test_looking_at_a_cluster_disturbs_nobody_who_looks_as_well(place: Place) -> None:
    """Two players begin at the same time. What a probe left whose process was killed goes all the same."""
    probe = {LABEL_ATTEMPT: "probe"}
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, thing("Namespace", "kuartui-probe-killed", labels=probe))
        await place.pace.pass_by(PROBE_LIFE + 1)
        await make(admin, thing("Namespace", "shop"), thing("Namespace", "kuartui-probe-other", labels=probe))
        await label(admin, "Namespace", "shop", "probe")
        await place.pace.through(ContextCluster(place.cluster.name, clock=place.cluster.clock).up())
        await place.pace.pass_by(5)
        names = {item["metadata"]["name"] for item in (await admin.list(await admin.resource("Namespace"))).items}
        assert {name for name in names if "probe" in name or name == "shop"} == {"shop", "kuartui-probe-other"}


async def test_a_cluster_where_another_plays_is_not_ones_own(place: Place, tmp_path: Path) -> None:
    """Levels that need one disturb all of it: what others play, too."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE])
    record = record_of(level)

    async def is_own() -> bool:
        cluster = ContextCluster(place.cluster.name, clock=place.cluster.clock)
        await place.pace.through(cluster.up())
        return "own-cluster" in cluster.capabilities

    assert await is_own()
    await begin(place, level, record, store)
    assert not await is_own()
    await place.pace.through(take_down(record, level, place.cluster, store))
    assert await is_own()
    store.close()


@pytest.mark.parametrize(
    ("namespace", "own"),
    [("kuartui-addons", True), ("ingress-nginx", True), ("calico-system", True), ("calico-system-2", False)],
)
async def test_namespaces_of_add_ons_are_nobody_elses(place: Place, namespace: str, own: bool) -> None:
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, thing("Namespace", namespace))
    cluster = ContextCluster(place.cluster.name, clock=place.cluster.clock)
    await place.pace.through(cluster.up())
    assert ("own-cluster" in cluster.capabilities) is own


async def test_policies_are_found_to_hold_where_a_server_takes_a_moment_to_listen(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pod is ready as soon as its program began: the first connection may come too early."""
    connects, tried = capabilities._connects, 0

    async def at_first_not(*arguments: Any) -> bool:
        nonlocal tried
        tried += 1
        return tried > 1 and await connects(*arguments)

    monkeypatch.setattr(capabilities, "_connects", at_first_not)
    cluster = ContextCluster(place.cluster.name, clock=place.cluster.clock)
    await place.pace.through(cluster.up())
    assert "network-policy" in cluster.capabilities


async def test_what_cannot_be_seen_now_is_not_forgotten(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API server that is busy for a moment while it is cleaned up."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE, thing("ConfigMap", "by-the-pack", namespace="kube-system")], VOLUMES)
    record = record_of(level)
    get = Api.get
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            await make(player, volume("by-the-player"))
        for hidden, code in (
            ("/api/v1/namespaces/kube-system/configmaps/by-the-pack", 429),
            ("/api/v1/namespaces/kube-system/configmaps/by-the-pack", 500),
            ("/api/v1/persistentvolumes", 503),
        ):

            async def busy(api: Api, path: str, hidden: str = hidden, code: int = code, **params: str) -> Any:
                if path == hidden:
                    raise ApiError("the server is busy", code=code)
                return await get(api, path, **params)

            monkeypatch.setattr(Api, "get", busy)
            with pytest.raises(ApiError, match="the server is busy"):
                await place.pace.through(take_down(record, level, place.cluster, store))
            current = store.attempt(record.id)
            assert current is not None
            assert current.sandbox
        monkeypatch.setattr(Api, "get", get)
        await place.pace.through(take_down(record, level, place.cluster, store))
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_what_somebody_else_has_broken_holds_nothing_up(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of a definition whose converter is down cannot be listed: the API server answers 500."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE])
    record = record_of(level)
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"plural": "wrecks", "singular": "wreck", "kind": "Wreck", "listKind": "WreckList"}
    spec = {"group": "sea.example", "scope": "Cluster", "names": names, "versions": [version]}
    get = Api.get

    async def broken(api: Api, path: str, **params: str) -> Any:
        if path == "/apis/sea.example/v1/wrecks":
            raise ApiError("conversion webhook for sea.example/v1, Kind=Wreck failed", code=500)
        return await get(api, path, **params)

    async with Api.open(place.kubeconfig) as admin:
        await make(admin, thing("CustomResourceDefinition", "wrecks.sea.example", "apiextensions.k8s.io/v1", spec=spec))
        await place.pace.pass_by(5)
        before = await dump(admin)
        monkeypatch.setattr(Api, "get", broken)
        await begin(place, level, record, store)
        await place.pace.through(take_down(record, level, place.cluster, store))
        monkeypatch.setattr(Api, "get", get)
        assert differences(before, await dump(admin)) == {}
    store.close()


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
async def test_a_level_lives_in_a_namespace_of_its_own(place: Place, tmp_path: Path, namespace: str) -> None:
    """In one that stays nothing tells what the player made from what is there."""
    store = Store(tmp_path / "progress.sqlite3")
    levels = (
        level_of(tmp_path / "a", [NOTE], namespace=namespace),
        level_of(tmp_path / "b", [NOTE, thing("Namespace", namespace)]),
    )
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        for level in levels:
            record = record_of(level)
            with pytest.raises(ClusterError, match=f"namespace {namespace} is every cluster's own"):
                await begin(place, level, record, store)
            await place.pace.through(take_down(record, level, place.cluster, store))
            assert differences(before, await dump(admin)) == {}
    store.close()


async def test_nothing_of_others_is_owned_by_what_goes(place: Place, tmp_path: Path) -> None:
    """The garbage collector would take it along."""
    store = Store(tmp_path / "progress.sqlite3")
    role = thing("ClusterRole", "shelf-keeper", "rbac.authorization.k8s.io/v1", rules=[])
    level = level_of(tmp_path / "pack", [NOTE, role], VOLUMES, NODES, CLASSES)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, volume("theirs"))
        await place.pace.pass_by(5)
        node = (await admin.list(await admin.resource("Node"))).items[0]["metadata"]["name"]
        storage = (await admin.list(await admin.resource("StorageClass"))).items[0]["metadata"]["name"]
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            live = await admin.read(await admin.resource("ClusterRole"), "", "shelf-keeper")
            assert live is not None
            owner = {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "name": "shelf-keeper",
                "uid": live["metadata"]["uid"],
            }
            theirs = (("Node", node), ("StorageClass", storage), ("PersistentVolume", "theirs"))
            for kind, name in theirs:
                await player.patch(await player.resource(kind), "", name, {"metadata": {"ownerReferences": [owner]}})
        await place.pace.through(take_down(record, level, place.cluster, store))
        await place.pace.pass_by(60)
        assert differences(before, await dump(admin)) == {}
        for kind, name in theirs:
            live = await admin.read(await admin.resource(kind), "", name)
            assert live is not None
            assert "ownerReferences" not in live["metadata"]
    store.close()


async def test_what_somebody_removed_meanwhile_stays_away(place: Place, tmp_path: Path) -> None:
    """A node that an autoscaler took, which the player could change and not remove."""
    store = Store(tmp_path / "progress.sqlite3")
    rank_right = Right(verbs=("patch",), resources=("priorityclasses.scheduling.k8s.io",))
    level = level_of(tmp_path / "pack", [NOTE], rank_right)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        await make(admin, rank("theirs", 100))
        await begin(place, level, record, store)
        await admin.delete(await admin.resource("PriorityClass"), "", "theirs")
        await place.pace.through(take_down(record, level, place.cluster, store))
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_what_is_ours_goes_without_its_label_too(place: Place, tmp_path: Path) -> None:
    """A player takes the label off what the level brought, and may not make anything of that kind."""
    store = Store(tmp_path / "progress.sqlite3")
    rights = (
        Right(verbs=("patch",), resources=("priorityclasses.scheduling.k8s.io",)),
        Right(verbs=("patch",), resources=("configmaps",), names=("by-the-pack",), namespaces=("kube-system",)),
    )
    pack = [NOTE, rank("express", 7), thing("ConfigMap", "by-the-pack", namespace="kube-system")]
    level = level_of(tmp_path / "pack", pack, *rights)
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            bare = {"metadata": {"labels": {LABEL_ATTEMPT: None}}}
            await player.patch(await player.resource("PriorityClass"), "", "express", bare)
            await player.patch(await player.resource("ConfigMap"), "kube-system", "by-the-pack", bare)
        await place.pace.through(take_down(record, level, place.cluster, store))
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_a_context_that_is_not_there_any_more_holds_nobody_up(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken out of the kubeconfig; when it is back, what was left behind it goes."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE])
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        await begin(place, level, record, store)
        aside = place.kubeconfig.rename(tmp_path / "aside")
        await take_down(record, level, ContextCluster(place.cluster.name), store)
        current = store.attempt(record.id)
        assert current is not None
        assert current.sandbox
        aside.rename(place.kubeconfig)
        await place.pace.through(take_down(record, level, place.cluster, store))
        assert differences(before, await dump(admin)) == {}
    store.close()


async def test_reset_removes_what_a_killed_proof_left(place: Place, tmp_path: Path) -> None:
    """No record knows of it."""
    level = level_of(tmp_path / "pack", [NOTE, volume("shelf")], VOLUMES, namespace="pit")
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        sandbox = await place.cluster.sandbox("proof-0123456789ab")
        arena = Arena(level, sandbox, "0123456789ab")
        await place.pace.through(arena.prepare(take_inventory=True))
        await arena.close()
        await place.pace.through(place.cluster.reset())
        await place.pace.pass_by(5)
        assert differences(before, await dump(admin)) == {}


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_a_free_volume_that_an_attempt_claimed_is_free_again(place: Place, tmp_path: Path, policy: str) -> None:
    """Nobody needs a right on volumes for that: a claim takes what fits."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE])
    record = record_of(level)
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "none",
    }
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, volume("spare", persistentVolumeReclaimPolicy=policy))
        await place.pace.pass_by(5)
        before = await dump(admin)
        async with Api.open(await begin(place, level, record, store)) as player:
            await make(player, thing("PersistentVolumeClaim", "data", namespace="pit", spec=spec))
            await place.pace.pass_by(10)
            assert differences(before, await dump(admin))["persistentvolumes /spare"]
        for writes in (9, 10, 11, None):  # in between the process is killed
            with _mortal(writes), suppress(Killed):
                await place.pace.through(take_down(record, level, place.cluster, store))
        await place.pace.pass_by(10)
        assert differences(before, await dump(admin)) == {}
        live = await admin.read(await admin.resource("PersistentVolume"), "", "spare")
        assert live is not None
        assert live["status"]["phase"] == "Available"
    store.close()


async def test_no_stock_is_taken_without_the_namespaces(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """They tell which cluster it is: nothing of it is undone on another."""
    get = Api.get

    async def busy(api: Api, path: str, **params: str) -> Any:
        if path == "/api/v1/namespaces":
            raise ApiError("the server is busy", code=503)
        return await get(api, path, **params)

    async with Api.open(place.kubeconfig) as admin:
        assert cluster_of(await take_stock(admin, (), alone=False))
        monkeypatch.setattr(Api, "get", busy)
        with pytest.raises(ApiError, match="the server is busy"):
            await take_stock(admin, (), alone=False)
