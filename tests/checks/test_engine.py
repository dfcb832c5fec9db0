"""The engine follows what it reads, on the cluster's clock, and survives what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
import pytest

from kuartui.checks import baseline
from kuartui.checks.engine import Engine, Finding
from kuartui.checks.evidence import Evidence, Verdict
from kuartui.checks.registry import KINDS
from kuartui.checks.world import World
from kuartui.cluster.clock import SteppedClock
from kuartui.errors import NoKindError
from kuartui.game.duration import Duration
from kuartui.game.guards import GLOBAL
from kuartui.game.labels import RESTARTED
from kuartui.game.level import Check, Guard, Level, Ref
from kuartui.game.spec import HistorySpec, Place, ResourceQuery, StateSpec, TrafficSpec, UnchangedSpec
from tests.checks.fakes import FakeObjects, calm, world
from tests.game.levels import LEVEL

PODS = {"pods": ResourceQuery(kind="Pod")}
SEEN = "'%d pods'.format([pods.size()])"


def at_least(count: int) -> StateSpec:
    return StateSpec(resources=PODS, cel=f"pods.size() >= {count}", observe=SEEN)


def level(
    *checks: Check, guards: tuple[Guard, ...] = (), universal: bool = False, protected: tuple[Ref, ...] = ()
) -> Level:
    allow = () if universal else tuple(guard.name for guard in GLOBAL)
    return msgspec.structs.replace(LEVEL, checks=checks, guards=guards, allow=allow, protected=protected)


def check(name: str, count: int, **more: object) -> Check:
    return Check(name=name, title=name, weight=50, state=at_least(count), **more)  # type: ignore[arg-type]


@asynccontextmanager
async def running(of: Level, objects_before: int = 0) -> AsyncIterator[tuple[Engine, FakeObjects, list[Finding]]]:
    place, objects, _ = world(of)
    for number in range(objects_before):
        objects.put("Pod", f"p{number}", spec={})
    place.baseline = await baseline.capture(place)
    seen: list[Finding] = []
    engine = Engine(place, on_change=lambda finding, _: seen.append(finding))
    await engine.start()
    await calm()
    yield engine, objects, seen
    await engine.stop()


def states(engine: Engine) -> dict[str, str]:
    return {name: finding.state for name, finding in engine.findings.items()}


async def test_a_change_is_seen_at_once() -> None:
    async with running(level(check("one", 1))) as (engine, objects, seen):
        assert states(engine) == {"one": "failing"}
        assert engine.findings["one"].observed == "0 pods"
        objects.put("Pod", "a")
        await calm()
        assert states(engine) == {"one": "passing"}
        assert engine.green()
        objects.remove("Pod", "a")
        await calm()
        assert [finding.state for finding in seen] == ["failing", "passing", "failing"]


async def test_hold_counts_without_a_break() -> None:
    async with running(level(check("one", 1, hold=Duration(10)))) as (engine, objects, _):
        clock = engine.world.clock
        objects.put("Pod", "a")
        await calm()
        await clock.advance(6)
        await calm()
        assert states(engine) == {"one": "holding"}
        assert engine.hold_left("one") == 4
        objects.remove("Pod", "a")
        await calm()
        objects.put("Pod", "a")
        await calm()
        await clock.advance(6)
        await calm()
        assert states(engine) == {"one": "holding"}, "it began anew"
        await clock.advance(4)
        await calm()
        assert states(engine) == {"one": "passing"}


async def test_after_waits_for_others() -> None:
    two = check("two", 1, after=("one",))
    async with running(level(check("one", 2), two), objects_before=1) as (engine, objects, _):
        assert states(engine) == {"one": "failing", "two": "waiting"}
        objects.put("Pod", "b")
        await calm()
        assert states(engine) == {"one": "passing", "two": "passing"}
        objects.remove("Pod", "b")
        await calm()
        assert states(engine) == {"one": "failing", "two": "waiting"}


async def test_a_kind_that_the_player_makes_is_followed_from_then_on() -> None:
    mine = StateSpec(
        resources={"mine": ResourceQuery(kind="Tasting", api_version="cafe.example/v1")}, cel="mine.size() > 0"
    )
    first = Check(name="first", title="first", weight=50, state=mine, after=("one",))
    place, objects, _ = world(level(check("one", 1), first))
    objects.unserved.add("Tasting")
    engine = Engine(place)
    await engine.start()
    objects.put("Pod", "a")
    await calm()
    assert states(engine) == {"one": "passing", "first": "failing"}
    assert engine.findings["first"].observed == "this cluster has no kind Tasting"
    objects.unserved.clear()
    await place.clock.advance(1)
    await calm()
    objects.put("Tasting", "espresso")
    await calm()
    assert states(engine) == {"one": "passing", "first": "passing"}
    await engine.stop()


async def test_a_kind_that_nothing_waits_for_must_be_there() -> None:
    place, objects, _ = world(level(check("one", 1)))
    objects.unserved.add("Pod")
    with pytest.raises(NoKindError):
        await Engine(place).start()


async def test_a_cluster_that_goes_away_is_shown_and_forgiven() -> None:
    async with running(level(check("one", 1, hold=Duration(5)))) as (engine, objects, _):
        objects.put("Pod", "a")
        await calm()
        await engine.world.clock.advance(5)
        await calm()
        objects.fail("connection refused")
        await calm()
        assert states(engine) == {"one": "unknown"}
        assert (engine.findings["one"].problem, engine.trouble) == ("connection refused", "connection refused")
        objects.fail("")
        await calm()
        assert states(engine) == {"one": "passing"}, "what held before still holds"


async def test_an_expression_that_fails_is_unknown() -> None:
    bad = Check(name="bad", title="bad", weight=1, state=StateSpec(resources=PODS, cel="pods.size()"))
    async with running(level(bad)) as (engine, _, _):
        assert states(engine) == {"bad": "unknown"}
        assert "expression failed" in engine.findings["bad"].problem


async def test_an_answer_that_makes_no_sense_is_unknown() -> None:
    deployment = Ref(kind="Deployment", name="web")
    async with running(level(check("one", 9), universal=True, protected=(deployment,))) as (engine, objects, _):
        objects.put("Deployment", "web", spec="garbage")
        await calm()
        assert states(engine)["keep-running"] == "unknown"
        assert "makes no sense" in engine.findings["keep-running"].problem
        objects.put("Deployment", "web", spec={})
        await calm()
        assert states(engine)["keep-running"] == "passing"


async def test_history_sees_every_moment_and_does_not_forget() -> None:
    spec = HistorySpec(resources=PODS, always="pods.size() >= 2", observe=SEEN)
    always = Guard(name="always", title="always", history=spec)
    violated: list[str] = []
    place, objects, _ = world(level(check("one", 9), guards=(always,)))
    for name in ("a", "b"):
        objects.put("Pod", name)
    engine = Engine(place, on_violation=violated.append)
    await engine.start()
    await calm()
    objects.remove("Pod", "a")
    objects.put("Pod", "a")  # back before anybody could take a look
    await calm()
    assert states(engine)["always"] == "failing"
    assert violated == ["always"], "said once"
    await engine.stop()


async def test_history_does_not_judge_in_the_middle_of_a_list() -> None:
    always = Guard(name="always", title="always", history=HistorySpec(resources=PODS, always="pods.size() != 2"))
    async with running(level(check("one", 9), guards=(always,))) as (engine, objects, _):
        for name in ("a", "b", "c"):
            objects.put("Pod", name, listed=True)
        await calm()
        assert states(engine)["always"] == "passing"


async def test_unchanged_compares_with_the_start() -> None:
    same = Guard(name="same", title="same", unchanged=UnchangedSpec(kind="Pod", paths=("spec",)))
    async with running(level(check("one", 9), guards=(same,)), objects_before=1) as (engine, objects, _):
        assert states(engine)["same"] == "passing"
        objects.put("Pod", "p0", spec={"changed": True})
        await calm()
        assert states(engine)["same"] == "failing"
        assert engine.findings["same"].observed == "Pod changed: p0: spec"
        objects.put("Pod", "p0", spec={})
        await calm()
        assert states(engine)["same"] == "passing"


async def test_a_probe_without_a_place_is_red_not_unknown() -> None:
    spec = TrafficSpec(from_=Place(selector="app=x"), cel="total > 0")
    traffic = Check(name="served", title="served", weight=1, traffic=spec)
    async with running(level(traffic)) as (engine, _, _):
        assert states(engine) == {"served": "failing"}
        assert engine.findings["served"].observed == "no ready pod with app=x"


async def test_refresh_looks_at_everything() -> None:
    async with running(level(check("one", 1), check("two", 1, after=("one",)))) as (engine, objects, _):
        objects.found["Pod"] = {"a": {"metadata": {"name": "a"}}}  # without telling anybody
        await engine.refresh()
        assert states(engine) == {"one": "passing", "two": "passing"}


async def test_the_same_evidence_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []

    def judge(spec: StateSpec, evidence: Evidence) -> Verdict:
        judged.append(len(evidence["pods"]))
        return Verdict(len(evidence["pods"]) > 1, f"{len(evidence['pods'])} pods")

    monkeypatch.setitem(KINDS, "state", replace(KINDS["state"], judge=judge))
    async with running(level(check("one", 2)), objects_before=1) as (engine, objects, _):
        await engine.refresh()
        await engine.refresh()
        assert judged == [1]
        objects.put("Pod", "another", spec={})
        await calm()
        await engine.refresh()
        assert (judged, states(engine)) == ([1, 2], {"one": "passing"})
        objects.put("Pod", "another", spec={"nodeName": "n"})
        await calm()
        assert judged == [1, 2, 2]  # changed is not the same


# --- the guards that every level has ---------------------------------------------------------------------------------


async def test_universal_guards_are_whole_at_the_start() -> None:
    deployment = Ref(kind="Deployment", name="web")
    async with running(level(check("one", 9), universal=True, protected=(deployment,))) as (engine, _, _):
        assert set(states(engine).values()) == {"failing", "passing"}
        assert states(engine) == {"one": "failing", **{guard.name: "passing" for guard in GLOBAL}}


async def broken(objects_change: object, *, before: object = None, asked: Check | None = None) -> set[str]:
    deployment = Ref(kind="Deployment", name="web")
    of = level(asked or check("one", 99), universal=True, protected=(deployment,))
    place, objects, _ = world(of)
    objects.put("Deployment", "web", spec={"replicas": 2}, status={"readyReplicas": 2})
    objects.put("Namespace", "here")
    objects.found["Namespace"]["here"]["metadata"]["labels"] = {"kuartui.dev/attempt": "a"}
    objects.put("ClusterRoleBinding", "admins", roleRef={"name": "cluster-admin"})
    if before is not None:
        before(objects)  # type: ignore[operator]
    place.baseline = await baseline.capture(place)
    engine = Engine(place)
    await engine.start()
    await calm()
    assert all(engine.findings[guard.name].state == "passing" for guard in GLOBAL)
    objects_change(objects)  # type: ignore[operator]
    await calm()
    await engine.stop()
    return {guard.name for guard in GLOBAL if engine.findings[guard.name].state == "failing"}


async def test_what_breaks_which_guard() -> None:
    star = [{"verbs": ["*"], "resources": ["*"], "apiGroups": ["*"]}]
    by_hand = [{"manager": "kubectl-edit", "subresource": "status"}]

    def forge(objects: FakeObjects) -> None:
        objects.put("Pod", "p", spec={})
        objects.found["Pod"]["p"]["metadata"]["managedFields"] = by_hand
        objects.put("Pod", "q", spec={})

    assert await broken(lambda o: o.put("Deployment", "web", spec={"replicas": 0})) == {"keep-running"}
    assert await broken(lambda o: o.put("Deployment", "web", spec={"paused": True})) == {"not-paused"}
    assert await broken(lambda o: o.remove("Deployment", "web")) == {"same-objects"}
    assert await broken(lambda o: o.remove("Namespace", "here")) == {"same-world"}
    assert await broken(lambda o: o.put("ClusterRoleBinding", "me", roleRef={"name": "cluster-admin"})) == {
        "no-master-key"
    }
    assert await broken(lambda o: o.put("Role", "all", rules=star)) == {"no-master-key"}
    assert await broken(lambda o: o.put("Pod", "p", spec={"hostNetwork": True})) == {"no-host-access"}
    assert await broken(lambda o: o.put("Pod", "p", spec={"volumes": [{"hostPath": {}}]})) == {"no-host-access"}
    assert await broken(forge) == {"honest-status"}
    assert await broken(lambda o: o.put("Role", "some", rules=[{"verbs": ["get"], "resources": ["*"]}])) == set()
    assert await broken(lambda o: o.put("Pod", "p", spec={"containers": [{}]})) == set()


async def test_a_status_that_a_check_believes_is_not_written_by_hand() -> None:
    jobs = StateSpec(resources={"jobs": ResourceQuery(kind="Job")}, cel="jobs.exists(j, has(j.status))")
    asked = Check(name="done", title="done", weight=50, state=jobs)

    def forge(objects: FakeObjects) -> None:
        objects.put("Job", "count", status={"succeeded": 3})
        objects.found["Job"]["count"]["metadata"]["managedFields"] = [{"manager": "kubectl", "subresource": "status"}]
        objects.put("Job", "other")

    assert await broken(forge, asked=asked) == {"honest-status"}
    assert await broken(lambda o: o.put("Job", "count", status={"succeeded": 3}), asked=asked) == set()


async def test_who_serves_nobody_may_be_stopped_while_it_is_mended() -> None:
    def down(objects: FakeObjects) -> None:
        objects.put("Deployment", "web", spec={"replicas": 2})

    assert await broken(lambda o: o.put("Deployment", "web", spec={"replicas": 0}), before=down) == set()


async def test_our_own_pod_must_stay() -> None:
    def probe(objects: FakeObjects) -> None:
        objects.put("Pod", "probe", namespace="kuartui-system", spec={})

    assert await broken(lambda o: o.remove("Pod", "probe"), before=probe) == {"own-business"}


async def test_the_system_may_be_restarted_but_not_changed() -> None:
    def dns(restarted: str = "", image: str = "dns:1") -> Callable[[FakeObjects], None]:
        metadata = {"annotations": {RESTARTED: restarted}} if restarted else {}
        template = {"metadata": metadata, "spec": {"containers": [{"image": image}]}}
        return lambda o: o.put("Deployment", "coredns", namespace="kube-system", spec={"template": template})

    assert await broken(dns("2026-01-01T00:00:00Z"), before=dns()) == set()
    assert await broken(dns("2026-01-01T00:00:00Z"), before=dns("2025-12-31T00:00:00Z")) == set()
    assert await broken(dns("2026-01-01T00:00:00Z", "dns:2"), before=dns()) == {"system-as-was"}


async def test_what_another_engine_saw_is_not_looked_at_again_before_something_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a copy of a cluster, where everything is as it was."""
    kind = KINDS["state"]
    looked: list[str] = []

    async def observe(spec: StateSpec, place: World, name: str) -> Evidence:
        looked.append(name)
        return await kind.observe(spec, place, name)

    two = check("two", 1, after=("one",))
    async with running(level(check("one", 2), two), objects_before=1) as (first, objects, _):
        monkeypatch.setitem(KINDS, "state", replace(kind, observe=observe))
        engine = Engine(first.world, seen=first.findings)
        await engine.start()
        await engine.looked()
        await calm()
        assert states(engine) == {"one": "failing", "two": "waiting"}
        assert looked == []
        objects.put("Pod", "b")
        await calm()
        assert states(engine) == {"one": "passing", "two": "passing"}
        assert looked == ["one", "two"]
        await engine.stop()


