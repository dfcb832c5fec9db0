"""When the API server's authorizer is asked, and when an answer is good enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from kuartui.checks import access
from kuartui.game.spec import AccessSpec, Action, ResourceQuery, Subject

SPEC = AccessSpec(subject=Subject(service_account="bot"), allow=(Action(verbs=("get", "list"), resources=("pods",)),))


def named(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "here", "labels": rest.pop("labels", {})}, **rest}


@dataclass
class Time:
    steppable: bool = False
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Place:
    """An API server whose answers and objects can be set."""

    clock: Time = field(default_factory=Time)
    held: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in access.ROLE_KINDS})
    allows: bool = False
    asked: int = 0
    reviews: dict[Any, Any] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.level = SimpleNamespace(namespace="here")
        self.objects = self.api = self

    async def all(self, query: ResourceQuery) -> list[dict[str, Any]]:
        return self.held[query.kind]

    async def allowed(self, *_: Any) -> bool:
        self.asked += 1
        return self.allows

    async def holds(self) -> bool | None:
        return access.judge(SPEC, await access.observe(SPEC, self, "")).holds  # type: ignore[arg-type]

    def bind(self) -> None:
        self.held["Role"] = [
            named("Role", "reader", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])
        ]
        subject = {"kind": "ServiceAccount", "name": "bot", "namespace": "here"}
        role = {"kind": "Role", "name": "reader"}
        self.held["RoleBinding"] = [named("RoleBinding", "b", subjects=[subject], roleRef=role)]


async def test_an_answer_lasts_while_the_subject_holds_the_same_rules() -> None:
    place = Place(Time(seconds=100.0))
    await place.holds()
    place.clock.seconds += access.LAG
    assert await place.holds() is False
    assert place.asked == 4  # once more: at first the authorizer may not have heard
    place.held["Role"] = [named("Role", "of-nobody", rules=[])]
    assert await place.holds() is False
    assert place.asked == 4
    place.bind()
    place.allows = True
    assert await place.holds() is True
    assert place.asked == 6
    place.clock.seconds += access.FRESH
    await place.holds()
    assert place.asked == 8


async def test_an_authorizer_that_hears_late_is_asked_again() -> None:
    place = Place(Time(seconds=100.0))
    place.bind()
    assert await place.holds() is False
    place.clock.seconds += access.PERIOD
    place.allows = True
    assert await place.holds() is True


async def test_on_stepped_time_everybody_has_heard() -> None:
    place = Place(Time(steppable=True))
    await place.holds()
    await place.holds()
    assert place.asked == 2


async def test_on_stepped_time_another_cluster_with_the_same_rules_answered_already() -> None:
    first = Place(Time(steppable=True), allows=True)
    first.bind()
    assert await first.holds() is True
    second = Place(Time(steppable=True), known=first.known)
    second.bind()
    assert (await second.holds(), second.asked) == (True, 0)
    second.held["Role"] = []
    assert (await second.holds(), second.asked) == (False, 1)  # of list no rule has ever told


async def test_on_stepped_time_a_rule_about_something_else_changes_no_answer() -> None:
    place = Place(Time(steppable=True), allows=True)
    place.bind()
    await place.holds()
    rules = place.held["Role"][0]["rules"]
    place.held["Role"] = [
        named("Role", "reader", rules=[*rules, {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}])
    ]
    await place.holds()
    assert place.asked == 2


@pytest.mark.parametrize("rule", [("*", "", "pods"), ("get", "*", "pods"), ("get", "", "*")])
async def test_on_stepped_time_a_wildcard_is_about_everything(rule: tuple[str, str, str]) -> None:
    place = Place(Time(steppable=True))
    place.bind()
    await place.holds()
    verb, group, resource = rule
    wild = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
    place.held["Role"] = [named("Role", "reader", rules=[*place.held["Role"][0]["rules"], wild])]
    await place.holds()
    assert place.asked > 2
