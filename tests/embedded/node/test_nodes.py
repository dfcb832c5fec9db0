"""Nodes: how they register, report, fail, recover, refuse and evict; logs; resize."""

from __future__ import annotations

import errno
import json
import sqlite3
from datetime import datetime, timedelta

import pytest

from kuartui.embedded.metrics.kubelet import KubeletPages
from kuartui.embedded.metrics.usage import SYSTEM_MEMORY, Usage
from kuartui.embedded.node.fleet import NodeUnreachable, NoSuchContainer
from kuartui.embedded.node.logs import NoLog
from kuartui.embedded.node.machine import Machine
from kuartui.embedded.node.volumes.disks import Disks
from kuartui.embedded.store import Store


def condition(node, type_):
    return next(one for one in node["status"]["conditions"] if one["type"] == type_)


async def test_a_node_registers_and_renews_its_lease(cluster):
    node = cluster.client.get("nodes", "", "one")
    assert condition(node, "Ready")["reason"] == "KubeletReady"
    assert cluster.events("NodeReady", "one") == ["Node one status is now: NodeReady"]
    assert condition(node, "MemoryPressure")["message"] == "kubelet has sufficient memory available"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.2"
    assert node["status"]["allocatable"]["cpu"] == "4"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "one"
    lease = cluster.client.get("leases.coordination.k8s.io", "kube-node-lease", "one")
    first = lease["spec"]["renewTime"]
    await cluster.run(11)
    lease = cluster.client.get("leases.coordination.k8s.io", "kube-node-lease", "one")
    assert lease["spec"]["renewTime"] > first


async def test_a_disk_that_is_full_for_a_while_ends_no_node(cluster, monkeypatch):
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(cluster.store, "update", full)
        await cluster.run(35)
    await cluster.run(15)
    lease = cluster.client.get("leases.coordination.k8s.io", "kube-node-lease", "one")
    assert (cluster.now() - datetime.fromisoformat(lease["spec"]["renewTime"])).total_seconds() < 15


async def test_volumes_are_written_once_there_is_room(tmp_path, make_cluster, monkeypatch):
    made = make_cluster([Machine("one", "172.18.0.2", "10.244.1.0/24")], Disks(tmp_path / "volumes"))
    await made.fleet.start()
    save = made.fleet.disks.save

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(made.fleet.disks, "save", full)
    made.fleet.disks.volume("csi/d/h").fs.write_file("/f", b"kept")
    await made.run(20)
    monkeypatch.setattr(made.fleet.disks, "save", save)
    await made.run(10)
    assert Disks(tmp_path / "volumes").volume("csi/d/h").fs.read_file("/f") == b"kept"
    await made.fleet.stop()
    await made.run(0)


async def test_a_lease_that_was_made_without_a_node_belongs_to_the_next_one(cluster):
    node = cluster.client.get("nodes", "", "one")
    cluster.store.delete("nodes", "", "one")
    cluster.store.delete("leases.coordination.k8s.io", "kube-node-lease", "one")
    await cluster.run(15)
    await cluster.client.create("nodes", {**node, "metadata": {"name": "one"}})
    await cluster.run(15)
    lease = cluster.client.get("leases.coordination.k8s.io", "kube-node-lease", "one")
    (owner,) = lease["metadata"]["ownerReferences"]
    assert owner["uid"] == cluster.client.get("nodes", "", "one")["metadata"]["uid"] != node["metadata"]["uid"]


async def test_a_node_has_a_csinode_that_goes_with_it(cluster):
    node, drivers = cluster.client.get("nodes", "", "one"), cluster.client.get("csinodes.storage.k8s.io", "", "one")
    (owner,) = drivers["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Node", node["metadata"]["uid"])
    assert not drivers["spec"]["drivers"]


async def test_pulled_images_are_listed(cluster):
    await cluster.pod()
    await cluster.run(15)
    node = cluster.client.get("nodes", "", "one")
    assert [image["names"][1] for image in node["status"]["images"]] == ["docker.io/library/box:1"]


async def test_what_an_administrator_adds_to_a_nodes_capacity_can_soon_be_allocated(cluster):
    async def allocatable(dongles):
        await cluster.client.patch(
            "nodes", "", "one", {"status": {"capacity": {"example.com/dongle": dongles}}}, "status"
        )
        await cluster.run(21)
        return cluster.client.get("nodes", "", "one")["status"]["allocatable"]

    assert (await allocatable("4"))["example.com/dongle"] == "4"
    assert "example.com/dongle" not in await allocatable(None)


