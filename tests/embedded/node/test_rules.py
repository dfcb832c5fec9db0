"""Rules without a cluster: expansion, durations, back-off, phases, what to do next."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from kuartui.embedded.clock import FastClock
from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.node import sysctls
from kuartui.embedded.node.actions import next_actions
from kuartui.embedded.node.admit import Rejected, admit
from kuartui.embedded.node.backoff import Backoff
from kuartui.embedded.node.expansion import expand
from kuartui.embedded.node.preemption import victims
from kuartui.embedded.node.resize import obstacle
from kuartui.embedded.node.state import Phase, PodState, Run
from kuartui.embedded.node.status import pod_phase
from kuartui.embedded.node.wording import go_duration

Obj = dict[str, Any]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(NONE)", "$(NONE)"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("$(B)$(A)", "21"),
    ],
)
def test_expansion(text, expanded):
    assert expand(text, {"A": "1"}, {"A": "9", "B": "2"}) == expanded


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.26, "260ms"),
        (1.204, "1.204s"),
        (10, "10s"),
        (80, "1m20s"),
        (300, "5m0s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_durations(seconds, text):
    assert go_duration(seconds) == text


async def test_back_off_doubles_and_starts_over():
    clock = FastClock()
    backoff = Backoff(clock)
    delays = []
    for _ in range(8):
        backoff.next("k", clock.monotonic())
        delays.append(backoff.delay("k"))
        await clock.advance(delays[-1])
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    await clock.advance(601)
    assert backoff.remaining("k", clock.monotonic()) == 0
    backoff.next("k", clock.monotonic())
    assert backoff.delay("k") == 10


async def test_back_off_of_what_is_gone_is_forgotten():
    clock = FastClock()
    backoff = Backoff(clock)
    gone = [f"gone {number}" for number in range(200)]
    for key in gone:
        backoff.next(key, clock.monotonic())
        await clock.advance(10)
    kept = [key for key in gone if backoff.delay(key)]
    assert len(kept) <= 70  # those of the last ten minutes, and of the time since the last look
    assert kept == gone[-len(kept) :]


def running() -> dict[str, Any]:
    return {"state": {"running": {}}, "lastState": {}, "started": True}


def ended(code: int) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code}}, "lastState": {}}


def waiting(code: int | None = None) -> dict[str, Any]:
    last = {} if code is None else {"terminated": {"exitCode": code}}
    return {"state": {"waiting": {"reason": "X"}}, "lastState": last}


@pytest.mark.parametrize(
    ("policy", "states", "done", "phase"),
    [
        ("Always", [running(), running()], False, "Running"),
        ("Always", [running(), waiting()], False, "Pending"),
        ("Always", [running(), waiting(1)], False, "Running"),
        ("Always", [waiting(1), waiting(0)], False, "Running"),
        ("Always", [ended(0), ended(0)], True, "Succeeded"),
        ("Never", [ended(0), ended(0)], False, "Succeeded"),
        ("Never", [ended(0), ended(3)], False, "Failed"),
        ("Never", [running(), ended(3)], False, "Running"),
        ("OnFailure", [ended(0), ended(3)], False, "Running"),
        ("OnFailure", [ended(0), waiting(3)], False, "Running"),
        ("OnFailure", [ended(0), ended(3)], True, "Failed"),
        ("OnFailure", [ended(0), ended(0)], False, "Succeeded"),
    ],
)
def test_phase(policy, states, done, phase):
    containers = [{"name": str(index)} for index in range(len(states))]
    pod = {"metadata": {}, "spec": {"restartPolicy": policy, "containers": containers}}
    statuses = [status | {"name": str(index)} for index, status in enumerate(states)]
    assert pod_phase(pod, {"containerStatuses": statuses}, done) == phase


def run(name: str, phase: Phase, code: int = 0, sandbox: int = 0) -> Run:
    return Run(name, f"id-{name}", 0, "", "", (name, ""), sandbox=sandbox, phase=phase, exit_code=code)


def plan(spec: dict[str, Any], *runs: Run, sandboxes: int = 0) -> tuple[list[str], list[str], bool]:
    state = PodState(sandboxes=sandboxes)
    for one in runs:
        state.add(one)
    actions = next_actions({"metadata": {}, "spec": spec}, state)
    return [one["name"] for one in actions.init], [one["name"] for one in actions.regular], actions.end


INIT = {"initContainers": [{"name": "i"}], "containers": [{"name": "c"}], "restartPolicy": "Always"}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "c"}]}


@pytest.mark.parametrize(
    ("spec", "runs", "planned"),
    [
        (INIT, [], (["i"], [], False)),
        (INIT, [run("i", Phase.RUNNING)], ([], [], False)),
        (INIT, [run("i", Phase.EXITED, 1)], (["i"], [], False)),
        (INIT, [run("i", Phase.EXITED)], ([], ["c"], False)),
        (INIT, [run("i", Phase.EXITED), run("c", Phase.EXITED, 1)], ([], ["c"], False)),
        (INIT | {"restartPolicy": "Never"}, [run("i", Phase.EXITED, 1)], ([], [], True)),
        (SIDECAR, [], (["s"], [], False)),
        (SIDECAR, [run("s", Phase.RUNNING)], ([], ["c"], False)),
        (SIDECAR, [run("s", Phase.EXITED, 1), run("c", Phase.RUNNING)], (["s"], [], False)),
        (SIDECAR, [run("s", Phase.EXITED, 1), run("c", Phase.EXITED, 1)], (["s"], [], False)),
        (SIDECAR, [run("s", Phase.RUNNING), run("c", Phase.EXITED, 1)], ([], ["c"], False)),
        (SIDECAR | {"restartPolicy": "Never"}, [run("s", Phase.EXITED, 1), run("c", Phase.EXITED)], ([], [], True)),
        (SIDECAR | {"restartPolicy": "Never"}, [run("s", Phase.RUNNING), run("c", Phase.EXITED)], ([], [], True)),
    ],
)
def test_what_to_start_next(spec, runs, planned):
    assert plan(spec, *runs) == planned


def test_a_new_sandbox_initializes_again():
    runs = [run("i", Phase.EXITED), run("c", Phase.EXITED, 255)]
    assert plan(INIT, *runs, sandboxes=1) == (["i"], [], False)


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"),
    [
        ({}, {}, False),
        ({"hostIP": "127.0.0.1"}, {"hostIP": "172.18.0.2"}, True),
        ({"hostIP": "127.0.0.1"}, {}, False),
        ({"protocol": "UDP"}, {}, True),
    ],
)
def test_a_host_port_is_taken_at_its_address_and_for_its_protocol(ours: Obj, theirs: Obj, fits: bool) -> None:
    def pod(port: Obj) -> Obj:
        return {"spec": {"containers": [{"name": "c", "ports": [{"hostPort": 80, "containerPort": 80, **port}]}]}}

    node: Obj = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"pods": "9"}}}
    with nullcontext() if fits else pytest.raises(Rejected, match="free ports"):
        admit(pod(ours), node, [pod(theirs)], set())


@pytest.mark.parametrize(("policy", "fits"), [("Always", False), (None, True)])
def test_a_sidecar_holds_its_host_port(policy: str | None, fits: bool) -> None:
    init = {"name": "i", "restartPolicy": policy, "ports": [{"hostPort": 80, "containerPort": 80}]}
    other = {"spec": {"containers": [], "initContainers": [init]}}
    node: Obj = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"pods": "9"}}}
    with nullcontext() if fits else pytest.raises(Rejected, match="free ports"):
        admit({"spec": {"containers": [{"name": "c", "ports": init["ports"]}]}}, node, [other], set())


@pytest.mark.parametrize(
    ("missing", "chosen"),
    [
        ({"cpu": "1"}, ["worst"]),
        ({"cpu": "2"}, ["small", "worst"]),
        ({"cpu": "4"}, ["large", "worst"]),
        ({"cpu": "5"}, ["small", "large", "worst"]),
        ({"cpu": "8"}, ["sure", "large", "worst"]),
        ({"memory": "1Gi"}, ["small"]),
        ({"pods": "1"}, ["idle"]),
    ],
)
def test_who_makes_room_for_a_critical_pod(missing: Obj, chosen: list[str]) -> None:
    def pod(name: str, limits: Obj | None = None, **requests: str) -> Obj:
        resources = {"requests": requests, **({"limits": limits} if limits else {})}
        return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "resources": resources}]}}

    whole = {"cpu": "4", "memory": "1Gi"}
    others = [
        pod("sure", whole, **whole),
        pod("small", cpu="1", memory="1Gi"),
        pod("large", cpu="3", memory="2Gi"),
        {"metadata": {"name": "idle"}, "spec": {"containers": [{"name": "c"}]}},
        pod("worst", overhead="0"),
    ]
    others[-1]["spec"]["overhead"] = {"cpu": "1"}  # the worst class, which gives something all the same
    found = victims(others, {name: parse(amount).value for name, amount in missing.items()})
    assert sorted(one["metadata"]["name"] for one in found) == sorted(chosen)


@pytest.mark.parametrize(
    ("asked", "obstructed"),
    [
        ({"cpu": "2", "memory": "1Gi"}, None),
        ({"cpu": "4"}, ("Deferred", "resource: cpu, requested: 4000, used: 1000, capacity: 4000")),
        (
            {"cpu": "4", "memory": "9Gi"},
            ("Infeasible", "capacity: memory, requested: 9663676416, capacity: 8589934592"),
        ),
        (
            {"cpu": "5", "memory": "9Gi"},
            ("Infeasible", "capacity: memory, requested: 9663676416, capacity: 8589934592"),
        ),
        ({"cpu": "5", "memory": "8Gi"}, ("Infeasible", "capacity: cpu, requested: 5000, capacity: 4000")),
    ],
)
def test_what_is_in_the_way_of_a_resize(asked: Obj, obstructed: tuple[str, str] | None) -> None:
    def pod(requests: Obj) -> Obj:
        return {"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}}

    node = {"status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}}
    told = obstructed and (obstructed[0], f"Node didn't have enough {obstructed[1]}")
    assert obstacle(pod(asked), node, [pod({"cpu": "1", "memory": "1Gi"})]) == told


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (
            {"spec": {"os": {"name": "windows"}}},
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
        ),
        (
            {"metadata": {"labels": {"kubernetes.io/os": "windows"}}, "spec": {}},
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        ),
        (
            {"spec": {"os": {"name": "linux"}}},
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
        ),
    ],
)
def test_what_a_kubelet_refuses_besides_what_the_scheduler_does(pod: Obj, reason: str, message: str) -> None:
    taints = [{"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "NoExecute"}]
    node: Obj = {"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": {"allocatable": {"pods": "9"}}}
    with pytest.raises(Rejected) as refused:
        admit({**pod, "spec": {"containers": [], **pod["spec"]}}, node, [], set())
    assert (refused.value.reason, refused.value.message) == (reason, message)


@pytest.mark.parametrize(
    ("pod", "pressure", "refused"),
    [
        ({}, {"MemoryPressure"}, "[MemoryPressure]"),
        ({"qos": "Burstable"}, {"MemoryPressure"}, ""),
        ({"priority": 2_000_000_000}, {"MemoryPressure"}, ""),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, {"DiskPressure"}, ""),
        (
            {"tolerations": [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]},
            {"MemoryPressure"},
            "",
        ),
        ({"tolerations": [{"operator": "Exists"}]}, {"DiskPressure"}, "[DiskPressure]"),
        ({"qos": "Burstable"}, {"MemoryPressure", "DiskPressure"}, "[MemoryPressure DiskPressure]"),
    ],
)
def test_pods_that_a_node_under_pressure_takes(pod: Obj, pressure: set[str], refused: str) -> None:
    qos, annotations = pod.pop("qos", "BestEffort"), pod.pop("annotations", {})
    body = {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [], **pod},
        "status": {"qosClass": qos},
    }
    node: Obj = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"pods": "9"}}}
    with pytest.raises(Rejected) if refused else nullcontext() as told:
        admit(body, node, [], pressure)
    if refused:
        assert (told.value.reason, told.value.message) == ("Evicted", f"The node had condition: {refused}. ")


def test_a_pod_sets_safe_sysctls_only_and_sees_all_of_them() -> None:
    def pod(**spec: Any) -> Obj:
        return {"spec": {"containers": [], **spec}}

    safe = {"securityContext": {"sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}]}}
    assert sysctls.forbidden(pod(**safe)) == ""
    assert sysctls.in_force(pod(**safe))["kernel.shm_rmid_forced"] == "1"
    assert sysctls.in_force(pod())["net.ipv4.tcp_syncookies"] == "1"
    unsafe = {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}
    assert sysctls.forbidden(pod(**unsafe)) == 'forbidden sysctl: "kernel.msgmax" not allowlisted'
    network = {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "0"}]}}
    assert "host net" in sysctls.forbidden(pod(**network, hostNetwork=True))
