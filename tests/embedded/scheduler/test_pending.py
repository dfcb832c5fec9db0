"""What a pod that finds no node is told."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.clock import FastClock
from kuartui.embedded.scheduler.queue import Queue
from tests.embedded.scheduler.conftest import Scheduled

NOT_HELPFUL = "3 Preemption is not helpful for scheduling."
TAIL = f"no new claims to deallocate, preemption: 0/3 nodes are available: {NOT_HELPFUL}"


async def test_no_nodes(cluster: Scheduled) -> None:
    await cluster.pod("p")
    await cluster.run()
    assert cluster.why("p") == "no nodes available to schedule pods"
    await cluster.node("n1")
    await cluster.run()
    assert cluster.place("p") == "n1"


async def test_selector(three: Scheduled) -> None:
    await three.pod("p", nodeSelector={"disk": "ssd"})
    await three.run()
    text = f"0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. {TAIL}"
    assert three.why("p") == text
    assert three.events("FailedScheduling", "Pod/p") == [text]
    await three.edit("nodes", "n2", {"metadata": {"labels": {"disk": "ssd"}}})
    await three.run()
    assert three.place("p") == "n2"
    assert three.events("Scheduled") == ["Successfully assigned default/p to n2"]


async def test_reasons_are_counted_and_sorted(three: Scheduled) -> None:
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    await three.edit("nodes", "n1", {"spec": {"taints": [taint]}})
    await three.edit("nodes", "n2", {"spec": {"unschedulable": True}})
    await three.pod("p", cpu="5")
    await three.run()
    assert three.why("p") == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
        f"1 node(s) were unschedulable. {TAIL}"
    )


async def test_room_that_others_take_could_be_made(three: Scheduled) -> None:
    for number in range(3):
        await three.pod(f"big{number}", cpu="3")
    await three.pod("p", cpu="2")
    await three.run()
    assert three.why("p") == (
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: "
        "0/3 nodes are available: 3 No preemption victims found for incoming pod."
    )
    await three.delete("pods", "big1", grace=0)
    await three.run()
    assert three.place("p")


async def test_anti_affinity(three: Scheduled) -> None:
    term = {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "x"}}}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for name in ("a", "b", "c"):
        await three.pod(name, labels={"app": "x"}, affinity=apart)
        await three.run()
    assert sorted([three.place("a") in ("n1", "n2"), three.place("b") in ("n1", "n2")]) == [False, True]
    assert three.why("c").startswith("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.")
    await three.pod("stranger", labels={"app": "x"})
    await three.run()
    assert three.why("stranger").startswith(
        "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules."
    )


async def test_affinity_to_nobody(three: Scheduled) -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    await three.pod("web", affinity=near)
    await three.run()
    assert three.why("web") == f"0/3 nodes are available: 3 node(s) didn't match pod affinity rules. {TAIL}"
    await three.pod("db", labels={"app": "db"})
    await three.run()
    assert three.place("web") == three.place("db") != ""


async def test_pods_that_mean_nothing_to_it_are_no_reason_to_try_again(three: Scheduled) -> None:
    def term(app: str) -> dict[str, Any]:
        return {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": app}}}

    required = "requiredDuringSchedulingIgnoredDuringExecution"
    spread = {"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    for node in ("n1", "n3"):
        await three.pod(f"foe-{node}", labels={"app": "foe"}, nodeSelector={"kubernetes.io/hostname": node})
    await three.run()
    await three.pod("near", affinity={"podAffinity": {required: [term("friend")]}})
    await three.pod("far", affinity={"podAntiAffinity": {required: [term("foe")]}})
    await three.pod("even", topologySpreadConstraints=[spread | {"labelSelector": {"matchLabels": {"app": "even"}}}])
    await three.run()
    waiting = ("near", "far", "even")
    assert [len(three.events("FailedScheduling", f"Pod/{name}")) for name in waiting] == [1, 1, 1]
    for name in ("a", "b", "c"):
        await three.pod(name, labels={"app": "nobody"})
        await three.run()
        await three.delete("pods", name, grace=0)
        await three.run()
    assert [len(three.events("FailedScheduling", f"Pod/{name}")) for name in waiting] == [1, 1, 1]
    await three.delete("pods", "foe-n3", grace=0)
    await three.run()
    assert three.place("far") == "n3"


async def test_the_first_of_a_group_may_start_anywhere(three: Scheduled) -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for name in ("a", "b", "c"):
        await three.pod(name, labels={"app": "db"}, affinity=near)
    await three.run()
    assert len({three.place(name) for name in ("a", "b", "c")}) == 1


def spread(key: str, **more: Any) -> list[dict[str, Any]]:
    base = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"}
    return [base | {"labelSelector": {"matchLabels": {"app": "x"}}} | more]


async def test_spread_over_zones(three: Scheduled) -> None:
    await three.edit("nodes", "n3", {"spec": {"unschedulable": True}})
    for name in ("a", "b"):
        await three.pod(name, labels={"app": "x"}, topologySpreadConstraints=spread("topology.kubernetes.io/zone"))
        await three.run()
    assert three.why("b") == (
        "0/3 nodes are available: 1 node(s) were unschedulable, "
        "2 node(s) didn't match pod topology spread constraints. no new claims to deallocate, "
        "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, "
        "2 No preemption victims found for incoming pod."
    )


async def test_spread_without_the_label(three: Scheduled) -> None:
    await three.pod("p", labels={"app": "x"}, topologySpreadConstraints=spread("rack"))
    await three.run()
    assert three.why("p").startswith(
        "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints (missing required label)."
    )


async def test_spread_with_min_domains(three: Scheduled) -> None:
    rules = spread("topology.kubernetes.io/zone", minDomains=3)
    for name in ("a", "b", "c"):
        await three.pod(name, labels={"app": "x"}, topologySpreadConstraints=rules)
    await three.run()
    assert [bool(three.place(name)) for name in ("a", "b", "c")] == [True, True, False]


async def test_spread_counts_only_its_own_revision(three: Scheduled) -> None:
    rules = spread("kubernetes.io/hostname", matchLabelKeys=["rev"])
    for number in range(6):
        labels = {"app": "x", "rev": str(number // 3)}
        await three.pod(f"p{number}", labels=labels, topologySpreadConstraints=rules)
    await three.run()
    assert sorted(three.place(f"p{number}") for number in range(3)) == ["n1", "n2", "n3"]
    assert sorted(three.place(f"p{number}") for number in range(3, 6)) == ["n1", "n2", "n3"]


async def test_host_ports(three: Scheduled) -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}
    for number in range(4):
        await three.pod(f"p{number}", containers=[container])
    await three.run()
    pending = [f"p{number}" for number in range(4) if not three.place(f"p{number}")]
    assert len(pending) == 1
    assert three.why(pending[0]).startswith(
        "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports."
    )
    await three.pod("other")
    await three.run()
    refused = three.events("FailedScheduling", f"Pod/{pending[0]}")
    await three.delete("pods", "other")
    await three.run()
    assert three.events("FailedScheduling", f"Pod/{pending[0]}") == refused, "who held no port makes no room"
    await three.delete("pods", f"p{0 if pending[0] != 'p0' else 1}")
    await three.run()
    assert three.place(pending[0])


async def test_a_missing_claim_is_not_looked_for_when_other_pods_go(three: Scheduled) -> None:
    await three.pod("other")
    await three.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "none"}}])
    await three.run()
    (refused,) = three.events("FailedScheduling", "Pod/p")
    await three.delete("pods", "other")
    await three.run()
    assert three.events("FailedScheduling", "Pod/p") == [refused]
    assert refused.startswith('0/3 nodes are available: persistentvolumeclaim "none" not found.')


async def test_what_changes_of_a_node_is_a_reason_to_try_again_for_whom_it_helps(three: Scheduled) -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    await three.edit("nodes", "n1", {"spec": {"taints": [taint]}})
    await three.edit("nodes", "n2", {"spec": {"unschedulable": True}})
    await three.pod("big", cpu="8", tolerations=[{"operator": "Exists"}])
    await three.pod("picky", nodeSelector={"disk": "ssd"}, tolerations=[{"operator": "Exists"}])
    await three.pod("held", nodeSelector={"kubernetes.io/hostname": "n1"})
    await three.pod("kept", nodeSelector={"kubernetes.io/hostname": "n2"})
    rule = spread("rack")
    await three.pod("even", labels={"app": "x"}, topologySpreadConstraints=rule, tolerations=[{"operator": "Exists"}])
    names = ("big", "picky", "held", "kept", "even")

    async def tried_after(name: str, change: dict[str, Any]) -> set[str]:
        before = {one: len(three.events("FailedScheduling", f"Pod/{one}")) for one in names}
        await three.edit("nodes", name, change)
        await three.run(0.1)
        now = {one: len(three.events("FailedScheduling", f"Pod/{one}")) for one in names}
        return {one for one in names if now[one] > before[one]}

    await three.run(0.1)
    assert await tried_after("n3", {"metadata": {"labels": {"disk": "hdd"}}}) == {"even"}
    assert await tried_after("n3", {"status": {"allocatable": {"cpu": "6"}}}) == set()
    assert await tried_after("n3", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}) == set()
    other = [taint, {"key": "other", "effect": "NoSchedule"}]
    assert await tried_after("n1", {"spec": {"taints": other}}) == {"even"}
    await three.edit("nodes", "n1", {"spec": {"taints": []}})
    await three.edit("nodes", "n2", {"spec": {"unschedulable": False}})
    await three.edit("nodes", "n3", {"status": {"allocatable": {"cpu": "9"}}, "metadata": {"labels": {"disk": "ssd"}}})
    await three.run(0.1)
    assert [three.place(name) for name in names[:4]] == ["n3", "n3", "n1", "n2"]


async def test_what_a_pod_changes_of_itself_matters_where_somebody_looks_at_it(three: Scheduled) -> None:
    for node in ("n1", "n2", "n3"):
        await three.edit("nodes", node, {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    await three.pod("big", cpu="8", tolerations=[{"operator": "Exists"}])
    await three.pod("held")
    await three.run()
    for name in ("big", "held"):
        await three.edit("pods", name, {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}})
        await three.run()
        assert len(three.events("FailedScheduling", f"Pod/{name}")) == 1
    await three.edit("pods", "held", {"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}})
    await three.run()
    assert three.place("held")


@pytest.mark.parametrize("helps", [True, False])
async def test_what_happens_during_an_attempt_is_a_reason_for_another_if_it_helps(helps: bool) -> None:
    queue, name = Queue(FastClock()), ("default", "p")
    queue.add(name, {"metadata": {"uid": "u"}, "spec": {}})
    assert queue.pop() == name
    queue.wake("pod-placed", lambda pod, plugin: helps)
    queue.refused(name, {"InterPodAffinity"})
    assert queue.pop() == (name if helps else None)
    queue.close()


async def test_claims_of_others_are_no_reason_to_try_again(three: Scheduled) -> None:
    await three.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "mine"}}])
    await three.run()
    await three.create("persistentvolumeclaims", "theirs", spec={"storageClassName": "none"})
    await three.run()
    assert len(three.events("FailedScheduling", "Pod/p")) == 1
    await three.create("persistentvolumeclaims", "mine", spec={"storageClassName": "none"})
    await three.run()
    assert len(three.events("FailedScheduling", "Pod/p")) == 2


async def test_too_many_pods(cluster: Scheduled) -> None:
    await cluster.node("n1", pods="1")
    await cluster.pod("a")
    await cluster.run()
    await cluster.pod("b")
    await cluster.run()
    assert cluster.why("b").startswith("0/1 nodes are available: 1 Too many pods.")


async def test_a_daemon_pod_looks_at_its_node_only(three: Scheduled) -> None:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    await three.pod("d", cpu="9", affinity=affinity)
    await three.run()
    assert three.why("d").startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


async def test_gates_and_other_schedulers(three: Scheduled) -> None:
    await three.pod("gated", schedulingGates=[{"name": "example.com/hold"}])
    await three.pod("foreign", schedulerName="mine")
    await three.run()
    assert not three.place("gated")
    assert not three.place("foreign")
    assert "conditions" not in three.get("pods", "foreign")["status"]
    await three.edit("pods", "gated", {"spec": {"schedulingGates": None}})
    await three.run()
    assert three.place("gated")


async def test_a_claim_that_is_missing_or_unbound(three: Scheduled) -> None:
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    await three.pod("user", volumes=volumes)
    await three.run()
    assert three.why("user") == '0/3 nodes are available: persistentvolumeclaim "data" not found. not found'
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await three.create("persistentvolumeclaims", "data", spec=spec)
    await three.run()
    assert three.why("user") == "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"


async def test_a_volume_on_another_node(three: Scheduled) -> None:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n2"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    await three.create("persistentvolumes", "v", spec={"nodeAffinity": affinity})
    bound = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    await three.create("persistentvolumeclaims", "data", metadata=bound, spec={"volumeName": "v"})
    await three.edit("nodes", "n2", {"spec": {"unschedulable": True}})
    await three.pod("user", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    await three.run()
    assert three.why("user").startswith(
        "0/3 nodes are available: 1 node(s) were unschedulable, "
        "2 node(s) didn't match PersistentVolume's node affinity."
    )
    await three.edit("nodes", "n2", {"spec": {"unschedulable": None}})
    await three.run()
    assert three.place("user") == "n2"


def resized(cluster: Scheduled, name: str, asked: str, granted: str, reason: str = "") -> None:
    """A pod that was asked to take another amount of CPU, as its kubelet tells of it."""
    pod = cluster.store.get("pods", "default", name)
    assert pod is not None
    new = pod.mutable()
    new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = asked
    new["status"]["containerStatuses"] = [{"name": "c", "allocatedResources": {"cpu": granted}}]
    if reason:
        new["status"]["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": reason}]
    cluster.store.update("pods", "default", name, new, None)


async def test_room_that_a_resize_gives_back_is_used_once_it_is_free(cluster: Scheduled) -> None:
    await cluster.node("n1")
    await cluster.pod("big", cpu="3")
    await cluster.run()
    await cluster.pod("waiting", cpu="2")
    await cluster.run()
    assert not cluster.place("waiting")
    resized(cluster, "big", asked="1", granted="3")
    await cluster.run()
    assert not cluster.place("waiting")
    resized(cluster, "big", asked="1", granted="1")
    await cluster.run()
    assert cluster.place("waiting") == "n1"


@pytest.mark.parametrize(("reason", "placed"), [("Infeasible", "n1"), ("Deferred", "")])
async def test_a_resize_takes_room_unless_it_can_never_be(cluster: Scheduled, reason: str, placed: str) -> None:
    await cluster.node("n1")
    await cluster.pod("big", cpu="1")
    await cluster.run()
    resized(cluster, "big", asked="4", granted="1", reason=reason)
    await cluster.pod("other", cpu="2")
    await cluster.run()
    assert cluster.place("other") == placed