async def test_a_kubelet_tells_once_that_its_node_is_cordoned_and_that_it_is_not(cluster):
    told = ["Node one status is now: NodeNotSchedulable"]
    await cluster.run(11)
    assert cluster.events("NodeSchedulable", "one") == []
    await cluster.client.patch("nodes", "", "one", {"spec": {"unschedulable": True}})
    await cluster.run(35)
    assert cluster.events("NodeNotSchedulable", "one") == told
    await cluster.client.patch("nodes", "", "one", {"spec": {"unschedulable": None}})
    await cluster.run(35)
    assert cluster.events("NodeNotSchedulable", "one") == told
    assert cluster.events("NodeSchedulable", "one") == ["Node one status is now: NodeSchedulable"]


async def test_power_failure_and_return(cluster):
    await cluster.pod()
    await cluster.run()
    lease = cluster.client.get("leases.coordination.k8s.io", "kube-node-lease", "one")
    await cluster.fleet.fail("one")
    await cluster.run(60)
    assert cluster.client.get("leases.coordination.k8s.io", "kube-node-lease", "one") == lease
    assert cluster.status()["state"].get("running")
    assert cluster.network.host("10.244.1.2") is None
    with pytest.raises(NodeUnreachable, match="connect: no route to host"):
        await cluster.logs()
    await cluster.fleet.recover("one")
    await cluster.run()
    assert cluster.status()["restartCount"] == 1
    assert cluster.status()["lastState"]["terminated"]["exitCode"] == 255
    assert cluster.status()["lastState"]["terminated"]["reason"] == "Unknown"
    assert cluster.get()["status"]["phase"] == "Running"
    assert cluster.events("SandboxChanged") == ["Pod sandbox changed, it will be killed and re-created."]


async def test_what_is_on_a_nodes_disk_outlives_a_power_failure(cluster):
    volumes = [{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}]
    mounts = [{"name": one["name"], "mountPath": f"/{one['name']}"} for one in volumes]
    await cluster.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    await cluster.run()
    await cluster.exec("touch", "/disk/f", "kept")
    await cluster.exec("touch", "/memory/f", "lost")
    await cluster.fleet.fail("one")
    await cluster.run(60)
    await cluster.fleet.recover("one")
    await cluster.run()
    assert await cluster.exec("show", "/disk/f") == (0, "kept\n")
    assert (await cluster.exec("show", "/memory/f"))[0] != 0
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(40)
    assert not cluster.exists()
    assert not [key for key in cluster.fleet.disks._volumes if key.startswith("pod/")]


async def test_a_machine_that_comes_back_has_booted_anew(cluster):
    def boot_id():
        return cluster.client.get("nodes", "", "one")["status"]["nodeInfo"]["bootID"]

    boots = [boot_id()]
    for _ in range(2):
        await cluster.fleet.fail("one")
        await cluster.run(60)
        await cluster.fleet.recover("one")
        await cluster.run()
        boots.append(boot_id())
    assert len(set(boots)) == 3
    told = [f"Node one has been rebooted, boot id: {boot}" for boot in boots[1:]]
    assert cluster.events("Rebooted", "one") == told
    await cluster.fleet.pause("one")
    await cluster.fleet.pause("one", paused=False)
    await cluster.run()
    assert boot_id() == boots[-1]


async def test_what_was_deleted_while_its_machine_was_down_goes_without_a_new_sandbox(cluster):
    await cluster.pod()
    await cluster.run()
    await cluster.fleet.fail("one")
    await cluster.client.delete("pods", "default", "p")
    await cluster.fleet.recover("one")
    await cluster.run(5)
    assert not cluster.exists()
    assert cluster.events("SandboxChanged") == []


async def test_a_stopped_kubelet_leaves_containers_running(cluster):
    await cluster.pod()
    await cluster.pod("doomed")
    await cluster.run()
    await cluster.fleet.pause("one")
    await cluster.client.delete("pods", "default", "doomed")
    await cluster.pod("late")
    await cluster.run(60)
    assert cluster.exists("doomed")
    assert cluster.get("late")["status"] == {"phase": "Pending"}
    with pytest.raises(NodeUnreachable, match="connect: connection refused"):
        await cluster.logs()
    await cluster.fleet.pause("one", False)
    await cluster.run()
    assert not cluster.exists("doomed")
    assert cluster.get("late")["status"]["phase"] == "Running"
    assert cluster.status()["restartCount"] == 0


