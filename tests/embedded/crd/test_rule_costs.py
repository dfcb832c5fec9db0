"""What rules cost at worst, as cel-go and Kubernetes estimate it."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.crd.rule_costs import expression_cost
from tests.embedded.crd.world import CRDS, NAME, World, crd, fields

Obj = dict[str, Any]

NUMBER: Obj = {"type": "number"}
EITHER: Obj = {"x-kubernetes-int-or-string": True}
DURATION: Obj = {"type": "string", "format": "duration"}
WHEN: Obj = {"type": "string", "format": "date-time"}
PATH = "spec.validation.openAPIV3Schema"
ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


def text(most: int | None = None, **more: Any) -> Obj:
    return {"type": "string", **({} if most is None else {"maxLength": most}), **more}


def array(items: Obj, most: int | None = None) -> Obj:
    return {"type": "array", "items": items, **({} if most is None else {"maxItems": most})}


def mapping(values: Obj, most: int | None = None) -> Obj:
    found: Obj = {"type": "object", "additionalProperties": values}
    return found if most is None else {**found, "maxProperties": most}


@pytest.mark.parametrize(
    ("rule", "schema", "cost"),
    [
        ('self == "x"', text(), 2),
        ('self == "x"', text(0), 1),
        ("self.all(x, x == 0.0)", array(NUMBER), 6291454),
        ("self.all(x, true)", array(EITHER), 4718591),
        ("self.all(x, true)", array(EITHER, 10), 32),
        ("self[0] == 5", array(EITHER), 3),
        ("self.all(x, true)", array(DURATION), 2359295),
        ("self[0].getHours() == 2", array(DURATION), 4),
        ("self.all(x, true)", mapping(EITHER), 1348169),
        ("self.all(x, true)", mapping(mapping(NUMBER)), 1179647),
        ("self.all(x, true)", mapping(WHEN), 349526),
        ('self["a"] == self["b"]', mapping(WHEN), 8),
        ("self.find('[0-9]+') == ''", text(), 629147),
        ("self.join(' ') == 'aa bb'", array(text()), 329853068905),
        ("self.isSorted() == true", array(text(10), 10), 52),
        ("self.lowerAscii() == 'lower!'", text(10), 6),
        ("self.contains('A')", text(None, enum=["A", "LongValue"]), 2),
        ("self.contains('A')", text(1000), 401),
        ("oldSelf.size() == self.size()", mapping(NUMBER), 5),
        ("cel.bind(n, self.size(), n > 1 ? n == 2 : true)", text(), 16),
        ("self.", text(), 0),
    ],
)
def test_the_cost_of_an_expression(rule: str, schema: Obj, cost: int) -> None:
    assert expression_cost(rule, schema, root=False) == cost


def ruled(schema: Obj, *rules: str) -> Obj:
    return {**schema, "x-kubernetes-validations": [{"rule": rule} for rule in rules]}


PAIRS = "self.all(x, self.all(y, x == y))"


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        (fields(l=ruled(array(text()), PAIRS)), "properties[l]"),
        (fields(l=array(ruled(text(), "self.matches('^x')"))), "properties[l].items"),
        (fields(m=mapping(ruled(text(), "self.contains('xy')"))), "properties[m].additionalProperties"),
    ],
)
async def test_what_nobody_bounds_is_too_expensive(world: World, spec: Obj, place: str) -> None:
    refused = await world.refused(spec)
    rule = f"{PATH}.properties[spec].{place}.x-kubernetes-validations[0].rule"
    assert refused[0].startswith(f"{rule}: Forbidden: estimated rule cost exceeds")
    assert refused[0].endswith(ADVICE)


async def test_what_is_bounded_is_not(world: World) -> None:
    await world.define(
        fields(
            l=ruled(array(text(20), 20), PAIRS),
            m=mapping(ruled(text(50), "self.contains('xy')"), 50),
            n=ruled(text(), "self.matches('^[a-z]+$')", "self.startsWith('x') || size(self) > 3"),
        )
    )


async def test_the_rules_of_a_schema_have_a_limit_together(world: World) -> None:
    rules = [f"self.all(x, x.startsWith('{n}') || x.endsWith('b'))" for n in range(100, 130)]
    refused = await world.refused(fields(l=ruled(array({"type": "string"}), *rules)))
    total = f"{PATH}: Forbidden: x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema exceeds "
    assert refused[-1].startswith(total)
    assert sum("contributed to estimated rule & messageExpression cost total" in line for line in refused) == 4


async def test_the_factor_is_told(world: World) -> None:
    refused = await world.refused(fields(l=ruled(array(NUMBER), "self.all(x, x > 1.0 && x < 5.0 && x != 3.0)")))
    assert refused == [
        f"{PATH}.properties[spec].properties[l].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost "
        f"exceeds budget by factor of 1.258291x {ADVICE}"
    ]


async def test_an_expensive_rule_that_is_there_may_stay(world: World) -> None:
    made = await world.define(fields(a=text(20)))
    schema = crd(fields(l=ruled(array(text()), PAIRS)))["spec"]["versions"][0]["schema"]
    stored = world.store.get("customresourcedefinitions.apiextensions.k8s.io", "", NAME)
    assert stored is not None
    old = stored.mutable()
    old["spec"]["versions"][0]["schema"] = schema
    world.store.update("customresourcedefinitions.apiextensions.k8s.io", "", NAME, old, stored.rv)
    merge = "application/merge-patch+json"
    labelled = {"metadata": {"labels": {"a": "b"}}, "spec": {"names": made["spec"]["names"]}}
    await world.json("PATCH", f"{CRDS}/{NAME}", labelled, content_type=merge)
