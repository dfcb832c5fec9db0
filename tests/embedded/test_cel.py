"""CEL as the API has it: Kubernetes' functions, and cel-go's words for what goes wrong."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from kuartui.embedded.cel import CelError, compile_cel


def value(text: str, **variables: Any) -> Any:
    """What an expression gives."""
    return compile_cel(text, variables).evaluate(variables)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 2].isSorted() && ![2, 1].isSorted()",
        "[1, 2].sum() == 3 && [1, 2].min() == 1 && [1, 2].max() == 2",
        "'ab12c3'.find('[0-9]+') == '12' && 'ab12c3'.findAll('[0-9]+') == ['12', '3']",
        "sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])",
        "quantity('1Gi').isLessThan(quantity('2Gi')) && quantity('1Gi').compareTo(quantity('1024Mi')) == 0",
        "quantity('1500m').add(quantity('500m')).asInteger() == 2 && quantity('3').sub(1).sign() == 1",
        "isQuantity('10k') && !isQuantity('ten')",
        "semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && semver('2.0.0').major() == 2 && !isSemver('1.2')",
        "url('https://a.b:80/c?d=e').getHost() == 'a.b:80' && url('https://a.b/c?d=e').getQuery()['d'] == ['e']",
        "ip('127.0.0.1').isLoopback() && ip('10.0.0.1').family() == 4 && ip('10.0.0.1').isGlobalUnicast()",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "!isIP('10.0.0') && isCIDR('fe80::/64') && cidr('10.0.0.0/8').prefixLength() == 8",
        "optional.of(1).orValue(2) == 1 && optional.none().orValue(2) == 2",
        "'%s is %d'.format(['x', 3]) == 'x is 3' && 'a,b'.split(',').join('-') == 'a-b'",
    ],
)
def test_functions(text: str) -> None:
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("self.b == 1", "no such key: b"),
        ("self.list[3] == 1", "index out of bounds: 3"),
        ("self.a / 0 == 1", "division by zero"),
        ("self.a + 'x' == 'x'", "no such overload"),
    ],
)
def test_failures_at_run_time(text: str, expected: str) -> None:
    with pytest.raises(CelError) as caught:
        value(text, self={"a": 1, "list": [1]})
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "true && me.size > 3",
            "ERROR: <input>:1:9: undeclared reference to 'me' (in container '')\n | true && me.size > 3\n | ........^",
        ),
        (
            "1 + 'x' == 2",
            "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'"
            "\n | 1 + 'x' == 2\n | ..^",
        ),
    ],
)
def test_what_does_not_compile(text: str, expected: str) -> None:
    with pytest.raises(CelError) as caught:
        compile_cel(text, ("self",))
    assert str(caught.value) == expected


def test_types_that_are_known_are_checked() -> None:
    with pytest.raises(CelError, match="no matching overload"):
        compile_cel("size > 'x'", ("size",), {"size": "INT"})
    assert compile_cel("size > 3", ("size",), {"size": "INT"}).type == "BOOL"


def test_what_a_function_was_called_with_is_not_kept() -> None:
    many = [{"name": str(number), "ports": [{}]} for number in range(20)]
    program = compile_cel("many.map(x, x.ports).isSorted()", ["many"])
    assert program.evaluate({"many": many}) is True
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        program.evaluate({"many": many})
    gc.collect()
    assert len(gc.get_objects()) - before < 5 * 100  # the lists and maps are 41


def test_nulls_are_counted() -> None:
    values = {"thing": {"a": None, "b": [None, {"c": None}]}}
    programs = [compile_cel(source, values) for source in ("thing", "thing.a", "[thing].isSorted()")]
    before = sys.getrefcount(None)
    for _ in range(300):
        for program in programs:
            program.evaluate(values)
    assert sys.getrefcount(None) > before - 100


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("object.data.x == '1'", "data"),
        ("request.name == 'a.b' && object.spec.replicas > 1", "spec"),
        ("request.count.x > 1", "x"),
        ("object.data.startsWith('x')", "data"),
    ],
)
def test_what_has_no_fields_lacks_the_first_one_asked_of_it(source: str, key: str) -> None:
    with pytest.raises(CelError) as raised:
        compile_cel(source, ("object", "request")).evaluate({"object": None, "request": {"name": "a.b", "count": 3}})
    assert str(raised.value) == f"no such key: {key}"
