"""A pod's way from its arrival on a node to its end."""

from __future__ import annotations

import base64
import json

from msgspec.structs import replace

from kuartui.embedded.client import Obj
from kuartui.embedded.images.registry import Registry
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Event


def types(conditions: list[Obj]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in conditions}


async def test_a_pod_runs_and_is_ready(cluster):
    await cluster.pod()
    await cluster.run(0.05)
    assert cluster.get()["status"]["phase"] == "Pending"
    assert cluster.waiting() == "ContainerCreating"
    await cluster.run(1)
    status = cluster.get()["status"]
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.1.2"
    assert status["hostIP"] == "172.18.0.2"
    assert types(status["conditions"]) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    container = cluster.status()
    assert container["ready"] is True
    assert container["started"] is True
    assert container["restartCount"] == 0
    assert container["image"] == "docker.io/library/box:1"
    assert container["containerID"].startswith("containerd://")


async def test_events_of_a_start(cluster):
    await cluster.pod()
    await cluster.run()
    events = [(type_, reason, path) for _, type_, reason, _, path in cluster.client.events if _ and reason[0] != "N"]
    where = "spec.containers{c}"
    assert events[-4:] == [
        ("Normal", "Pulling", where),
        ("Normal", "Pulled", where),
        ("Normal", "Created", where),
        ("Normal", "Started", where),
    ]
    assert cluster.events("Pulled")[0].startswith('Successfully pulled image "box:1" in ')
    assert cluster.events("Pulled")[0].endswith(" including waiting). Image size: 1048576 bytes.")
    await cluster.pod("second")
    await cluster.run()
    text = 'Container image "box:1" already present on machine and can be accessed by the pod'
    assert cluster.events("Pulled", "second") == [text]


async def test_deletion_is_graceful_then_final(cluster):
    await cluster.pod()
    await cluster.run()
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(0.5)
    assert not cluster.exists()
    assert cluster.events("Killing") == ["Stopping container c"]
    assert cluster.network.host("10.244.1.2") is None


async def test_a_container_that_ignores_term_is_killed_after_the_grace_period(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["stubborn"]}], terminationGracePeriodSeconds=20)
    await cluster.run()
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(19)
    assert cluster.exists()
    assert cluster.status()["state"].get("running")
    await cluster.run(2)
    assert not cluster.exists()


async def test_a_second_delete_shortens_the_grace_period(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["stubborn"]}], terminationGracePeriodSeconds=600)
    await cluster.run()
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(5)
    await cluster.client.delete("pods", "default", "p", grace=3)
    await cluster.run(4)
    assert not cluster.exists()


async def test_a_force_deleted_pod_is_stopped_too(cluster):
    await cluster.pod()
    await cluster.run()
    cluster.store.delete("pods", "default", "p")
    await cluster.run(1)
    assert cluster.network.host("10.244.1.2") is None
    assert not cluster.fleet.kubelets["one"].workers


async def test_deletion_during_a_start(cluster):
    await cluster.pod()
    await cluster.run(0.05)
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(1)
    assert not cluster.exists()


def hear(cluster) -> list[str]:
    """The words for the state of pods' containers, as watchers come to know them."""
    told: list[str] = []

    def listen(event: Event) -> None:
        for status in (event.obj.data.get("status") or {}).get("containerStatuses") or ():
            ((state, detail),) = status["state"].items()
            word = detail.get("reason", state)
            if told[-1:] != [word]:
                told.append(word)

    cluster.store.listen("pods", listen)
    return told


async def test_a_container_that_starts_anew_is_not_being_created(cluster):
    told = hear(cluster)
    await cluster.pod(containers=[{"name": "c", "command": ["fail", "7", "1"]}])
    await cluster.run(15)
    assert told[:2] == ["ContainerCreating", "running"]
    assert told.count("ContainerCreating") == 1
    assert told[-4:] == ["CrashLoopBackOff", "running", "Error", "CrashLoopBackOff"]


async def test_what_ends_at_once_is_never_seen_to_run(cluster):
    told = hear(cluster)
    await cluster.pod(containers=[{"name": "c", "command": ["fail", "0"]}], restartPolicy="Never")
    await cluster.run(5)
    assert told == ["ContainerCreating", "Completed"]


