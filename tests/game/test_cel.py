"""CEL as levels may rely on it: its own rules, Kubernetes' functions, and limits on what a stranger may ask for."""

from __future__ import annotations

import gc
import resource
import sys
import time
from pathlib import Path

import pytest

from kuartui.game import cel, juror
from kuartui.game.cel import CelError, Facts, Program, compile_cel, forget, matches
from kuartui.game.cel_conditions import in_own_words
from kuartui.game.juror import Juror

POD = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
VALUES = {"pods": [POD, {"metadata": {"name": "b"}}], "service": None}


def evaluate(source: str) -> object:
    return compile_cel(source, VALUES).evaluate(VALUES)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("pods.filter(p, ready(p)).size()", 1),
        ('condition(pods[0], "Ready") && !condition(pods[0], "Initialized")', True),
        ('quantity("200m") < 0.3 && quantity("1Gi").isGreaterThan(quantity("1M"))', True),
        ("[[1], [2, 3]].flatten().size()", 3),
        ("[1, 2].sum() == 3.0", True),
        ("[1, 2].sum() == 3", True),
        ("'%d'.format([[1, 2].sum()])", "3"),
        ("[1.5, 2.0].sum()", 3.5),
        ("[3, 1, 3].distinct().sorted()", [1, 3]),
        ("sets.equivalent([1, 2], [2, 1]) && sets.contains([1], [1]) && !sets.intersects([1], [2])", True),
        ('pods[1].?status.?phase.orValue("none")', "none"),
        ('"%d of %d".format([1, 2])', "1 of 2"),
        ("size('é')", 1),
        ("service == null", True),
    ],
)
def test_expressions(source: str, result: object) -> None:
    assert evaluate(source) == result


@pytest.mark.parametrize("source", ["pods.filter(", "pds.size()", '"a" + 1', "nonsense(pods)"])
def test_what_does_not_compile(source: str) -> None:
    with pytest.raises(CelError):
        compile_cel(source, VALUES)


@pytest.mark.parametrize(
    "source", ["service.spec.x == 1", "pods[7].metadata.name == 'x'", "pods[1].status.phase == ''"]
)
def test_what_is_not_there_is_false(source: str) -> None:
    assert compile_cel(source, VALUES).test(VALUES) is False


def test_a_real_mistake_is_not_just_false() -> None:
    with pytest.raises(CelError, match="true or false"):
        compile_cel("pods.size()", VALUES).test(VALUES)
    with pytest.raises(CelError, match="divide by zero"):
        compile_cel("1 / 0 == 1", VALUES).test(VALUES)


def test_an_expression_cannot_run_for_long() -> None:
    numbers = "[0,1,2,3,4,5,6,7,8,9]"
    source = "true"
    for name in "abcdefg":
        source = f"{numbers}.all({name}, {source})"
    begun = time.monotonic()
    with pytest.raises(CelError):
        evaluate(source)
    assert time.monotonic() - begun < 2


@pytest.fixture
def distrusted() -> Juror:
    cel.distrust()
    assert cel._juror
    return cel._juror


SHARED = "cel.bind(a, [text, text], " + "".join(
    f"cel.bind({new}, [{old}, {old}, {old}, {old}, {old}, {old}, {old}, {old}], "
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "source",
    [
        "'a'" + ".replace('a', 'aaaaaaaaaa')" * 10 + ".size() > 0",
        "numbers.map(n, text.contains(text + 'x')).size() > 0",
        "cel.bind(a, text+text+text+text, cel.bind(b, a+a+a+a+a+a+a+a, cel.bind(c, b+b+b+b+b+b+b+b+b+b, c.size()))) > 0",
        SHARED + "i" + ")" * 9,
    ],
    ids=["replaced", "searched", "joined", "shared"],
)
def test_an_expression_of_a_stranger_takes_neither_all_memory_nor_all_time(source: str, distrusted: Juror) -> None:
    values = {"numbers": [*range(9000)], "text": "x" * 500_000}
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.monotonic()
    with pytest.raises(CelError, match="too much (memory|time)"):
        compile_cel(source, values).evaluate(values)
    assert time.monotonic() - begun < juror.SECONDS + 10
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 2, "it is not this process that it takes"
    assert after.ru_maxrss - before.ru_maxrss < 2**17, "KiB; macOS counts bytes"
    assert compile_cel("size(numbers) == 9000", ["numbers"]).test(values), "the next one is answered"


def test_what_is_evaluated_elsewhere_is_the_same(distrusted: Juror) -> None:
    values = {"pod": {"a": None, "b": [1, 2.5, "x"], "c": {"d": True}}, "other": object()}
    assert compile_cel("pod", ["pod"]).evaluate(values) == values["pod"]
    assert compile_cel("{1: pod.b}", ["pod"]).text(values) == '{"1":[1,2.5,"x"]}'
    assert compile_cel("pod.nothing == 1", ["pod"]).test(values) is False
    with pytest.raises(CelError, match="true or false"):
        compile_cel("pod.b", ["pod"]).test(values)
    with pytest.raises(CelError, match="divide by zero"):
        compile_cel("1 / 0 == 1", ()).test(values)
    assert matches("^(a+)+$", "aaa")


def test_a_process_that_was_killed_is_begun_again(distrusted: Juror) -> None:
    assert compile_cel("1 == 1", ()).test({})
    assert distrusted._process
    distrusted._process.kill()
    distrusted._process.wait()
    assert compile_cel("1 == 1", ()).test({})


