"""Init containers, sidecars, ephemeral containers, hooks."""

from __future__ import annotations

import re


async def test_init_containers_run_one_after_the_other(cluster):
    first = {"name": "i1", "command": ["pause", "5"]}
    second = {"name": "i2", "command": ["pause", "5"]}
    await cluster.pod(initContainers=[first, second])
    await cluster.run(3)
    status = cluster.get()["status"]
    assert status["phase"] == "Pending"
    assert cluster.waiting() == "PodInitializing"
    assert cluster.waiting(container="i2") == "PodInitializing"
    assert cluster.condition("Initialized")["message"] == "containers with incomplete status: [i1 i2]"
    assert cluster.condition("Initialized")["reason"] == "ContainersNotInitialized"
    await cluster.run(4)
    assert cluster.status(container="i1")["ready"] is True
    assert cluster.status(container="i1")["state"]["terminated"]["reason"] == "Completed"
    assert "running" in cluster.status(container="i2")["state"]
    await cluster.run(5)
    assert cluster.get()["status"]["phase"] == "Running"
    assert cluster.condition("Initialized")["status"] == "True"


async def test_a_failing_init_container(cluster):
    await cluster.pod(initContainers=[{"name": "i", "command": ["fail", "1"]}])
    await cluster.pod("once", initContainers=[{"name": "i", "command": ["fail", "1"]}], restartPolicy="Never")
    await cluster.run(3)
    assert cluster.get()["status"]["phase"] == "Pending"
    assert cluster.waiting(container="i") == "CrashLoopBackOff"
    assert cluster.get("once")["status"]["phase"] == "Failed"
    assert cluster.status("once", "i")["state"]["terminated"]["exitCode"] == 1


async def test_a_sidecar_runs_beside_and_does_not_keep_the_pod_alive(cluster):
    sidecar = {"name": "log", "restartPolicy": "Always"}
    work = {"name": "c", "command": ["pause", "5"]}
    await cluster.pod(initContainers=[sidecar], containers=[work], restartPolicy="Never")
    await cluster.run(2)
    assert cluster.status(container="log")["started"] is True
    assert cluster.status(container="log")["ready"] is True
    assert "running" in cluster.status()["state"]
    await cluster.run(5)
    assert cluster.get()["status"]["phase"] == "Succeeded"
    assert "terminated" in cluster.status(container="log")["state"]


async def test_a_sidecar_is_restarted_whatever_the_restart_policy(cluster):
    sidecar = {"name": "log", "restartPolicy": "Always", "command": ["pause", "3"]}
    await cluster.pod(initContainers=[sidecar], restartPolicy="Never")
    await cluster.run(5)
    assert cluster.status(container="log")["restartCount"] == 1
    assert cluster.get()["status"]["phase"] == "Running"


async def test_containers_wait_for_the_startup_probe_of_a_sidecar(cluster):
    probe = {"exec": {"command": ["check", "/tmp/up"]}, "periodSeconds": 1}
    await cluster.pod(initContainers=[{"name": "log", "restartPolicy": "Always", "startupProbe": probe}])
    await cluster.run(3)
    assert cluster.waiting() == "PodInitializing"
    assert cluster.status(container="log")["started"] is False
    await cluster.exec("touch", "/tmp/up", container="log")
    await cluster.run(3)
    assert cluster.get()["status"]["phase"] == "Running"


async def test_sidecars_stop_last(cluster):
    order = []
    sidecar = {"name": "log", "restartPolicy": "Always"}
    await cluster.pod(initContainers=[sidecar], containers=[{"name": "c"}])
    await cluster.run(2)
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(1)
    order = [path for name, _, reason, _, path in cluster.client.events if reason == "Killing"]
    assert order == ["spec.containers{c}", "spec.initContainers{log}"]
    assert not cluster.exists()


async def test_all_are_told_to_stop_at_once_but_a_sidecar_gets_its_signal_last(cluster):
    slow = {"preStop": {"sleep": {"seconds": 3}}}
    first = {"name": "first", "restartPolicy": "Always", "lifecycle": slow}
    second = {"name": "second", "restartPolicy": "Always"}
    await cluster.pod(initContainers=[first, second], containers=[{"name": "c", "lifecycle": slow}])
    await cluster.run(2)
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(1)
    order = [path for _, _, reason, _, path in cluster.client.events if reason == "Killing"]
    assert order == ["spec.containers{c}", "spec.initContainers{second}", "spec.initContainers{first}"]
    assert "running" in cluster.status(container="second")["state"]
    await cluster.run(4)  # both hooks ran side by side
    assert not cluster.exists()


