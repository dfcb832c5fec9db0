"""Judging is pure: the same evidence gives the same verdict, and says what was seen."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from kuartui.checks import access, answer, execute, history, logs, reach, state, traffic, unchanged
from kuartui.checks.evidence import NotThereError, Verdict, redact
from kuartui.cluster import exec as cluster_exec
from kuartui.cluster.exec import ExecResult
from kuartui.game.level import Check
from kuartui.game.spec import (
    AccessSpec,
    Action,
    AdmissionSpec,
    AnswerSpec,
    DataSpec,
    DnsSpec,
    ExecSpec,
    Grant,
    HistorySpec,
    LogsSpec,
    Place,
    ReachSpec,
    ResourceQuery,
    Share,
    StateSpec,
    Subject,
    TrafficSpec,
    UnchangedSpec,
)
from tests.checks.fakes import world
from tests.game.levels import LEVEL

PODS = {"pods": ResourceQuery(kind="Pod")}


def test_state() -> None:
    spec = StateSpec(resources=PODS, cel="pods.size() == 2", observe="'%d pods'.format([pods.size()])")
    assert state.judge(spec, {"pods": [{}, {}]}).holds is True
    verdict = state.judge(spec, {"pods": [{}]})
    assert (verdict.holds, verdict.observed) == (False, "1 pods")


def test_state_knows_who_wrote_a_field_when_it_asks() -> None:
    book = {"kind": "ConfigMap", "metadata": {"name": "book", "managedFields": [{"manager": "tug"}]}}
    for cel, known in (("book.metadata.managedFields.size() == 1", True), ("has(book.data)", False)):
        world = SimpleNamespace(objects=SimpleNamespace(current=lambda _: book), gathered={})
        spec = StateSpec(resources={"book": ResourceQuery(kind="ConfigMap", name="book")}, cel=cel)
        assert ("managedFields" in state.gather(spec, world, "written")["book"]["metadata"]) is known  # type: ignore[arg-type]


def test_an_expression_that_cannot_be_judged_is_no_verdict() -> None:
    verdict = state.judge(StateSpec(resources=PODS, cel="pods.size()"), {"pods": []})
    assert verdict.holds is None
    assert "true or false" in verdict.problem


def test_history_remembers() -> None:
    spec = HistorySpec(resources=PODS, always="pods.size() >= 1")
    now = {"pods": [{}]}
    assert history.judge(spec, {"now": now, "violated": False}).holds is True
    assert history.judge(spec, {"now": now, "violated": True}).holds is False
    assert history.judge(spec, {"now": {"pods": []}, "violated": False}).holds is False


# --- access ------------------------------------------------------------------------------------------------------

BOT = Subject(service_account="bot")


def binding(kind: str, role: str, subject: dict[str, str], role_kind: str = "ClusterRole", **labels: str) -> dict:  # type: ignore[type-arg]
    metadata = {"name": role, "labels": labels} | ({"namespace": "here"} if kind == "RoleBinding" else {})
    return {"kind": kind, "metadata": metadata, "roleRef": {"kind": role_kind, "name": role}, "subjects": [subject]}


def rules(*bindings: dict, **roles: list) -> list:  # type: ignore[type-arg]
    found = {
        "Role": [{"metadata": {"name": name, "namespace": "here"}, "rules": each} for name, each in roles.items()],
        "ClusterRole": [{"metadata": {"name": name}, "rules": each} for name, each in roles.items()],
        "RoleBinding": [item for item in bindings if item["kind"] == "RoleBinding"],
        "ClusterRoleBinding": [item for item in bindings if item["kind"] == "ClusterRoleBinding"],
    }
    user, groups = access.identity(BOT, "here")
    return list(access.rules_of(user, groups, found, common=False))


GET_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
ACCOUNT = {"kind": "ServiceAccount", "name": "bot", "namespace": "here"}


def within(found: list, *grants: Grant) -> bool | None:  # type: ignore[type-arg]
    spec = AccessSpec(subject=BOT, within=grants)
    return access.judge(spec, {"reviews": [], "rules": found, "namespace": "here"}).holds


def test_rules_are_found_by_every_way() -> None:
    assert len(rules(binding("RoleBinding", "r", ACCOUNT, "Role"), r=[GET_PODS])) == 1
    assert len(rules(binding("RoleBinding", "r", {"kind": "ServiceAccount", "name": "bot"}), r=[GET_PODS])) == 1
    for group in ("system:serviceaccounts", "system:serviceaccounts:here", "system:authenticated"):
        assert len(rules(binding("RoleBinding", "r", {"kind": "Group", "name": group}), r=[GET_PODS])) == 1
    user = {"kind": "User", "name": "system:serviceaccount:here:bot"}
    assert rules(binding("ClusterRoleBinding", "r", user), r=[GET_PODS])[0]["namespace"] == "*"
    assert (
        rules(binding("RoleBinding", "r", {"kind": "Group", "name": "system:serviceaccounts:there"}), r=[GET_PODS])
        == []
    )


def test_what_everybody_holds_is_not_counted_but_what_is_put_there_is() -> None:
    everybody = {"kind": "Group", "name": "system:authenticated"}
    discovery = {"nonResourceURLs": ["/api"], "verbs": ["get"]}
    oneself = {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]}
    common = binding("ClusterRoleBinding", "system:discovery", everybody)
    assert rules(common, **{"system:discovery": [discovery, oneself]}) == []
    assert len(rules(common, **{"system:discovery": [discovery, GET_PODS]})) == 1
    labelled = binding("RoleBinding", "r", ACCOUNT, **{"kubernetes.io/bootstrapping": "rbac-defaults"})
    assert len(rules(labelled, r=[GET_PODS])) == 1
    assert len(rules(binding("RoleBinding", "system:discovery", ACCOUNT), **{"system:discovery": [discovery]})) == 1


def test_rules_within_the_order() -> None:
    order = Grant(verbs=("get", "list"), resources=("pods",))
    held = binding("RoleBinding", "r", ACCOUNT, "Role")
    assert within(rules(held, r=[GET_PODS]), order) is True
    for beyond in ({"verbs": ["*"]}, {"verbs": ["get", "delete"]}, {"resources": ["*"]}, {"apiGroups": ["*"]}):
        assert within(rules(held, r=[GET_PODS | beyond]), order) is False, beyond
    assert within(rules(binding("ClusterRoleBinding", "r", ACCOUNT), r=[GET_PODS]), order) is False
    assert within(rules(held, r=[{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]), order) is False


def test_places_within_the_order() -> None:
    here, there, everywhere = (
        Grant(verbs=("get",), resources=("pods",), namespaces=places) for places in ((), ("there",), ("*",))
    )
    in_here = rules(binding("RoleBinding", "r", ACCOUNT, "Role"), r=[GET_PODS])
    in_all = rules(binding("ClusterRoleBinding", "r", ACCOUNT), r=[GET_PODS])
    assert [within(in_here, order) for order in (here, there, everywhere)] == [True, False, True]
    assert [within(in_all, order) for order in (here, there, everywhere)] == [False, False, True]
    assert within([*in_here, *in_all], here, there) is False


def test_names_within_the_order() -> None:
    order = Grant(verbs=("get",), resources=("configmaps",), names=("policy",))
    held = binding("RoleBinding", "r", ACCOUNT, "Role")
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    assert within(rules(held, r=[rule | {"resourceNames": ["policy"]}]), order) is True
    assert within(rules(held, r=[rule | {"resourceNames": ["policy", "other"]}]), order) is False
    assert within(rules(held, r=[rule]), order) is False


def test_actions_become_reviews() -> None:
    action = Action(verbs=("get", "list"), resources=("deployments.apps/scale", "pods"), namespaces=("a", "*"))
    found = list(access.attributes(action, "here"))
    assert len(found) == 8
    assert found[0] == {
        "verb": "get",
        "resource": "deployments",
        "group": "apps",
        "subresource": "scale",
        "namespace": "a",
    }
    assert {"verb": "list", "resource": "pods"} in found


def test_reviews_must_all_be_as_wanted() -> None:
    spec = AccessSpec(subject=BOT, allow=(Action(verbs=("get",), resources=("pods",)),))
    good = {"asked": {}, "wanted": True, "allowed": True}
    bad = {"asked": {}, "wanted": False, "allowed": True}
    assert access.judge(spec, {"reviews": [good, good], "namespace": "here"}).holds is True
    verdict = access.judge(spec, {"reviews": [good, bad], "namespace": "here"})
    assert (verdict.holds, verdict.observed) == (False, "1 of 2 permissions are as they should be")


# --- network -----------------------------------------------------------------------------------------------------

FINE = "  HTTP/1.1 200 OK\n  Server: nginx\n  \n<h1>Hello</h1>\n\nkuartui-exit=0\n"
NOT_FOUND = "  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found\n\nkuartui-exit=1\n"
REFUSED = "wget: can't connect to remote host (10.0.0.1): Connection refused\n\nkuartui-exit=1\n"


def attempts(*outputs: str) -> dict:  # type: ignore[type-arg]
    return {"attempts": reach.parse("".join(outputs))}


def test_reach_reads_what_wget_prints() -> None:
    fine, missing, refused = reach.parse(FINE + NOT_FOUND + REFUSED)
    assert fine == {"status": 200, "body": "<h1>Hello</h1>", "connected": True}
    assert (missing["status"], missing["connected"]) == (404, True)
    assert (refused["status"], refused["connected"]) == (0, False)


@pytest.mark.parametrize(
    ("more", "outputs", "holds", "seen"),
    [
        ({"status": 200}, [FINE], True, "HTTP 200"),
        ({"status": 200}, [NOT_FOUND], False, "HTTP 404"),
        ({"status": 404}, [NOT_FOUND], True, "HTTP 404"),
        ({"status": 200, "times": 2}, [FINE, REFUSED], False, "1 of 2: HTTP 200, no connection"),
        ({"status": 200, "times": 2, "share": Share(least=40, most=60)}, [FINE, REFUSED], True, "1 of 2"),
        ({"status": 200, "times": 2, "share": Share(least=40, most=60)}, [FINE, FINE], False, "2 of 2"),
        ({"status": 200, "times": 2, "share": Share(least=40, most=60)}, [REFUSED, REFUSED], False, "0 of 2"),
        ({"body": "Hel+o"}, [FINE], True, "HTTP 200"),
        ({"body": "Bye"}, [FINE], False, "HTTP 200: Hello"),
        ({"not_body": "Hello"}, [FINE], False, "HTTP 200: Hello"),
        ({"expect": "deny"}, [REFUSED], True, "no connection"),
        ({"expect": "deny"}, [NOT_FOUND], False, "HTTP 404"),
    ],
)
def test_reach(more: dict, outputs: list[str], holds: bool, seen: str) -> None:  # type: ignore[type-arg]
    verdict = reach.judge(ReachSpec(url="http://x/", **more), attempts(*outputs))
    assert (verdict.holds, verdict.observed) == (holds, seen)


@pytest.mark.parametrize(
    "more",
    [
        {"url": "https://x/", "via": ResourceQuery(kind="Gateway", name="x")},
        {"url": "http://x/", "via": ResourceQuery(kind="Gateway", name="x"), "from_": "outside"},
        {"url": "http://x/", "via": ResourceQuery(kind="Gateway")},
    ],
)
def test_what_cannot_be_reached_by_way_of_an_object(more: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="via"):
        ReachSpec(**more)


@pytest.mark.parametrize("more", [{"url": "tcp://x:80"}, {"url": "http://x/", "from_": "outside"}])
def test_headers_are_for_http_from_a_pod(more: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="headers"):
        ReachSpec(headers={"x-taster": "yes"}, **more)


def test_reach_without_enough_answers_is_no_verdict() -> None:
    assert reach.judge(ReachSpec(url="http://x/", times=3), attempts(FINE)).holds is None


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("10.96.3.4", "http://10.96.3.4:80/"),
        ("edge.addons.svc.cluster.local", "http://edge.addons.svc.cluster.local.:80/"),
        ("edge.example.com.", "http://edge.example.com.:80/"),
    ],
)
async def test_a_name_in_a_status_is_asked_for_as_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, address: str, asked: str
) -> None:
    place, objects, _ = world(LEVEL)
    objects.put("Gateway", "door", status={"addresses": [{"type": "Hostname", "value": address}]})
    commands: list[tuple[str, ...]] = []

    async def run(_api: object, _namespace: str, _pod: str, command: tuple[str, ...], **more: Any) -> ExecResult:
        commands.append(command)
        assert more["timeout"] > spec.timeout + 20, "what glibc takes to give up on a name"
        return ExecResult(0, FINE, "")

    monkeypatch.setattr(cluster_exec, "run", run)
    spec = ReachSpec(url="http://shop.example.com/", via=ResourceQuery(kind="Gateway", name="door"))
    await reach.observe(spec, place, "reached")
    assert commands == [("wget", "-q", "-S", "-T", "2", "--header", "Host: shop.example.com", "-O", "-", asked)]


def test_dns() -> None:
    spec = DnsSpec(name="web", addresses=("10.0.0.1",))
    assert reach.judge_dns(spec, {"exit": 0, "addresses": ["10.0.0.1"]}).holds is True
    assert reach.judge_dns(spec, {"exit": 0, "addresses": ["10.0.0.2"]}).holds is False
    assert reach.judge_dns(DnsSpec(name="web", expect="nxdomain"), {"exit": 1, "addresses": []}).holds is True


# --- containers --------------------------------------------------------------------------------------------------

FROM = Place(pod="a")


def test_exec_and_data() -> None:
    spec = ExecSpec(command=("x",), exit_code=2, stdout="^ok")
    assert execute.judge(spec, {"exit": 2, "stdout": "ok then", "stderr": ""}).holds is True
    assert execute.judge(spec, {"exit": 0, "stdout": "ok", "stderr": ""}).holds is False
    data = DataSpec(from_=FROM, reads={"size": ("x",)}, cel="int(size) >= 5", observe="size + ' keys'")
    assert execute.judge_data(data, {"size": "7"}).observed == "7 keys"
    assert execute.judge_data(data, {"size": "many"}).holds is False


def test_logs() -> None:
    spec = LogsSpec(from_=FROM, contains="done", absent="403")
    assert logs.judge(spec, {"lines": 3, "contains": 1, "absent": 0}).holds is True
    assert logs.judge(spec, {"lines": 3, "contains": 1, "absent": 1}).holds is False
    assert logs.judge(spec, {"lines": 3, "contains": 0, "absent": 0}).holds is False
    often = LogsSpec(from_=FROM, contains="done", times=3)
    assert logs.judge(often, {"lines": 9, "contains": 3, "absent": 0}).holds is True
    assert logs.judge(often, {"lines": 9, "contains": 2, "absent": 0}).holds is False


@pytest.mark.parametrize(("times", "counted"), [(1, 1), (2, 3)])
async def test_lines_that_must_come_often_are_counted_in_all_pods(times: int, counted: int) -> None:
    place, objects, _ = world(LEVEL)
    written = {"one": "done\nidle\n", "two": "done\ndone\n"}
    for name in written:
        objects.put("Pod", name, status={"phase": "Succeeded"})

    class Kubelets:
        async def logs(self, _namespace: str, pod: str, **_: object) -> str:
            return written[pod]

    place.api = Kubelets()  # type: ignore[assignment]
    spec = LogsSpec(from_=Place(selector="job-name=pack"), contains="done", times=times)
    assert (await logs.observe(spec, place, "worked"))["contains"] == counted


def test_traffic_adds_up_what_was_measured() -> None:
    log = "\n".join(
        [
            "2026-11-23T12:00:00.000000000Z loadgen: 6 requests per second",
            '2026-11-23T12:00:01.000000000Z {"ok": 4, "failed": 0, "p50_ms": 100.0, "p95_ms": 200.0}',
            '2026-11-23T12:00:02.000000000Z {"ok": 1, "failed": 5, "p50_ms": 200.0, "p95_ms": 700.0}',
            "2026-11-23T12:00:03.000000000Z {broken",
        ]
    )
    found = traffic.measured(log, 10.0, datetime(2026, 11, 23, 12, 0, 4, tzinfo=UTC))
    assert (found["ok"], found["failed"], found["rate"], found["share"], found["age"]) == (5, 5, 1.0, 0.5, 2.0)
    assert found["p95"] == pytest.approx(300)
    spec = TrafficSpec(from_=FROM, cel="share >= 0.5 && age < 5.0", observe="'%d of %d'.format([ok, total])")
    assert traffic.judge(spec, found).observed == "5 of 10"
    elsewhere = log.replace("T12", "T14").replace("Z ", "+02:00 ")
    assert traffic.measured(elsewhere, 10.0, datetime(2026, 11, 23, 12, 0, 4, tzinfo=UTC)) == found
    with pytest.raises(NotThereError):
        traffic.measured("nothing\n", 10.0, datetime.now(UTC))


def test_answers_and_admission() -> None:
    assert answer.judge(AnswerSpec(key="k", equals="42"), {"value": " 42\n"}).holds is True
    assert answer.judge(AnswerSpec(key="k", matches="^4"), {"value": "24"}).holds is False
    verdict = answer.judge(AnswerSpec(key="k", equals="42"), {"value": "43"})
    assert "42" not in verdict.observed, "the answer is not given away"
    denied = AdmissionSpec(object={}, expect="denied", message="privileged")
    assert answer.judge_admission(denied, {"admitted": False, "message": "privileged is not allowed"}).holds is True
    other = answer.judge_admission(denied, {"admitted": False, "message": "quota"})
    assert other == Verdict(False, "denied, for another reason"), "it says that it was not for this, and not for what"


# --- unchanged -----------------------------------------------------------------------------------------------------


def test_paths_go_through_lists() -> None:
    pod = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}, "metadata": {"labels": {"a.b/c": "d"}}}
    assert unchanged.at(pod, "spec.containers.image") == ["x", unchanged.ABSENT]
    assert unchanged.at(pod, "metadata.labels['a.b/c']") == "d"
    assert unchanged.at(pod, "spec.nothing.at.all") == unchanged.ABSENT


def test_unchanged() -> None:
    spec = UnchangedSpec(kind="Service", name="web", paths=("spec.ports",))
    start = {"web": {"spec.ports": [1]}}
    assert unchanged.judge_values(spec, {"start": start, "now": start}).holds is True
    assert unchanged.judge_values(spec, {"start": start, "now": {"web": {"spec.ports": [2]}}}).holds is False
    verdict = unchanged.judge_values(spec, {"start": start, "now": {}})
    assert (verdict.holds, verdict.observed) == (False, "Service changed: web is gone")
    assert unchanged.judge_values(spec, {"start": None, "now": {}}).holds is None


def test_secrets_do_not_leave_the_machine() -> None:
    secret = {
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": {"last-applied": "hunter2"}, "managedFields": []},
        "data": {"password": "aHVudGVyMg=="},
        "stringData": {"password": "hunter2"},
    }
    shown = redact(secret)
    assert "hunter2" not in str(shown)
    assert "aHVudGVyMg==" not in str(shown)
    assert shown["data"]["password"] == redact(secret)["data"]["password"], "equal values stay equal"


def test_a_question_is_exactly_one() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Check(name="a", title="A", weight=1)


async def test_what_is_asked_once_is_asked_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    place, _, _ = world(LEVEL)
    commands: list[tuple[str, ...]] = []

    async def run(_api: object, _namespace: str, _pod: str, command: tuple[str, ...], **_: Any) -> ExecResult:
        commands.append(command)
        loop = command[0] == "sh"
        said = ("wget: server returned error: HTTP/1.1 404 Not Found\n", "lost\n")
        turn = f"{said[0]}{said[1]}\nkuartui-exit=1\n"
        return ExecResult(0, 2 * turn, "") if loop else ExecResult(1, said[1], said[0])

    monkeypatch.setattr(cluster_exec, "run", run)
    once, twice = (ReachSpec(url="http://shop/", times=times, status=404) for times in (1, 2))
    seen = [await reach.observe(spec, place, "reached") for spec in (once, twice)]
    assert commands[0] == ("wget", "-q", "-S", "-T", "2", "-O", "-", "http://shop/")
    assert commands[1][0] == "sh"
    assert commands[1][4:] == commands[0]
    assert seen[1]["attempts"] == 2 * seen[0]["attempts"]
    assert reach.judge(once, seen[0]) == Verdict(True, "HTTP 404")


async def test_objects_that_have_not_changed_are_gathered_once() -> None:
    place, objects, _ = world(LEVEL)
    objects.put("Pod", "a")
    counted, named = (
        StateSpec(resources=PODS, cel=cel) for cel in ("pods.size() == 1", "pods[0].metadata.name == 'b'")
    )
    first = await state.observe(counted, place, "x")
    assert await state.observe(counted, place, "x") is first
    assert await state.observe(named, place, "x") is not first  # a name that two questions have
    assert not state.judge(named, await state.observe(named, place, "x")).holds
    objects.put("Pod", "b")
    assert not state.judge(counted, await state.observe(counted, place, "x")).holds
    objects.remove("Pod", "a")
    assert state.judge(named, await state.observe(named, place, "x")).holds