async def test_what_changes_in_a_step_of_time_is_looked_at_in_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the way there a cluster shows what nobody on real time would see for longer than a moment."""
    kind, looked = KINDS["state"], []

    async def observe(spec: StateSpec, place: World, name: str) -> Evidence:
        evidence = await kind.observe(spec, place, name)
        looked.append(len(evidence["pods"]))
        return evidence

    async with running(level(check("one", 3))) as (first, objects, _):
        monkeypatch.setitem(KINDS, "state", replace(kind, observe=observe))

        async def drive(_seconds: float) -> None:
            for name in "abc":
                objects.put("Pod", name)
                await calm()

        clock = SteppedClock(drive)
        engine = Engine(replace(first.world, clock=clock))
        await engine.start()
        await engine.looked()
        await clock.advance(1.0)
        await calm()
        assert (looked, states(engine)) == ([0, 3], {"one": "passing"})
        await engine.stop()


async def test_where_nothing_was_seen_an_engine_looks_for_itself() -> None:
    async with running(level(check("one", 1))) as (first, objects, _):
        objects.put("Pod", "a")
        engine = Engine(first.world, seen={"one": Finding("one", problem="the cluster is away")})
        await engine.start()
        await engine.looked()
        assert states(engine) == {"one": "passing"}
        await engine.stop()