async def test_what_a_container_may_use_is_told_once_it_is_there(cluster):
    resources = {"requests": {"cpu": "1"}}
    init = {"name": "i", "command": ["pause", "5"]}
    await cluster.pod(initContainers=[init], containers=[{"name": "c", "resources": resources}])
    await cluster.run(2)
    assert cluster.status(container="i")["resources"] == {}
    assert not {"resources", "allocatedResources"} & set(cluster.status())
    await cluster.run(5)
    assert (cluster.status()["resources"], cluster.status()["allocatedResources"]) == (resources, {"cpu": "1"})


async def test_what_is_allocated_to_a_pod_counts_all_its_containers(cluster):
    def asking(name, cpu, **more):
        return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}

    side = asking("side", "100m", restartPolicy="Always")
    await cluster.pod(initContainers=[side], containers=[asking("c", "200m")])
    await cluster.pod("q", initContainers=[side, asking("i", "1", command=["pause", "1"])], containers=[{"name": "c"}])
    await cluster.run(3)
    assert cluster.get()["status"]["allocatedResources"] == {"cpu": "300m"}
    assert cluster.get()["status"]["resources"] == {"requests": {"cpu": "300m"}}
    assert cluster.get("q")["status"]["allocatedResources"] == {"cpu": "1100m"}


