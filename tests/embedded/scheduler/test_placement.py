"""Where pods go, and who has to make room."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.scheduler.requests import pod_requests
from tests.embedded.scheduler.conftest import Scheduled


async def test_like_pods_spread_over_nodes(three: Scheduled) -> None:
    for number in range(6):
        await three.pod(f"p{number}", cpu="100m")
    await three.run()
    places = [three.place(f"p{number}") for number in range(6)]
    assert sorted(places) == ["n1", "n1", "n2", "n2", "n3", "n3"]


async def test_pods_of_a_service_spread_over_zones(three: Scheduled) -> None:
    await three.create("services", "s", spec={"selector": {"app": "x"}})
    for number in range(2):
        await three.pod(f"p{number}", labels={"app": "x"})
    await three.run()
    assert "n3" in {three.place("p0"), three.place("p1")}


async def test_a_node_without_the_label_to_spread_over_is_the_worst(three: Scheduled) -> None:
    await three.node("n4", cpu="64")
    rule = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    for number in range(4):
        constraint = rule | {"labelSelector": {"matchLabels": {"app": "x"}}}
        await three.pod(f"p{number}", labels={"app": "x"}, topologySpreadConstraints=[constraint])
        await three.run()
    zones = ["zb" if three.place(f"p{number}") == "n3" else "za" for number in range(4)]
    assert "n4" not in {three.place(f"p{number}") for number in range(4)}
    assert sorted(zones) == ["za", "za", "zb", "zb"]


async def test_pods_of_a_replication_controller_spread_over_zones(three: Scheduled) -> None:
    await three.create("replicationcontrollers", "rc", spec={"selector": {"app": "x"}})
    owner = {"apiVersion": "v1", "kind": "ReplicationController", "name": "rc", "uid": "u", "controller": True}
    for number in range(2):
        spec = {"containers": [{"name": "c", "image": "i"}], "schedulerName": "default-scheduler"}
        meta = {"labels": {"app": "x"}, "ownerReferences": [owner]}
        await three.create("pods", f"p{number}", metadata=meta, spec=spec)
        await three.run()
    assert "n3" in {three.place("p0"), three.place("p1")}


async def test_fewer_of_the_least_important_go(cluster: Scheduled) -> None:
    await cluster.node("n1", cpu="2")
    await cluster.node("n2", cpu="2")
    on = {name: {"nodeSelector": {"kubernetes.io/hostname": name}} for name in ("n1", "n2")}
    await cluster.pod("one", cpu="2", priority=-5, **on["n1"])
    for number in range(2):
        await cluster.pod(f"two{number}", cpu="1", priority=-5, **on["n2"])
    await cluster.run()
    await cluster.pod("high", cpu="2", priority=10)
    await cluster.run()
    assert cluster.place("high") == "n1"
    assert cluster.gone("pods", "one")


async def test_preferences_count(three: Scheduled) -> None:
    await three.edit("nodes", "n2", {"metadata": {"labels": {"disk": "ssd"}}})
    preference = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    affinity = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "preference": preference}]}
    }
    await three.pod("p", affinity=affinity)
    await three.run()
    assert three.place("p") == "n2"


async def test_prefer_no_schedule_is_avoided(three: Scheduled) -> None:
    for name in ("n1", "n2"):
        await three.edit("nodes", name, {"spec": {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}})
    await three.pod("p")
    await three.run()
    assert three.place("p") == "n3"


async def test_a_more_important_pod_takes_the_room(cluster: Scheduled) -> None:
    await cluster.node("n1")
    await cluster.pod("low", cpu="3", priority=1)
    await cluster.pod("mid", cpu="1", priority=5)
    await cluster.run()
    await cluster.pod("high", cpu="3", priority=10)
    await cluster.run(0.1)
    assert cluster.get("pods", "high")["status"]["nominatedNodeName"] == "n1"
    assert cluster.why("high") == "0/1 nodes are available: 1 Insufficient cpu."
    low = cluster.get("pods", "low")
    assert low["metadata"]["deletionTimestamp"]
    target = next(one for one in low["status"]["conditions"] if one["type"] == "DisruptionTarget")
    assert target["reason"] == "PreemptionByScheduler"
    uid = cluster.get("pods", "high")["metadata"]["uid"]
    assert cluster.events("Preempted", "Pod/low") == [f"Preempted by pod {uid} on node n1"]
    await cluster.run()
    assert cluster.place("high") == "n1"
    assert cluster.place("mid") == "n1"
    assert cluster.gone("pods", "low")


async def test_the_promised_room_is_kept_from_the_less_important(cluster: Scheduled) -> None:
    await cluster.node("n1")
    await cluster.pod("low", cpu="4", priority=1)
    await cluster.run()
    await cluster.pod("high", cpu="4", priority=10)
    await cluster.run(0.1)
    await cluster.pod("sneak", cpu="4", priority=2)
    await cluster.run(5)
    assert cluster.place("high") == "n1"
    assert not cluster.place("sneak")


async def test_never_preempting(cluster: Scheduled) -> None:
    await cluster.node("n1")
    await cluster.pod("low", cpu="4")
    await cluster.run()
    await cluster.pod("high", cpu="4", priority=10, preemptionPolicy="Never")
    await cluster.run()
    assert cluster.why("high") == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, "
        "preemption: not eligible due to preemptionPolicy=Never."
    )


async def test_disruption_budgets_are_spared_if_possible(three: Scheduled) -> None:
    await three.edit("nodes", "n3", {"spec": {"unschedulable": True}})
    await three.pod("guarded", cpu="4", labels={"app": "g"}, nodeSelector={"kubernetes.io/hostname": "n1"})
    await three.pod("free", cpu="4", nodeSelector={"kubernetes.io/hostname": "n2"}, priority=3)
    budget = {"spec": {"selector": {"matchLabels": {"app": "g"}}}, "status": {"disruptionsAllowed": 0}}
    await three.create("poddisruptionbudgets.policy", "b", **budget)
    await three.run()
    await three.pod("high", cpu="4", priority=10)
    await three.run()
    assert three.place("high") == "n2"
    assert three.place("guarded") == "n1"


async def test_important_pods_are_placed_first(cluster: Scheduled) -> None:
    await cluster.pod("low", cpu="3", priority=0)
    await cluster.pod("high", cpu="3", priority=9)
    await cluster.node("n1")
    await cluster.run()
    assert cluster.place("high") == "n1"
    assert not cluster.place("low")


async def test_a_terminating_node_resident_still_counts(cluster: Scheduled) -> None:
    await cluster.node("n1")
    await cluster.pod("a", cpu="4")
    await cluster.run()
    await cluster.delete("pods", "a")
    await cluster.pod("b", cpu="4")
    await cluster.run(0.1)
    assert not cluster.place("b")
    await cluster.run()
    assert cluster.place("b") == "n1"


async def test_waits_for_a_volume_of_the_chosen_node(three: Scheduled) -> None:
    await three.create(
        "storageclasses.storage.k8s.io", "late", provisioner="x", volumeBindingMode="WaitForFirstConsumer"
    )
    spec = {"storageClassName": "late", "accessModes": ["ReadWriteOnce"]}
    await three.create("persistentvolumeclaims", "data", spec=spec | {"resources": {"requests": {"storage": "1Gi"}}})
    await three.pod("user", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    await three.run()
    chosen = three.get("persistentvolumeclaims", "data")["metadata"]["annotations"][
        "volume.kubernetes.io/selected-node"
    ]
    assert not three.place("user")
    assert three.get("pods", "user")["status"]["nominatedNodeName"] == chosen
    await three.create("persistentvolumes", "v", spec={})
    done = {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v"}}
    await three.edit("persistentvolumeclaims", "data", done)
    await three.run()
    assert three.place("user") == chosen


def test_requests_of_a_pod_with_init_containers_and_sidecars() -> None:
    def container(cpu: str, **more: str) -> dict[str, object]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}} | more

    spec = {
        "containers": [container("1"), container("500m")],
        "initContainers": [container("200m", restartPolicy="Always"), container("3")],
        "overhead": {"cpu": "10m"},
    }
    assert pod_requests({"spec": spec}) == {"cpu": 3210}


@settings(max_examples=30)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=14),
    nodes=st.lists(st.integers(2, 6), min_size=1, max_size=4),
)
def test_no_node_is_ever_overcommitted(sizes: list[tuple[int, int]], nodes: list[int]) -> None:
    """And nothing waits that would fit, once all is quiet."""

    async def scenario() -> None:
        cluster = Scheduled()
        cluster.schedule()
        try:
            for number, cpu in enumerate(nodes):
                await cluster.node(f"n{number}", cpu=str(cpu))
            for number, (cpu, priority) in enumerate(sizes):
                await cluster.pod(f"p{number}", cpu=str(cpu), priority=priority)
                await cluster.run(0.2)
            await cluster.run(10)
            free = {f"n{number}": cpu for number, cpu in enumerate(nodes)}
            waiting = []
            for pod in cluster.pods():
                cpu = int(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])
                if pod["spec"].get("nodeName"):
                    free[pod["spec"]["nodeName"]] -= cpu
                else:
                    waiting.append(cpu)
            assert min(free.values()) >= 0
            assert all(cpu > max(free.values()) for cpu in waiting)
        finally:
            await cluster.stop()

    asyncio.run(scenario())