async def test_crash_loop(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["fail", "7"]}])
    await cluster.run(2)
    status = cluster.status()
    assert status["restartCount"] == 1
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    uid = cluster.get()["metadata"]["uid"]
    message = f"back-off 10s restarting failed container=c pod=p_default({uid})"
    assert status["state"]["waiting"]["message"] == message
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert cluster.events("BackOff")[0] == f"Back-off restarting failed container c in pod p_default({uid})"
    assert cluster.get()["status"]["phase"] == "Running"
    assert await cluster.logs() == "trying\noops\n"
    assert await cluster.logs(previous=True) == "trying\noops\n"
    await cluster.run(10)
    assert cluster.status()["restartCount"] == 2
    assert "back-off 20s" in cluster.status()["state"]["waiting"]["message"]
    await cluster.run(20 + 40 + 80 + 160 + 5)
    assert "back-off 5m0s" in cluster.status()["state"]["waiting"]["message"]
    assert cluster.status()["restartCount"] == 6


async def test_back_off_starts_over_after_ten_good_minutes(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["pause", "700"]}])
    await cluster.run(2 * 701)
    assert cluster.status()["restartCount"] == 2
    await cluster.run(2)
    assert cluster.status()["state"].get("running")


async def test_never_and_on_failure(cluster):
    await cluster.pod("good", restartPolicy="Never", containers=[{"name": "c", "command": ["pause", "1"]}])
    await cluster.pod("bad", restartPolicy="Never", containers=[{"name": "c", "command": ["fail", "4"]}])
    await cluster.pod("again", restartPolicy="OnFailure", containers=[{"name": "c", "command": ["fail", "4"]}])
    await cluster.run(3)
    assert cluster.get("good")["status"]["phase"] == "Succeeded"
    assert cluster.status("good")["state"]["terminated"]["reason"] == "Completed"
    conditions = [
        (one["type"], one["status"], one.get("reason")) for one in cluster.get("good")["status"]["conditions"]
    ]
    assert conditions == [
        ("PodReadyToStartContainers", "False", None),
        ("Initialized", "True", "PodCompleted"),
        ("Ready", "False", "PodCompleted"),
        ("ContainersReady", "False", "PodCompleted"),
        ("PodScheduled", "True", None),
    ]
    assert cluster.get("bad")["status"]["phase"] == "Failed"
    assert cluster.status("bad")["state"]["terminated"]["exitCode"] == 4
    assert cluster.get("again")["status"]["phase"] == "Running"
    assert cluster.waiting("again") == "CrashLoopBackOff"
    assert await cluster.logs("bad") == "trying\noops\n"


async def test_a_finished_pod_is_deleted_at_once(cluster):
    await cluster.pod(restartPolicy="Never", containers=[{"name": "c", "command": ["pause", "1"]}])
    await cluster.run(3)
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(0.1)
    assert not cluster.exists()


async def test_missing_program(cluster):
    await cluster.pod(containers=[{"name": "c", "command": ["no-such-binary"]}])
    await cluster.pod("once", restartPolicy="Never", containers=[{"name": "c", "command": ["no-such-binary"]}])
    await cluster.run(0.5)
    status = cluster.status()
    assert status["state"]["waiting"]["reason"] == "RunContainerError"
    assert 'exec: "no-such-binary": executable file not found in $PATH' in status["state"]["waiting"]["message"]
    assert status["lastState"]["terminated"]["exitCode"] == 128
    assert status["lastState"]["terminated"]["reason"] == "StartError"
    assert cluster.get("once")["status"]["phase"] == "Failed"
    assert cluster.status("once")["state"]["terminated"]["reason"] == "StartError"
    await cluster.run(3)
    assert cluster.waiting() == "CrashLoopBackOff"


async def test_termination_message(cluster):
    await cluster.pod(restartPolicy="Never", containers=[{"name": "c", "command": ["last-words"]}])
    falls = {"name": "c", "command": ["fail", "2"], "terminationMessagePolicy": "FallbackToLogsOnError"}
    await cluster.pod("falls", restartPolicy="Never", containers=[falls])
    await cluster.run()
    assert cluster.status()["state"]["terminated"]["message"] == "ran out of luck"
    assert cluster.status("falls")["state"]["terminated"]["message"] == "trying\noops\n"