def test_functions_of_ours_take_linear_time_and_not_too_often() -> None:
    values = {"numbers": [*range(50_000)]}
    begun = time.process_time()
    for source in ("numbers.distinct().size() == 50000", "sets.equivalent(numbers, numbers)"):
        assert compile_cel(source, values).test(values)
    with pytest.raises(CelError, match="too many items"):
        compile_cel("[1, 2, 3, 4, 5, 6].all(n, numbers.distinct().size() > n)", values).test(values)
    assert time.process_time() - begun < 2


def test_what_is_equal_is_one() -> None:
    values = {"items": [{"a": [1]}, {"a": [1]}, [1], [1], 1, 1.0, "1", None, None]}
    assert compile_cel("items.distinct()", values).evaluate(values) == [{"a": [1]}, [1], 1, "1", None]


def test_every_value_can_be_said() -> None:
    assert compile_cel("{1: 2}", ()).text({}) == '{"1":2}'


def test_patterns_take_linear_time() -> None:
    begun = time.monotonic()
    assert matches("^(a+)+$", "a" * 3000 + "b") is False
    assert time.monotonic() - begun < 2
    with pytest.raises(CelError):
        matches("(", "")


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("cel.bind(x, 2, x + 1)", 3),
        ("math.greatest(1, 2)", 2),
        ("math . least(1, 2)", 1),
        ("string(base64.decode('aGk='))", "hi"),
        ('cel.bind(x, math.least(3, 2), "%d".format([x]))', "2"),
    ],
)
def test_libraries_that_few_need_are_there_for_who_names_them(source: str, result: object) -> None:
    assert evaluate(source) == result


def test_what_a_function_was_called_with_is_not_kept() -> None:
    pod = {**POD, "spec": {"containers": [{"name": f"c{number}", "ports": [{}]} for number in range(20)]}}
    program = compile_cel("pods.filter(p, ready(p)).map(p, p.spec.containers).flatten().size()", ["pods"])
    assert program.evaluate({"pods": [pod]}) == 20
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        program.evaluate({"pods": [pod]})
    gc.collect()
    assert len(gc.get_objects()) - before < 5 * 100  # a Pod is 45


def test_nulls_are_counted() -> None:
    values = {"thing": {"a": None, "b": [None, {"c": None}]}}
    programs = [compile_cel(source, values) for source in ("thing", "thing.a", "ready(thing)")]
    before = sys.getrefcount(None)
    for _ in range(300):
        for program in programs:
            program.evaluate(values)
    assert sys.getrefcount(None) > before - 100


def test_what_is_forgotten_is_compiled_again() -> None:
    before = compile_cel("number + 1 == 2", ["number"])
    assert compile_cel("number + 1 == 2", ["number"]) is before
    forget()
    after = compile_cel("number + 1 == 2", ["number"])
    assert after is not before
    assert before.test({"number": 1})  # who still has it may still ask
    assert after.test({"number": 1})


STATUS = [
    None,
    {},
    {"status": {}},
    {"status": {"conditions": []}},
    {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Full", "status": "True"}]}},
    {"status": {"conditions": [{"type": "Full"}, {"status": "True"}]}},
    [],
]


@pytest.mark.parametrize("obj", STATUS)
@pytest.mark.parametrize(
    "source",
    [
        "ready(obj)",
        "!ready( obj )",
        "condition(obj, 'Full') || ready(obj)",
        '[obj].filter(c, condition(c, "Full")).size() == 1',
        "{'of': [obj]}.of[0] == obj && ready(holder.of[0])",
        "obj == null || !ready(obj)",
    ],
)
def test_conditions_are_the_same_in_the_languages_own_words(
    monkeypatch: pytest.MonkeyPatch, source: str, obj: object
) -> None:
    values = {"obj": obj, "holder": {"of": [obj]}}
    assert in_own_words(source) != source
    found = Program(source, ("holder", "obj")).test(values)
    monkeypatch.setattr(cel, "in_own_words", lambda source: source)
    assert Program(source, ("holder", "obj")).test(values) is found


@pytest.mark.parametrize(
    "source",
    [
        "'ready(pod)' == pod.name",
        '"a \\" ready(pod)" == pod.name',
        r"""pod.name.matches(r'\') && ready(pod)""",
        "already(pod)",
        "pod.ready(pod)",
        "ready(pods.filter(p, true)[0])",
        'condition(pod, "Rea" + "dy")',
    ],
)
def test_what_is_no_plain_call_stays_as_it_is(source: str) -> None:
    assert in_own_words(source) == source


def test_a_mistake_is_told_in_the_authors_own_words() -> None:
    with pytest.raises(CelError, match="^column 15: undeclared reference to 'poods'"):
        compile_cel("ready(pod) && poods.size() > 0", ("pod",))


def test_facts_are_the_same_for_each_expression_that_asks() -> None:
    facts = Facts(VALUES)
    for source in ("pods.size()", "pods.filter(p, ready(p)).size() + 1", "pods[0].?metadata.?x.orValue(2)"):
        assert compile_cel(source, VALUES).evaluate(facts) == 2
        assert compile_cel(source, VALUES).evaluate(VALUES) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="nobody tells how much memory there is in use now")
def test_facts_that_are_asked_about_for_long_take_no_more_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    facts = Facts(VALUES)
    ask = compile_cel('"%d of %d".format([pods.filter(p, ready(p)).size(), pods.size()])', VALUES)
    for _ in range(500):
        ask.text(facts)
    before = resident()
    for _ in range(20_000):
        ask.text(facts)
    assert resident() - before < 2 * 2**20
