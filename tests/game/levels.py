"""A small level for tests of the rules."""

from __future__ import annotations

from kuartui.game.duration import Duration
from kuartui.game.level import Check, Guard, Hint, Level, Setup, Solution
from kuartui.game.spec import ResourceQuery, StateSpec

ALWAYS = StateSpec(resources={"pods": ResourceQuery(kind="Pod")}, cel="pods.size() > 0")


def check(name: str, weight: int, **more: object) -> Check:
    return Check(name=name, title=name.title(), weight=weight, state=ALWAYS, **more)  # type: ignore[arg-type]


def guard(name: str, **more: object) -> Guard:
    return Guard(name=name, title=name.title(), state=ALWAYS, **more)  # type: ignore[arg-type]


LEVEL = Level(
    name="sample",
    title="A sample",
    story="Once upon a time.",
    task="Do it.",
    difficulty=2,
    par_time=Duration(100),
    time_limit=Duration(300),
    namespace="here",
    setup=Setup(manifests=("setup/",)),
    checks=(check("one", 60), check("two", 30), check("three", 10)),
    guards=(
        guard("all", effect="zero"),
        guard("half", effect="half"),
        guard("part", effect="void", voids=("two",)),
        guard("forever", effect="zero", sticky=True),
    ),
    hints=(Hint(cost=5, text="a"), Hint(cost=10, text="b")),
    solutions=(Solution(name="it", run=("true",)),),
)