async def test_out_of_memory(cluster):
    limits = {"limits": {"memory": "20Mi"}}
    await cluster.pod(containers=[{"name": "c", "command": ["hog", "50"], "resources": limits}])
    await cluster.run(3)
    assert cluster.status()["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert cluster.status()["lastState"]["terminated"]["exitCode"] == 137


async def test_a_container_without_a_limit_has_that_of_its_pod(cluster):
    hog = {"name": "c", "command": ["hog", "50"]}
    for name, limit in (("small", "20Mi"), ("big", "90Mi")):
        await cluster.pod(name, resources={"limits": {"memory": limit}}, containers=[hog])
    await cluster.run(3)
    assert cluster.status("small")["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert "running" in cluster.status("big")["state"]


async def test_active_deadline(cluster):
    seen = []
    cluster.client.listen("pods", lambda event: seen.append(event.obj.data.get("status") or {}))
    await cluster.pod(activeDeadlineSeconds=5, restartPolicy="Never")
    await cluster.run(4)
    assert cluster.get()["status"]["phase"] == "Running"
    await cluster.run(2)
    status = cluster.get()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert all(one.get("reason") for one in seen if one.get("phase") == "Failed"), "it never fails without a reason"


async def test_image_problems(cluster):
    await cluster.pod("tag", containers=[{"name": "c", "image": "box:2"}])
    await cluster.pod("name", containers=[{"name": "c", "image": "UPPER:1"}])
    await cluster.pod("never", containers=[{"name": "c", "image": "absent:1", "imagePullPolicy": "Never"}])
    await cluster.run(1)
    assert cluster.waiting("tag") == "ErrImagePull"
    assert cluster.waiting("name") == "InvalidImageName"
    assert cluster.waiting("never") == "ErrImageNeverPull"
    await cluster.run(1)
    assert cluster.waiting("tag") == "ImagePullBackOff"
    message = cluster.status("tag")["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "box:2": ErrImagePull: rpc error: code = NotFound desc = ')
    assert cluster.events(name="tag")[:3] == [
        'Pulling image "box:2"',
        (
            'Failed to pull image "box:2": rpc error: code = NotFound desc = failed to pull and unpack image '
            '"docker.io/library/box:2": failed to resolve reference "docker.io/library/box:2": '
            "docker.io/library/box:2: not found"
        ),
        "Error: ErrImagePull",
    ]
    cluster.images["box:2"] = cluster.images["box:1"]
    await cluster.run(15)
    assert cluster.get("tag")["status"]["phase"] == "Running"


async def test_a_new_image_restarts_the_container(cluster):
    await cluster.pod()
    await cluster.run()
    await cluster.client.patch("pods", "default", "p", {"spec": {"containers": [{"name": "c", "image": "uid:1"}]}})
    await cluster.run(2)
    assert cluster.status()["image"] == "docker.io/library/uid:1"
    assert cluster.status()["restartCount"] == 1
    assert cluster.events("Killing") == ["Container c definition changed, will be restarted"]


async def test_a_new_image_restarts_the_container_even_of_a_pod_that_never_restarts(cluster):
    await cluster.pod(restartPolicy="Never")
    await cluster.run()
    await cluster.client.patch("pods", "default", "p", {"spec": {"containers": [{"name": "c", "image": "uid:1"}]}})
    phases = []
    for _ in range(20):
        await cluster.run(0.1)
        phases.append(cluster.get("p")["status"]["phase"])
    assert set(phases) == {"Running"}
    assert cluster.status()["image"] == "docker.io/library/uid:1"
    assert cluster.status()["restartCount"] == 1


async def test_a_new_image_that_is_not_there_ends_a_pod_that_never_restarts(cluster):
    await cluster.pod(restartPolicy="Never")
    await cluster.run()
    await cluster.client.patch("pods", "default", "p", {"spec": {"containers": [{"name": "c", "image": "box:9"}]}})
    await cluster.run(5)
    assert "terminated" in cluster.status()["state"]
    assert cluster.get("p")["status"]["phase"] in ("Succeeded", "Failed")


async def test_pull_secret(cluster):
    cluster.catalogue.add_registry(Registry("r.example.com", {"u": "secret"}))
    cluster.catalogue.add(replace(cluster.images["box:1"], repository="r.example.com/box"))
    await cluster.pod(containers=[{"name": "c", "image": "r.example.com/box:1"}])
    await cluster.run()
    assert cluster.waiting() == "ImagePullBackOff"
    config = json.dumps({"auths": {"r.example.com": {"username": "u", "password": "secret"}}})
    data = {".dockerconfigjson": base64.b64encode(config.encode()).decode()}
    await cluster.client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}, "data": data})
    await cluster.pod("q", imagePullSecrets=[{"name": "s"}], containers=[{"name": "c", "image": "r.example.com/box:1"}])
    await cluster.run()
    assert cluster.get("q")["status"]["phase"] == "Running"
    containers = [{"name": "c", "image": "r.example.com/box:1"}]
    await cluster.pod("without", containers=[dict(one) for one in containers])
    await cluster.pod("never", containers=[one | {"imagePullPolicy": "Never"} for one in containers])
    await cluster.pod("with", imagePullSecrets=[{"name": "s"}], containers=[dict(one) for one in containers])
    await cluster.run()
    assert [cluster.waiting(name) for name in ("without", "never")] == ["ImagePullBackOff", "ErrImageNeverPull"]
    assert cluster.events("Pulled", "with") == [
        'Container image "r.example.com/box:1" already present on machine and can be accessed by the pod'
    ]


