"""Owner references: background, foreground and orphan deletion, absent owners."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.controllers.garbage_collector import GarbageCollector
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


def ref(owner: Obj, *, block: bool = True, **more: Any) -> Obj:
    meta = owner["metadata"]
    base = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return base | {"blockOwnerDeletion": block} | more


async def config(cluster: Cluster, name: str, *owners: Obj, **more: Any) -> Obj:
    return await cluster.create(
        "configmaps", name, metadata={"ownerReferences": list(owners)} if owners else {}, **more
    )


async def chain(cluster: Cluster) -> None:
    cluster.start(GarbageCollector(cluster.client))
    top = await config(cluster, "top")
    middle = await config(cluster, "middle", ref(top))
    await config(cluster, "bottom", ref(middle))
    await cluster.run()


async def test_dependents_follow_their_owner(cluster: Cluster) -> None:
    await chain(cluster)
    await cluster.delete("configmaps", "top")
    await cluster.run()
    assert not cluster.client.list("configmaps")


async def test_foreground_takes_dependents_first(cluster: Cluster) -> None:
    await chain(cluster)
    order: list[str] = []
    cluster.store.listen(
        "configmaps", lambda event: order.append(event.obj.key.name) if event.type == "DELETED" else None
    )
    await cluster.delete("configmaps", "top", propagation="Foreground")
    assert cluster.get("configmaps", "top")["metadata"]["deletionTimestamp"]
    await cluster.run()
    assert order == ["bottom", "middle", "top"]


async def test_a_circle_of_owners_does_not_wait_for_itself(cluster: Cluster) -> None:
    cluster.start(GarbageCollector(cluster.client))
    made = [await config(cluster, name) for name in ("one", "two", "three")]
    for owned, owner in zip(made, made[-1:] + made[:-1], strict=True):
        patch = {"metadata": {"ownerReferences": [ref(owner, controller=True)]}}
        await cluster.client.patch("configmaps", "default", owned["metadata"]["name"], patch)
    await cluster.run()
    await cluster.delete("configmaps", "one", propagation="Foreground")
    await cluster.run()
    assert not cluster.client.list("configmaps")


async def test_orphans_stay(cluster: Cluster) -> None:
    await chain(cluster)
    await cluster.delete("configmaps", "top", propagation="Orphan")
    await cluster.run()
    assert [obj["metadata"]["name"] for obj in cluster.client.list("configmaps")] == ["bottom", "middle"]
    assert "ownerReferences" not in cluster.get("configmaps", "middle")["metadata"]


async def test_one_living_owner_is_enough(cluster: Cluster) -> None:
    cluster.start(GarbageCollector(cluster.client))
    one, two = await config(cluster, "one"), await config(cluster, "two")
    await config(cluster, "shared", ref(one), ref(two))
    await cluster.delete("configmaps", "one")
    await cluster.run()
    assert [owner["name"] for owner in cluster.get("configmaps", "shared")["metadata"]["ownerReferences"]] == ["two"]


async def test_an_owner_that_never_was_is_absent(cluster: Cluster) -> None:
    cluster.start(GarbageCollector(cluster.client))
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "nobody"}
    await config(cluster, "haunted", ghost)
    await cluster.run()
    assert cluster.gone("configmaps", "haunted")


async def test_an_owner_in_another_namespace_is_absent(cluster: Cluster) -> None:
    cluster.start(GarbageCollector(cluster.client))
    owner = await cluster.create("configmaps", "far", namespace="other")
    await config(cluster, "near", ref(owner))
    await cluster.run()
    assert cluster.gone("configmaps", "near")
    assert cluster.events("OwnerRefInvalidNamespace")


async def test_a_namespaced_owner_of_a_cluster_scoped_object_is_left_alone(cluster: Cluster) -> None:
    cluster.start(GarbageCollector(cluster.client))
    owner = await config(cluster, "inside")
    await cluster.create("nodes", "n1", metadata={"ownerReferences": [ref(owner)]})
    await cluster.delete("configmaps", "inside")
    await cluster.run()
    assert not cluster.gone("nodes", "n1")
    assert cluster.events("OwnerRefInvalidNamespace")


async def test_finds_what_happened_while_it_was_away(cluster: Cluster) -> None:
    top = await config(cluster, "top")
    await config(cluster, "left", ref(top))
    await cluster.delete("configmaps", "top")
    cluster.start(GarbageCollector(cluster.client))
    await cluster.run()
    assert cluster.gone("configmaps", "left")


@settings(max_examples=40)
@given(
    edges=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14),
    doomed=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["Background", "Foreground"])), max_size=6),
)
def test_leaves_nothing_that_has_only_dead_owners(edges: list[tuple[int, int]], doomed: list[tuple[int, str]]) -> None:
    """For random graphs (younger objects own older ones' numbers never: no cycles) and deletions in any order."""

    async def scenario() -> None:
        cluster = Cluster()
        cluster.start(GarbageCollector(cluster.client))
        try:
            made: list[Obj] = []
            for number in range(8):
                owners = {low for low, high in edges if high == number and low < number}
                made.append(await config(cluster, f"c{number}", *[ref(made[owner]) for owner in sorted(owners)]))
            for number, policy in doomed:
                if not cluster.gone("configmaps", f"c{number}"):
                    await cluster.delete("configmaps", f"c{number}", propagation=policy)
            await cluster.run(5)
            alive = {obj["metadata"]["uid"] for obj in cluster.client.list("configmaps")}
            for number, obj in enumerate(made):
                owners = {low for low, high in edges if high == number and low < number}
                expected = number not in {one for one, _ in doomed} and (
                    not owners or any(made[owner]["metadata"]["uid"] in alive for owner in owners)
                )
                assert (obj["metadata"]["uid"] in alive) == expected
            for obj in cluster.client.list("configmaps"):
                assert not obj["metadata"].get("deletionTimestamp")
        finally:
            await cluster.stop()

    asyncio.run(scenario())