async def test_a_stopped_kubelet_restarts_and_probes_nothing(cluster):
    probe = {"exec": {"command": ["check", "/ok"]}, "periodSeconds": 1, "failureThreshold": 1}
    await cluster.pod("short", containers=[{"name": "c", "command": ["fail", "3", "10"]}])
    await cluster.pod("ill", containers=[{"name": "c", "livenessProbe": probe}])
    await cluster.pod("late", activeDeadlineSeconds=30)
    await cluster.run(0.5)
    await cluster.exec("touch", "/ok", name="ill")
    await cluster.run(5)
    await cluster.fleet.pause("one")
    workers = {worker.pod["metadata"]["name"]: worker for worker in cluster.fleet.kubelets["one"].workers.values()}
    ill = workers["ill"].state.last("c")
    ill.living.files.remove("/ok")
    await cluster.run(60)
    assert workers["short"].state.last("c").exited
    assert workers["short"].state.last("c").restarts == 0
    assert ill.running
    assert ill.liveness is not False
    assert workers["late"].state.last("c").running
    await cluster.fleet.pause("one", False)
    await cluster.run(5)
    assert cluster.status("short")["restartCount"] == 1
    assert cluster.status("ill")["restartCount"] > 0
    assert cluster.get("late")["status"]["reason"] == "DeadlineExceeded"


