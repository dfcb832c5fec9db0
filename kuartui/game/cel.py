"""CEL, Kubernetes' own expression language: the only language a level speaks, so a stranger's pack can do no harm.

Google's own implementation (`cel-expr-python`), used from this module alone. Against `common-expression-language`
0.10 it reports undeclared names when compiling, has optionals (`x.?y.orValue(0)`), `format` and `cel.bind`, stops
expressions that iterate too much (10,000 steps; the other one ran for 8 s), converts only the data that is read
(5 µs against 3.7 ms for a look at one Service beside 100 Pods) and imports in 50 ms against 270 ms.

On top of its libraries (strings, math, encoders, optional, bindings) come functions of Kubernetes' libraries that
checks need: `quantity("200m")` (as a double, with isGreaterThan, isLessThan, asApproximateFloat), `sorted()`,
`distinct()`, `flatten()`, `sum()`, `sets.contains|intersects|equivalent`; and two of our own: `ready(object)` for a
true condition Ready, and `condition(object, "Available")`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import orjson

from kuartui.cel_extensions import Libraries, extensions, libraries, library
from kuartui.cel_references import evaluation, keep_nulls, releasing
from kuartui.game.cel_conditions import in_own_words
from kuartui.game.juror import Juror, Refused
from kuartui.game.quantity import quantity

PROGRAMS = 64  # kept compiled, 40 KiB each: the expressions of any one level, and more
ENVIRONMENTS = 64
MATCHES = 128  # texts that were looked at last: what answers many times says the same each time
EVALUATIONS = 16  # of the same values, for which they are converted once
ITEMS = 200_000  # of lists, that functions of ours may be called with in an evaluation
MISSING = ("Key not found in map", "non-message type", "Index error", "No matching overloads", "cannot convert")


class CelError(ValueError):
    """An expression that does not compile, or could not be evaluated over these values.

    `absent` is true when it only asked for something that is not there (yet), which in a check means "not so".
    """

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent


_juror: Juror | None = None  # who evaluates, where an expression may be one of theirs


def distrust() -> None:
    """From now on, what is evaluated may be of a level that is not ours, and is so in a process that may come to an
    end."""
    global _juror
    _juror = _juror or Juror()


class Facts(dict[str, Any]):
    """Values that several expressions ask about, so that the library converts them once. They do not change."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._converted: dict[Any, Any] = {}  # by environment
        self._asked = 0

    def converted(self, environment: Any, variables: Iterable[str]) -> Any:
        """They as an activation. What an evaluation takes stays with it (3 KiB), so it is made anew now and then."""
        if self._asked % EVALUATIONS == 0:
            self._converted.clear()
        self._asked += 1
        if environment not in self._converted:
            self._converted[environment] = environment.Activation({name: self.get(name) for name in variables})
        return self._converted[environment]