async def test_a_container_is_not_told_of_while_its_hook_runs(cluster):
    hook = {"postStart": {"sleep": {"seconds": 5}}}
    init = {"name": "i", "command": ["pause", "0"]}
    await cluster.pod(initContainers=[init], containers=[{"name": "c", "lifecycle": hook}])
    await cluster.run(3)
    status = cluster.status()
    assert status["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert status["imageID"] == ""
    assert not {"containerID", "resources"} & set(status)
    await cluster.run(5)
    assert "running" in cluster.status()["state"]
    assert cluster.status()["containerID"]


async def test_ephemeral_container(cluster):
    await cluster.pod()
    await cluster.run()
    debug = {"name": "dbg", "image": "box:1", "command": ["pause", "4"], "targetContainerName": "c"}
    await cluster.client.patch("pods", "default", "p", {"spec": {"ephemeralContainers": [debug]}})
    await cluster.run(1)
    assert "running" in cluster.status(container="dbg")["state"]
    assert "started" not in cluster.status(container="dbg")
    assert cluster.status(container="dbg")["resources"] == {}
    assert cluster.get()["status"]["phase"] == "Running"
    await cluster.run(10)
    assert cluster.status(container="dbg")["state"]["terminated"]["reason"] == "Completed"
    assert cluster.status(container="dbg")["restartCount"] == 0
    assert cluster.condition("Ready")["status"] == "True"


async def test_post_start_hook(cluster):
    hook = {"postStart": {"exec": {"command": ["touch", "/tmp/hook"]}}}
    await cluster.pod(containers=[{"name": "c", "lifecycle": hook}])
    await cluster.run()
    assert await cluster.exec("check", "/tmp/hook") == (0, "")


async def test_a_failing_post_start_hook_kills_the_container(cluster):
    hook = {"postStart": {"exec": {"command": ["fail", "3"]}}}
    await cluster.pod(containers=[{"name": "c", "lifecycle": hook}])
    await cluster.run(0.5)
    assert cluster.waiting() == "PostStartHookError"
    message = cluster.status()["state"]["waiting"]["message"]
    assert message.startswith('Exec lifecycle hook ([fail 3]) for Container "c" in Pod "p_default(')
    assert "error: command 'fail 3' exited with 3: " in message
    assert cluster.events("FailedPostStartHook") == ["PostStartHook failed"]
    assert cluster.events("Killing") == ["FailedPostStartHook"]
    await cluster.run(3)
    assert cluster.waiting() == "CrashLoopBackOff"


async def test_a_container_whose_post_start_hook_failed_gets_its_pre_stop_hook(cluster):
    hooks = {
        "postStart": {"exec": {"command": ["fail", "3"]}},
        "preStop": {"exec": {"command": ["touch", "/out/stopped"]}},
    }
    mounts = [{"name": "out", "mountPath": "/out"}]
    other = {"name": "other", "volumeMounts": mounts}
    await cluster.pod(
        containers=[other, {"name": "c", "lifecycle": hooks, "volumeMounts": mounts}],
        volumes=[{"name": "out", "emptyDir": {}}],
    )
    await cluster.run(1)
    assert cluster.waiting() == "PostStartHookError"
    assert await cluster.exec("check", "/out/stopped", container="other") == (0, "")


async def test_a_container_is_told_to_stop_by_its_hook_while_it_is_started(cluster):
    hooks = {"postStart": {"sleep": {"seconds": 60}}, "preStop": {"sleep": {"seconds": 5}}}
    await cluster.pod(containers=[{"name": "c", "lifecycle": hooks}])
    await cluster.run(2)
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(4)
    assert cluster.exists()
    await cluster.run(3)
    assert not cluster.exists()


async def test_a_hook_that_asks_by_tcp_cannot_be_run(cluster):
    hook = {"postStart": {"tcpSocket": {"port": 80}}}
    await cluster.pod(containers=[{"name": "c", "lifecycle": hook}], terminationGracePeriodSeconds=1)
    await cluster.run(2.5)
    assert cluster.status()["state"]["waiting"] == {
        "reason": "PostStartHookError",
        "message": "Cannot run handler: invalid handler: "
        "&LifecycleHandler{Exec:nil,HTTPGet:nil,TCPSocket:&TCPSocketAction{Port:{0 80 },Host:,},Sleep:nil,}",
    }


async def test_pre_stop_hook_takes_from_the_grace_period(cluster):
    hook = {"preStop": {"sleep": {"seconds": 8}}}
    await cluster.pod(containers=[{"name": "c", "lifecycle": hook}], terminationGracePeriodSeconds=10)
    stubborn = {"name": "c", "lifecycle": hook, "command": ["stubborn"]}
    await cluster.pod("q", containers=[stubborn], terminationGracePeriodSeconds=10)
    await cluster.run()
    await cluster.client.delete("pods", "default", "p")
    await cluster.client.delete("pods", "default", "q")
    await cluster.run(7)
    assert cluster.exists()
    await cluster.run(2)
    assert not cluster.exists()
    assert cluster.exists("q")
    await cluster.run(2)
    assert not cluster.exists("q")


async def test_restart_rules_by_exit_code(cluster):
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    again = {"name": "c", "command": ["fail", "42"], "restartPolicy": "Never", "restartPolicyRules": rules}
    once = {"name": "c", "command": ["fail", "1"], "restartPolicy": "Never", "restartPolicyRules": rules}
    await cluster.pod("again", containers=[again], restartPolicy="Never")
    await cluster.pod("once", containers=[once], restartPolicy="Never")
    await cluster.run(3)
    assert cluster.status("again")["restartCount"] == 1
    assert cluster.get("again")["status"]["phase"] == "Running"
    assert cluster.get("once")["status"]["phase"] == "Failed"


async def test_containers_of_a_pod_that_never_initialized_stay_waiting(cluster):
    await cluster.pod(initContainers=[{"name": "i", "command": ["fail", "1"]}], restartPolicy="Never")
    await cluster.run(3)
    assert cluster.get()["status"]["phase"] == "Failed"
    assert cluster.waiting() == "PodInitializing"


async def test_a_runtime_that_the_node_does_not_have_makes_no_sandbox(cluster):
    for name, handler in (("usual", "runc"), ("gvisor", "runsc")):
        await cluster.client.create("runtimeclasses.node.k8s.io", {"metadata": {"name": name}, "handler": handler})
    await cluster.pod("p", runtimeClassName="usual")
    await cluster.pod("q", runtimeClassName="gvisor")
    await cluster.run()
    assert cluster.get("p")["status"]["phase"] == "Running"
    assert cluster.waiting("q") == "ContainerCreating"
    assert cluster.events("FailedCreatePodSandBox", "q")[0] == (
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: "
        'no runtime for "runsc" is configured'
    )


async def test_devices_without_a_driver_keep_a_pod_waiting(cluster):
    result = {"request": "r", "driver": "gpu.example.com", "pool": "p", "device": "d"}
    status = {"allocation": {"devices": {"results": [result]}}}
    meta = {"name": "mine", "namespace": "default"}
    await cluster.client.create("resourceclaims.resource.k8s.io", {"metadata": meta, "spec": {}, "status": status})
    await cluster.pod(resourceClaims=[{"name": "g", "resourceClaimName": "mine"}])
    await cluster.run(5)
    assert cluster.waiting() == "ContainerCreating"
    why = "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver gpu.example.com is not registered"
    assert cluster.events("FailedPrepareDynamicResources")[0] == why


async def test_a_sandbox_needs_memory_too(cluster):
    tiny = {"name": "c", "image": "box:1", "resources": {"limits": {"memory": "100m"}}}
    await cluster.pod("alone", containers=[tiny])
    await cluster.pod("pair", containers=[tiny, {"name": "d", "image": "box:1"}])
    await cluster.run(30)
    assert cluster.waiting("alone") == "ContainerCreating"
    assert re.fullmatch(
        'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "[0-9a-f]{64}": failed to create '
        "containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
        r"container process: container init was OOM-killed \(memory limit too low\?\)",
        cluster.events("FailedCreatePodSandBox", "alone")[-1],
    )
    assert cluster.events("FailedCreatePodSandBox", "pair") == []
    assert cluster.status("pair")["lastState"]["terminated"]["reason"] == "StartError"