async def test_a_new_process_restarts_what_ran_and_keeps_claims(tmp_path, make_cluster):
    store = Store()
    machine = Machine("one", "172.18.0.2", "10.244.1.0/24")
    first = make_cluster([machine], Disks(tmp_path), store)
    await first.fleet.start()
    pv = {"metadata": {"name": "pv1"}, "spec": {"csi": {"driver": "d", "volumeHandle": "h"}}}
    await first.client.create("persistentvolumes", pv)
    claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "pv1"}}
    await first.client.create("persistentvolumeclaims", claim | {"status": {"phase": "Bound"}})
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    await first.pod(volumes=volumes, containers=[{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/d"}]}])
    await first.run()
    await first.exec("touch", "/d/f", "kept")
    await first.run(6)
    for kubelet in first.fleet.kubelets.values():
        kubelet.off()  # as kill -9 would: nothing is saved now
    await first.run(0)

    second = make_cluster([machine], Disks(tmp_path), store)
    await second.fleet.start()
    await second.run()
    assert second.status()["restartCount"] == 1
    assert await second.exec("show", "/d/f") == (0, "kept\n")
    await second.fleet.stop()
    await second.run(0)


async def test_what_does_not_fit_is_rejected(cluster):
    big = [{"name": "c", "resources": {"requests": {"cpu": "5"}}}]
    await cluster.pod(containers=big)
    await cluster.run(0.25)
    assert cluster.get()["status"]["phase"] == "Pending"  # who replaces such pods for ever needs time for it
    await cluster.run()
    status = cluster.get()["status"]
    assert (status["phase"], status["reason"], status["observedGeneration"]) == ("Failed", "OutOfcpu", 1)
    assert status["message"] == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000"
    )
    await cluster.pod("other", nodeSelector={"disk": "ssd"})
    await cluster.run()
    assert cluster.get("other")["status"]["reason"] == "NodeAffinity"
    await cluster.client.delete("pods", "default", "p")
    await cluster.run()
    assert not cluster.exists()


async def test_memory_pressure_evicts_the_worst(cluster):
    await cluster.pod("good")
    hook = {"preStop": {"exec": {"command": ["fail", "1"]}}}
    await cluster.pod("hog", containers=[{"name": "c", "command": ["hog", "8000"], "lifecycle": hook}])
    await cluster.run(15)
    assert cluster.events("FailedPreStopHook", "hog")
    status = cluster.get("hog")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"].startswith("The node was low on resource: memory. Threshold quantity: 100Mi, available: ")
    assert status["message"].endswith(
        "Container c was using 8192000Ki, request is 0, has larger consumption of memory. "
    )
    assert cluster.condition("DisruptionTarget", "hog")["reason"] == "TerminationByKubelet"
    assert cluster.get("good")["status"]["phase"] == "Running"
    node = cluster.client.get("nodes", "", "one")
    assert condition(node, "MemoryPressure")["reason"] == "KubeletHasInsufficientMemory"
    assert cluster.events("EvictionThresholdMet", "one") == ["Attempting to reclaim memory"]
    told = "Node one status is now: NodeHasInsufficientMemory"
    assert cluster.events("NodeHasInsufficientMemory", "one") == [told]
    await cluster.run(320)
    assert len(cluster.events("NodeHasSufficientMemory", "one")) == 2
    assert condition(cluster.client.get("nodes", "", "one"), "MemoryPressure")["status"] == "False"


async def test_what_the_node_needs_is_not_evicted(cluster):
    await cluster.pod("good")
    hog = [{"name": "c", "command": ["hog", "8000"]}]
    await cluster.pod("critical", containers=hog, priority=2_000_000_000)
    await cluster.run(15)
    assert cluster.get("critical")["status"]["phase"] == "Running"
    assert cluster.get("good")["status"]["reason"] == "Evicted"


async def test_others_make_room_for_what_the_node_needs(cluster):
    def asking(cpu, **more):
        return [{"name": "c", "resources": {"requests": {"cpu": cpu}, **more}}]

    guaranteed = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
    await cluster.pod("sure", containers=[{"name": "c", "resources": guaranteed}])
    await cluster.pod("small", containers=asking("1"))
    stubborn = asking("2")
    stubborn[0]["command"] = ["stubborn"]
    await cluster.pod("large", containers=stubborn, terminationGracePeriodSeconds=10)
    await cluster.pod("nothing")
    await cluster.run()
    await cluster.pod("critical", containers=asking("1500m"), priority=2_000_000_000)
    await cluster.run(5)
    assert cluster.get("critical")["status"]["phase"] == "Pending"
    assert cluster.events("Preempting", "large") == ["Preempted in order to admit critical pod"]
    await cluster.run(10)
    status = cluster.get("large")["status"]
    message = "Preempted in order to admit critical pod"
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Preempting", message)
    assert cluster.condition("DisruptionTarget", "large")["reason"] == "TerminationByKubelet"
    phases = [cluster.get(name)["status"]["phase"] for name in ("critical", "sure", "small", "nothing")]
    assert phases == ["Running"] * 4
    await cluster.pod("hopeless", containers=asking("5"), priority=2_000_000_000)
    await cluster.run()
    status = cluster.get("hopeless")["status"]
    assert status["reason"] == "UnexpectedAdmissionError"
    assert status["message"] == (
        "Pod was rejected: Unexpected error while attempting to recover from admission failure: preemption: error "
        "finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 2500), ]"
    )


async def test_disk_limits(cluster):
    volumes = [{"name": "cache", "emptyDir": {"sizeLimit": "1Ki"}}]
    mounts = [{"name": "cache", "mountPath": "/cache"}]
    await cluster.pod("volume", volumes=volumes, containers=[{"name": "c", "volumeMounts": mounts}])
    limits = {"limits": {"ephemeral-storage": "1Ki"}}
    await cluster.pod("layer", containers=[{"name": "c", "resources": limits}])
    await cluster.run()
    await cluster.exec("touch", "/cache/f", "x" * 2000, name="volume")
    await cluster.exec("touch", "/tmp/f", "x" * 2000, name="layer")
    await cluster.run(15)
    message = 'Usage of EmptyDir volume "cache" exceeds the limit "1Ki". '
    assert cluster.get("volume")["status"]["message"] == message
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. "
    assert cluster.get("layer")["status"]["message"] == message


async def test_disk_limits_of_one_of_two_containers(cluster):
    def limited(size: str) -> dict[str, object]:
        return {"limits": {"ephemeral-storage": size}}

    pair = [{"name": "c", "resources": limited("1Ki")}, {"name": "d", "resources": limited("1Mi")}]
    await cluster.pod("both", containers=pair)
    await cluster.pod("one", containers=[{"name": "c", "resources": limited("1Ki")}, {"name": "d"}])
    await cluster.run()
    await cluster.exec("touch", "/tmp/f", "x" * 2000, name="both")
    await cluster.exec("touch", "/tmp/f", "x" * 2000, name="one", container="d")
    await cluster.run(15)
    message = 'Container c exceeded its local ephemeral storage limit "1Ki". '
    assert cluster.get("both")["status"]["message"] == message
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. "
    assert cluster.get("one")["status"]["message"] == message


async def test_resize_in_place(cluster):
    await cluster.pod(containers=[{"name": "c", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}])
    await cluster.run()
    bigger = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    change = {"spec": {"containers": [{"name": "c", "image": "box:1", "resources": bigger}]}}
    await cluster.client.patch("pods", "default", "p", change)
    await cluster.run()
    assert cluster.status()["resources"] == bigger
    assert cluster.status()["allocatedResources"] == {"cpu": "2"}
    assert cluster.status()["restartCount"] == 0
    assert cluster.fleet.container(cluster.get(), "c").cpu.cores == 2
    asked = '{"containers":[{"name":"c","resources":{"limits":{"cpu":"2"},"requests":{"cpu":"2"}}}],"generation":1}'
    assert cluster.events("ResizeStarted") == [f"Pod resize started: {asked}"]
    assert cluster.events("ResizeCompleted") == [f"Pod resize completed: {asked}"]


async def test_a_limit_of_memory_is_not_lowered_below_what_is_used(cluster):
    limits = {"limits": {"memory": "100Mi"}}
    await cluster.pod(containers=[{"name": "c", "command": ["hog", "50"], "resources": limits}])
    await cluster.run()

    async def resize(memory):
        container = {"name": "c", "image": "box:1", "command": ["hog", "50"]}
        smaller = container | {"resources": {"limits": {"memory": memory}}}
        await cluster.client.patch("pods", "default", "p", {"spec": {"containers": [smaller]}})
        await cluster.run(30)

    await resize("20Mi")
    assert cluster.status()["restartCount"] == 0
    told = 'attempting to set container "c" memory limit (20971520) below current usage (52428800)'
    found = cluster.condition("PodResizeInProgress")
    assert (found["status"], found["reason"], found["message"]) == ("True", "Error", told)
    assert len(cluster.events("ResizeError")) == len(cluster.events("ResizeStarted")) == 1
    assert cluster.events("ResizeError")[0].startswith('Pod resize error: {"containers":[{"name":"c",')
    assert cluster.status()["resources"]["limits"] == {"memory": "100Mi"}
    await resize("60Mi")
    assert cluster.status()["resources"]["limits"] == {"memory": "60Mi"}
    assert all(one["type"] != "PodResizeInProgress" for one in cluster.get()["status"]["conditions"])


async def test_an_init_container_is_resized_while_it_runs(cluster):
    small = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    bigger = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    init = {"name": "i", "image": "box:1"}
    await cluster.pod(initContainers=[init | {"resources": small}], containers=[{"name": "c"}])
    await cluster.run(1)
    await cluster.client.patch("pods", "default", "p", {"spec": {"initContainers": [init | {"resources": bigger}]}})
    await cluster.run(1)
    assert cluster.fleet.container(cluster.get(), "i").cpu.cores == 2
    (status,) = cluster.get()["status"]["initContainerStatuses"]
    assert (status["restartCount"], status["resources"]) == (0, bigger)


async def test_a_resize_by_restart_is_complete_when_the_container_runs_again(cluster):
    policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    container = {"name": "c", "image": "box:1", "resizePolicy": policy}
    await cluster.pod(containers=[container | {"resources": {"requests": {"cpu": "1"}}}])
    await cluster.run()
    more = {"spec": {"containers": [container | {"resources": {"requests": {"cpu": "2"}}}]}}
    await cluster.client.patch("pods", "default", "p", more)
    await cluster.run()
    reasons = [event[2] for event in cluster.client.events if event[0] == "p"]
    assert reasons[-6:] == ["ResizeStarted", "Killing", "Pulled", "Created", "Started", "ResizeCompleted"]
    assert cluster.events("Killing") == ["Container c resize requires restart"]


async def test_resize_of_the_pod_as_a_whole(cluster):
    policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    own = {"requests": {"cpu": "100m"}, "limits": {"cpu": "150m"}}
    containers = [
        {"name": "c", "image": "box:1"},
        {"name": "own", "image": "box:1", "resizePolicy": policy, "resources": own},
        {"name": "restarts", "image": "box:1", "resizePolicy": policy},
    ]
    await cluster.pod(containers=containers, resources={"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})
    await cluster.run()
    bigger = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    await cluster.client.patch("pods", "default", "p", {"spec": {"resources": bigger}})
    await cluster.run()
    assert cluster.get()["status"]["resources"]["requests"] == {"cpu": "2"}
    assert cluster.get()["status"]["resources"]["limits"]["cpu"] == "2"
    assert cluster.fleet.container(cluster.get(), "c").cpu.cores == 2
    assert cluster.fleet.container(cluster.get(), "own").cpu.cores == 0.15
    assert [cluster.status("p", name)["restartCount"] for name in ("c", "own", "restarts")] == [0, 0, 1]
    assert len(cluster.events("ResizeCompleted")) == 1
    huge = {"requests": {"cpu": "9"}, "limits": {"cpu": "9"}}
    await cluster.client.patch("pods", "default", "p", {"spec": {"resources": huge}})
    await cluster.run()
    assert cluster.condition("PodResizePending")["reason"] == "Infeasible"
    assert cluster.get()["status"]["resources"]["requests"] == {"cpu": "2"}


async def test_resize_that_must_wait(cluster):
    await cluster.pod(containers=[{"name": "c", "resources": {"requests": {"cpu": "1"}}}])
    await cluster.pod("other", containers=[{"name": "c", "resources": {"requests": {"cpu": "2"}}}])
    await cluster.run()
    container = {"name": "c", "image": "box:1"}
    huge = {"spec": {"containers": [container | {"resources": {"requests": {"cpu": "9"}}}]}}
    await cluster.client.patch("pods", "default", "p", huge)
    await cluster.run()
    assert cluster.condition("PodResizePending")["reason"] == "Infeasible"
    (told,) = cluster.events("ResizeInfeasible")
    assert told.startswith('Pod resize Infeasible: {"containers":[{"name":"c","resources":{"requests":{"cpu":"9"}}}],')
    assert '"error":"Node didn\'t have enough capacity: cpu, requested: 9000, capacity: 4000"' in told
    some = {"spec": {"containers": [container | {"resources": {"requests": {"cpu": "3"}}}]}}
    await cluster.client.patch("pods", "default", "p", some)
    await cluster.run()
    assert cluster.condition("PodResizePending")["reason"] == "Deferred"
    assert len(cluster.events("ResizeDeferred")) == 1
    assert cluster.status()["allocatedResources"] == {"cpu": "1"}
    await cluster.client.delete("pods", "default", "other")
    await cluster.run()
    assert cluster.status()["allocatedResources"] == {"cpu": "3"}
    assert "PodResizePending" not in [one["type"] for one in cluster.get()["status"]["conditions"]]


async def test_deferred_resizes_are_tried_again_when_another_pod_shrinks(cluster):
    def resources(cpu):
        return {"spec": {"containers": [{"name": "c", "image": "box:1", "resources": {"requests": {"cpu": cpu}}}]}}

    for name, priority in (("low", 1), ("big", 5), ("high", 9)):
        await cluster.pod(name, **resources("1")["spec"], priority=priority)
    await cluster.run()
    await cluster.client.patch("pods", "default", "big", resources("2"))
    await cluster.run()
    for name in ("low", "high"):
        await cluster.client.patch("pods", "default", name, resources("2"))
        await cluster.run()
    assert len(cluster.events("ResizeDeferred", "low")) == len(cluster.events("ResizeDeferred", "high")) == 1
    await cluster.client.patch("pods", "default", "big", resources("1"))
    await cluster.run(5)
    assert cluster.status("high")["allocatedResources"] == {"cpu": "2"}
    assert cluster.status("low")["allocatedResources"] == {"cpu": "1"}
    whole = [cluster.get(name)["status"]["allocatedResources"] for name in ("high", "low")]
    assert whole == [{"cpu": "2"}, {"cpu": "1"}]


async def test_a_resize_that_can_never_be_takes_no_room(cluster):
    await cluster.pod(containers=[{"name": "c", "resources": {"requests": {"cpu": "1"}}}])
    await cluster.run()
    huge = {"name": "c", "image": "box:1", "resources": {"requests": {"cpu": "9"}}}
    await cluster.client.patch("pods", "default", "p", {"spec": {"containers": [huge]}})
    await cluster.run()
    await cluster.pod("late", containers=[{"name": "c", "resources": {"requests": {"cpu": "2"}}}])
    await cluster.run()
    assert cluster.get("late")["status"]["phase"] == "Running"


async def test_log_options(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["fail", "1"]}], restartPolicy="Never")
    await cluster.run()
    assert await cluster.logs(tail=1) == "oops\n"
    assert await cluster.logs(limit=3) == "try"
    assert await cluster.logs(stream="Stderr") == "oops\n"
    assert await cluster.logs(since=cluster.now() + timedelta(seconds=1)) == ""
    line = (await cluster.logs(timestamps=True)).splitlines()[0]
    assert line.endswith("000Z trying")
    with pytest.raises(NoLog, match='previous terminated container "c" in pod "p" not found'):
        await cluster.logs(previous=True)


@pytest.mark.parametrize(
    ("container", "seconds", "words"),
    [
        ({"image": "box:9"}, 0.6, "image can't be pulled"),
        ({"image": "box:9"}, 3, "trying and failing to pull image"),
        ({}, 0.02, "ContainerCreating"),
    ],
)
async def test_no_log_yet(cluster, container, seconds, words):
    await cluster.pod(containers=[{"name": "c"} | container])
    await cluster.run(seconds)
    with pytest.raises(NoLog, match=f'container "c" in pod "p" is waiting to start: {words}'):
        await cluster.logs()


async def test_port_forward(cluster):
    await cluster.pod()
    await cluster.run()
    with pytest.raises(ConnectionRefusedError, match="failed to connect to localhost:81 inside namespace"):
        await cluster.fleet.port_forward(cluster.get(), 81)


def page(cluster, path):
    node = cluster.client.get("nodes", "", "one")
    pods = cluster.client.list("pods")
    found = KubeletPages(cluster.fleet, cluster.clock).page(node, path, pods)
    assert found is not None, f"there is no {path}"
    return found[1].decode()


async def test_a_kubelet_sums_up_what_its_containers_use(cluster):
    await cluster.pod("p", containers=[{"name": "c", "command": ["hog", "64"]}])
    await cluster.run(20)
    summary = json.loads(page(cluster, "stats/summary"))
    (pod,) = summary["pods"]
    assert pod["podRef"] == {"name": "p", "namespace": "default", "uid": cluster.get()["metadata"]["uid"]}
    assert pod["containers"][0]["memory"]["workingSetBytes"] >= 64 << 20
    assert summary["node"]["memory"]["workingSetBytes"] > pod["memory"]["workingSetBytes"]
    metrics = page(cluster, "metrics/resource")
    assert 'container_memory_working_set_bytes{container="c",namespace="default",pod="p"} ' in metrics


async def test_a_kubelet_shows_its_configuration_and_no_more_than_it_has(cluster):
    node = cluster.client.get("nodes", "", "one")
    told = json.loads(page(cluster, "configz"))["kubeletconfig"]
    assert str(told["maxPods"]) == node["status"]["capacity"]["pods"]
    assert KubeletPages(cluster.fleet, cluster.clock).page(node, "nonesuch", []) is None


async def test_a_node_without_pods_has_metrics_unless_it_does_not_answer(cluster):
    usage = Usage(cluster.fleet, cluster.clock)
    assert usage.node("one").memory == SYSTEM_MEMORY
    await cluster.fleet.fail("one")
    assert usage.node("one") is None


async def test_what_a_pod_may_use_as_a_whole_goes_before_the_sum_of_its_containers(cluster):
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    await cluster.pod(containers=[{"name": "c", "resources": {"limits": {"cpu": "2"}}}], resources=resources)
    await cluster.run()
    status = cluster.get()["status"]
    assert status["resources"] == {"limits": {"cpu": "2", "memory": "2Gi"}, "requests": resources["requests"]}


async def test_attach_wants_a_running_container(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["fail", "1"]}], restartPolicy="Never")
    await cluster.run(5)
    with pytest.raises(NoSuchContainer, match="^container c not found in pod p_default$"):
        await cluster.fleet.attach(cluster.get(), "c", None)
    with pytest.raises(NoSuchContainer, match=r'^container not found \("c"\)$'):
        await cluster.fleet.exec(cluster.get(), "c", ["x"], None)