class Program:
    """A compiled expression. Values are JSON-like: dict, list, str, int, float, bool, None."""

    __slots__ = ("_environment", "_expression", "source", "variables")

    def __init__(self, source: str, variables: tuple[str, ...]) -> None:
        self.source, self.variables = source, variables
        self._environment = _environment(variables, libraries(source))
        try:
            self._expression = self._compiled(source)
        except RuntimeError as error:  # the binding raises nothing more specific
            raise CelError(_compile_message(str(error))) from error

    def _compiled(self, source: str) -> Any:
        """In words that take less time, if it compiles so: what is wrong with it is told in the author's own."""
        if (quicker := in_own_words(source)) != source:
            with suppress(RuntimeError):
                return self._environment.compile(quicker)
        return self._environment.compile(source)

    def evaluate(self, values: Mapping[str, Any], *, truth: bool = False) -> Any:
        """The result as a Python value. CelError when there is none, or for a `truth` it is no bool."""
        if _juror is None:
            return self._evaluate(values, truth=truth)
        try:
            return _juror.evaluate(self.source, self.variables, values, truth=truth)
        except Refused as refused:
            raise CelError(str(refused), absent=refused.absent) from refused

    def _evaluate(self, values: Mapping[str, Any], *, truth: bool) -> Any:
        facts = values if isinstance(values, Facts) else Facts(values)
        try:
            with evaluation(), _patience():
                value = self._expression.eval(activation=facts.converted(self._environment, self.variables))
                if truth and value.type() not in (library().Type.BOOL, library().Type.ERROR):
                    raise CelError(f"expected true or false, got {value.type()}")
                plain = value.plain_value()
        except RuntimeError as error:  # over its budget
            raise CelError(str(error).partition(": ")[2] or str(error)) from error
        except MemoryError as error:
            raise CelError("it takes too much memory") from error
        keep_nulls(plain)
        if value.type() == library().Type.ERROR:
            text = str(plain)
            raise CelError(text.partition(": ")[2] or text, absent=any(part in text for part in MISSING))
        return plain

    def test(self, values: Mapping[str, Any]) -> bool:
        """The result of an expression that must be a bool; what is not there makes it false."""
        try:
            return bool(self.evaluate(values, truth=True))
        except CelError as error:
            if error.absent:
                return False
            raise

    def text(self, values: Mapping[str, Any]) -> str:
        """The result for people; empty when it says nothing about these values."""
        try:
            result = self.evaluate(values)
        except CelError as error:
            if error.absent:
                return ""
            raise
        if isinstance(result, str):
            return result
        return orjson.dumps(result, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


@lru_cache(maxsize=PROGRAMS)
def _compiled(source: str, variables: tuple[str, ...]) -> Program:
    return Program(source, variables)


def compile_cel(source: str, variables: Iterable[str]) -> Program:
    """Compile (or take from the cache) an expression over variables of these names. CelError when it is wrong."""
    return _compiled(source, tuple(sorted(variables)))


def forget() -> None:
    """Let go of what is compiled. Each set of variables takes 0.2 MB, and another level asks about other things."""
    _compiled.cache_clear()
    _environment.cache_clear()


@lru_cache(maxsize=MATCHES)
def matches(pattern: str, text: str) -> bool:
    """Whether the RE2 pattern is found in the text: linear time whatever the pattern. CelError for a bad one."""
    return bool(compile_cel("text.matches(pattern)", ("text", "pattern")).evaluate({"text": text, "pattern": pattern}))


class _Left(threading.local):
    """How many items functions of ours may still be called with, in the evaluation of this thread."""

    items = ITEMS


_LEFT = _Left()


@contextmanager
def _patience() -> Iterator[None]:
    _LEFT.items = ITEMS
    yield


def _spending(function: Callable[..., Any]) -> Callable[..., Any]:
    """The library counts its own steps, but not what a function of ours does."""

    def call(*lists: list[Any]) -> Any:
        _LEFT.items -= sum(map(len, lists))
        if _LEFT.items < 0:
            raise ValueError("it goes through too many items")
        return function(*lists)

    return call


@lru_cache(maxsize=ENVIRONMENTS)
def _environment(variables: tuple[str, ...], wanted: Libraries) -> Any:
    cel = library()
    names = dict.fromkeys(variables, cel.Type.DYN)
    return cel.NewEnv(variables=names, extensions=extensions(wanted), functions=_functions())


@lru_cache(maxsize=1)
def _functions() -> list[Any]:
    cel = library()
    kind = cel.Type
    any_list, any_map = kind.List(kind.DYN), kind.Map(kind.DYN, kind.DYN)

    def function(name: str, *overloads: tuple[tuple[Any, ...], Any, Callable[..., Any]], member: bool = False) -> Any:
        return cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"kuartui_{name.replace('.', '_')}_{index}",
                    parameters=list(parameters),
                    return_type=returned,
                    is_member=member,
                    impl=releasing(implementation),
                )
                for index, (parameters, returned, implementation) in enumerate(overloads)
            ],
        )

    number = kind.DOUBLE
    return [
        function(
            "quantity",
            ((kind.STRING,), number, quantity),
            ((kind.INT,), number, quantity),
            ((number,), number, quantity),
        ),
        function("isGreaterThan", ((number, number), kind.BOOL, lambda a, b: a > b), member=True),
        function("isLessThan", ((number, number), kind.BOOL, lambda a, b: a < b), member=True),
        function("asApproximateFloat", ((number,), number, lambda a: a), member=True),
        function("sorted", ((any_list,), any_list, _spending(lambda items: sorted(items, key=_order))), member=True),
        function("distinct", ((any_list,), any_list, _spending(_distinct)), member=True),
        function("flatten", ((any_list,), any_list, _spending(_flatten)), member=True),
        function("sum", ((any_list,), kind.DYN, _spending(sum)), member=True),
        function("sets.contains", ((any_list, any_list), kind.BOOL, _spending(lambda a, b: _keys(b) <= _keys(a)))),
        function(
            "sets.intersects", ((any_list, any_list), kind.BOOL, _spending(lambda a, b: bool(_keys(a) & _keys(b))))
        ),
        function("sets.equivalent", ((any_list, any_list), kind.BOOL, _spending(lambda a, b: _keys(a) == _keys(b)))),
        function("ready", ((any_map,), kind.BOOL, lambda obj: _condition(obj, "Ready"))),
        function("condition", ((any_map, kind.STRING), kind.BOOL, _condition)),
    ]


def _order(item: Any) -> tuple[str, Any]:
    return type(item).__name__, orjson.dumps(item) if isinstance(item, dict | list) else item


def _flatten(items: list[Any]) -> list[Any]:
    return [inner for item in items for inner in (item if isinstance(item, list) else [item])]


def _distinct(items: list[Any]) -> list[Any]:
    kept: dict[Hashable, Any] = {}
    for item in items:
        kept.setdefault(_key(item), item)
    return [*kept.values()]


def _keys(items: list[Any]) -> set[Hashable]:
    return {_key(item) for item in items}


def _key(item: Any) -> Hashable:
    """Equal for values that are."""
    if isinstance(item, dict):
        return frozenset((name, _key(inner)) for name, inner in item.items())
    if isinstance(item, list):
        return tuple(map(_key, item))
    return bytes(item) if isinstance(item, bytearray) else item


def _condition(obj: Any, name: str) -> bool:
    status = obj.get("status") if isinstance(obj, dict) else None
    conditions = status.get("conditions") if isinstance(status, dict) else None
    return any(item.get("type") == name and item.get("status") == "True" for item in conditions or [])


def _compile_message(text: str) -> str:
    """The first line says it; what follows draws an arrow that has no place in one sentence."""
    first = text.partition("ERROR: ")[2] or text
    line = first.splitlines()[0] if first else text
    return line.replace("<input>:1:", "column ").replace("<input>:", "line ").replace(" (in container '')", "")