async def test_pull_secrets_that_do_not_exist_are_told_whenever_the_kubelet_looks(cluster):
    await cluster.client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    await cluster.pod(imagePullSecrets=[{"name": "a"}, {"name": "s"}, {"name": "b"}])
    await cluster.run(0.7)
    reason = "FailedToRetrieveImagePullSecret"
    message = "Unable to retrieve some image pull secrets (a, b); attempting to pull the image may not succeed."
    assert cluster.events(reason) == [message]
    await cluster.run()
    assert cluster.get()["status"]["phase"] == "Running"
    assert cluster.events(reason) == [message] * 2
    assert cluster.events()[-1] == message  # it sees later that the container runs, and looks again


async def test_all_containers_restart_after_one_of_them(cluster):
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}]
    watcher = {"name": "watcher", "image": "box:1", "restartPolicy": "Always", "restartPolicyRules": rules}
    init = {"name": "init", "image": "box:1", "command": ["pause", "0"]}
    await cluster.pod(
        initContainers=[init, watcher | {"command": ["fail", "1", "5"]}],
        containers=[{"name": "c", "image": "box:1", "command": ["stubborn"]}],
        restartPolicy="Never",
    )
    address = cluster.get()["status"].get("podIP")
    phases, seen = set(), []
    for _ in range(60):
        await cluster.run(0.5)
        status = cluster.get().get("status") or {}
        phases.add(status.get("phase"))
        address = address or status.get("podIP")
        seen += [one["status"] for one in status.get("conditions") or () if one["type"] == "AllContainersRestarting"]
    status = cluster.get()["status"]
    counts = {one["name"]: one["restartCount"] for one in status["initContainerStatuses"] + status["containerStatuses"]}
    assert counts["init"] >= 1
    assert counts["watcher"] == counts["init"]
    assert counts["c"] >= counts["init"] - 1
    assert "Failed" not in phases
    assert {"True", "False"} <= set(seen)
    assert phases == {"Running"}
    ended = cluster.status()["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("RestartingAllContainers", 137)
    assert status["podIP"] == address
    types = [one["type"] for one in status["conditions"]]
    assert types.count("AllContainersRestarting") == 1


async def test_a_pod_that_cannot_restart_all_says_nothing_of_it(cluster):
    await cluster.pod()
    await cluster.run()
    assert "AllContainersRestarting" not in [one["type"] for one in cluster.get()["status"]["conditions"]]


async def test_a_status_that_was_refused_is_told_again(cluster, monkeypatch):
    """As where a webhook for statuses does not answer for a while."""
    await cluster.pod(restartPolicy="Never", containers=[{"name": "c", "command": ["pause", "5"]}])
    await cluster.run(2)
    write = cluster.client.patch

    async def refuse(*_: object) -> None:
        raise StatusError(500, "InternalError", "failed calling webhook")

    monkeypatch.setattr(cluster.client, "patch", refuse)
    await cluster.run(10)
    assert cluster.get()["status"]["phase"] == "Running"
    monkeypatch.setattr(cluster.client, "patch", write)
    await cluster.run(10)
    assert cluster.get()["status"]["phase"] == "Succeeded"
