"""How much a rule of a schema costs at worst, which must be bounded: lists, maps and texts without a limit are not.

The estimates are those of cel-go's checker/cost.go with the sizes that a schema admits (k8s.io/apiserver/pkg/cel/common/
schemas.go) and the functions of Kubernetes (pkg/cel/library/cost.go).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.crd.rule_names import escape
from kuartui.embedded.crd.rule_tree import Call, Const, Ident, Loop, Made, Select, Tree, tree
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden

Obj = dict[str, Any]

LIMIT, TOTAL_LIMIT = 10_000_000, 100_000_000
REQUEST = 3 * 1024 * 1024  # bytes; nothing in an object is larger
_TRAVERSAL, _REGEX = 0.1, 0.25
_NAMED = 4  # of the most expensive rules, where all together are too expensive
_SMALLEST = {"string": 2, "boolean": 4, "array": 2}
_FORMATS = {"duration": (3, 32), "date": (12, 12), "date-time": (21, 32)}
_KEY: Obj = {"type": "string", "maxLength": 0}
_TEXT: Obj = {"type": "string"}
_TOP: Obj = {"apiVersion": _TEXT, "kind": _TEXT}
_TOP["metadata"] = {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}}
_COMPARED = ("_<_", "_<=_", "_>_", "_>=_")
_BOOLEANS = ("_&&_", "_||_", "!_", "@not_strictly_false", "_==_", "_!=_", "@in", *_COMPARED)


class Place(Struct):
    """Where a value comes from, or how large it is if it was made."""

    schema: Obj | None = None
    size: int | None = None
    kind: str = ""


class Total(Struct):
    """What the rules of a whole schema cost together."""

    cost: int = 0
    most: list[tuple[int, Path]] = field(default_factory=list)

    def add(self, cost: int, path: Path) -> None:
        self.cost += cost
        if cost * 100 >= TOTAL_LIMIT:
            self.most = sorted([*self.most, (cost, path)], key=lambda one: -one[0])[:_NAMED]

    def errors(self, path: Path) -> list[FieldError]:
        """What is wrong with all of them together."""
        if self.cost <= TOTAL_LIMIT:
            return []
        why = "contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 schema"
        what = "x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema"
        named = [forbidden(place, why) for _, place in self.most]
        return [*named, forbidden(path, _exceeds(what, self.cost, TOTAL_LIMIT))]


def times(schema: Obj, repeated: int | None, limit: str) -> int | None:
    """How often the elements of a list or map may be there, if itself may `repeated` times; None without a limit."""
    most = schema.get(limit)
    return None if repeated is None or most is None else repeated * max(most, 0)


def rule_cost(text: str, schema: Obj, repeated: int | None, *, root: bool) -> int:
    """The cost of a rule, as often as it may be evaluated in one object; 0 if it cannot be told."""
    if repeated is None:
        repeated = REQUEST // (_smallest(schema) + 1)
    return expression_cost(text, schema, root=root) * repeated


def expression_cost(text: str, schema: Obj, *, root: bool) -> int:
    """The cost of evaluating an expression once; 0 if it cannot be told."""
    try:
        parsed = tree(compile_cel(text, ("self", "oldSelf")).serialized)
    except CelError:
        return 0  # told by whoever compiles it
    if root:
        schema = {**schema, "properties": {**(schema.get("properties") or {}), **_TOP}}
    return _Coster(Place(schema, None, _kind(schema))).visit(parsed)[0]


def cost_errors(what: str, cost: int, path: Path) -> list[FieldError]:
    """The refusal of a rule that costs too much."""
    return [forbidden(path, _exceeds(what, cost, LIMIT))] if cost > LIMIT else []


def _exceeds(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    advice = (
        "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings"
    )
    return f"{what} exceeds budget by factor of {shown} ({advice} are declared)"


def _kind(schema: Obj) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "dyn"
    kind = schema.get("type", "")
    if kind == "object":
        return "map" if isinstance(schema.get("additionalProperties"), dict) else "object"
    if kind == "string":
        return "time" if schema.get("format") in _FORMATS else "string"
    return "list" if kind == "array" else kind or "dyn"


def _smallest(schema: Obj) -> int:
    """The fewest bytes of such a value as JSON."""
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    kind = _kind(schema)
    if kind == "time":
        return _FORMATS[schema["format"]][0]
    if kind in ("object", "map"):
        properties, size = schema.get("properties") or {}, 2
        for name in schema.get("required") or ():
            inner = properties.get(name)
            if inner is not None and inner.get("default") is None:
                size += len(name) + _smallest(inner) + 4
        return size
    return _SMALLEST.get(schema.get("type", ""), 1)


def _largest(schema: Obj) -> int:
    """The most elements, properties or bytes that such a value may have; 0 for what has no size."""
    if schema.get("x-kubernetes-int-or-string"):
        return REQUEST - 2
    kind = _kind(schema)
    if kind == "list":
        return int(max(schema.get("maxItems", (REQUEST - 2) // (_smallest(schema.get("items") or {}) + 1)), 0))
    if kind == "map":
        most = (REQUEST - 2) // (_smallest(schema["additionalProperties"]) + 6)
        return int(max(schema.get("maxProperties", most), 0))
    if kind == "time":
        return _FORMATS[schema["format"]][1]
    if kind != "string":
        return 0
    if "maxLength" in schema:
        return int(max(schema["maxLength"], 0)) * (1 if schema.get("format") == "byte" else 4)
    return max((len(str(one)) for one in schema.get("enum") or ()), default=REQUEST - 2)


def _part(cost: float, factor: float = _TRAVERSAL) -> int:
    return math.ceil(cost * factor)


class _Coster:
    """Walks an expression; gives what each part costs and where its value comes from."""

    def __init__(self, root: Place) -> None:
        self._names: dict[str, Place] = {"self": root, "oldSelf": root}

    def visit(self, node: Tree) -> tuple[int, Place]:
        match node:
            case Const():
                return 0, Place(None, node.size, node.kind)
            case Ident():
                return 1, self._names.get(node.name, Place())
            case Select():
                return self._select(node)
            case Made():
                return self._made(node)
            case Call():
                return self._call(node)
            case Loop():
                return self._loop(node)

    def _select(self, node: Select) -> tuple[int, Place]:
        if node.test:
            return 0, Place(kind="boolean")
        cost, place = self.visit(node.operand)
        found = None
        if place.schema is not None:
            properties = place.schema.get("properties") or {}
            found = next((inner for name, inner in properties.items() if escape(name) == node.field), None)
        cost += place.kind in ("object", "map")
        return cost, Place() if found is None else Place(found, None, _kind(found))

    def _made(self, node: Made) -> tuple[int, Place]:
        cost = {"list": 10, "map": 30, "object": 40}[node.kind] + sum(self.visit(part)[0] for part in node.parts)
        return cost, Place(None, node.size if node.kind != "object" else None, node.kind)

    def _loop(self, node: Loop) -> tuple[int, Place]:
        cost, over = self.visit(node.over)
        start, first = self.visit(node.start)
        kept = dict(self._names)
        one, other = _elements(over)
        bound = isinstance(node.over, Made) and not node.over.parts  # cel.bind
        self._names[node.accumulator] = first if bound else Place(kind=first.kind)
        self._names[node.variable] = Place(kind="integer") if node.second and over.kind == "list" else one
        if node.second:
            self._names[node.second] = other
        each = self.visit(node.condition)[0] + self.visit(node.step)[0]
        ending, result = self.visit(node.result)
        self._names = kept
        if bound:
            return cost + start + ending, result
        size = self._size(over)
        return cost + start + ending + size * each, Place(result.schema, size, result.kind)

    def _call(self, node: Call) -> tuple[int, Place]:
        args = [self.visit(arg) for arg in node.args]
        cost, places = sum(one for one, _ in args), [place for _, place in args]
        if node.function == "_?_:_":
            size = max(map(self._size, places[1:]))
            return args[0][0] + max(args[1][0], args[2][0]), Place(None, size, places[1].kind)
        target: Place | None = None
        if node.target is not None:
            more, target = self.visit(node.target)
            cost += more
        if target is None and node.function in ("_[_]", "_[?_]"):
            return cost + 1, _elements(places[0])[1]
        own, result = self._function(node.function, target, places)
        return cost + own, result

    def _function(self, name: str, target: Place | None, args: list[Place]) -> tuple[int, Place]:
        if name in _BOOLEANS:
            return self._boolean(name, args), Place(kind="boolean")
        if name == "_+_":
            return self._plus(*args)
        if target is None:
            known = name in ("url", "isURL", "ip", "isIP", "cidr", "isCIDR", "quantity", "isQuantity") and args
            return _part(self._size(args[0])) if known else 1, Place(kind="dyn")
        size, inner = self._size(target), [self._size(arg) for arg in args]
        if name in ("startsWith", "endsWith") and inner:
            return _part(inner[0]), Place(kind="boolean")
        if name == "contains" and inner and target.kind != "dyn":
            return _part(size) * _part(inner[0]), Place(kind="boolean")
        if name in ("matches", "find", "findAll") and inner:
            own = _part(size + 1) * _part(inner[0], _REGEX)
            if name == "matches":
                return own, Place(kind="boolean")
            return own, Place(None, size, "string" if name == "find" else "list")
        found = _TEXT_FUNCTIONS.get(name)
        if found is not None:
            return found(self, target, size, inner)
        return 1, Place(kind="dyn")

    def _boolean(self, name: str, args: list[Place]) -> int:
        if name in ("_&&_", "_||_"):
            return 0
        if name == "@in":
            return self._size(args[1]) if args[1].kind == "list" else 1
        if name in ("_==_", "_!=_") or (name in _COMPARED and "string" in (args[0].kind, args[1].kind)):
            return _part(min(map(self._size, args)))
        return 1

    def _plus(self, left: Place, right: Place) -> tuple[int, Place]:
        kinds, size = (left.kind, right.kind), self._size(left) + self._size(right)
        if "string" in kinds:
            return _part(size), Place(None, size, "string")
        return 1, Place(None, size, "list") if "list" in kinds else Place(kind=left.kind)

    def _size(self, place: Place) -> int:
        if place.size is not None:
            return place.size
        return 1 if place.schema is None else _largest(place.schema)  # a number, or nothing that can be told

    def compared(self, target: Place, size: int, _inner: list[int]) -> tuple[int, Place]:
        """sum, min, indexOf and their like: each element is looked at, texts as a whole."""
        if target.kind == "string":
            return _part(size), Place(kind="integer")
        element = _elements(target)[1]
        return size * (1 + (_part(self._size(element)) if element.kind == "string" else 0)), Place(kind="dyn")

    def joined(self, target: Place, size: int, inner: list[int]) -> tuple[int, Place]:
        whole = size * self._size(_elements(target)[1]) + (inner[0] * max(size - 1, 0) if inner else 0)
        return _part(whole), Place(None, whole, "string")


def _same(_coster: _Coster, _target: Place, size: int, _inner: list[int]) -> tuple[int, Place]:
    return _part(size), Place(None, size, "string")


def _split(_coster: _Coster, _target: Place, size: int, _inner: list[int]) -> tuple[int, Place]:
    return _part(size, 2 * _TRAVERSAL), Place(None, size, "list")


def _replace(_coster: _Coster, _target: Place, size: int, inner: list[int]) -> tuple[int, Place]:
    return _part(size, 2 * _TRAVERSAL), Place(None, size + (size + 1) * (inner[1] if len(inner) > 1 else 0), "string")


_TEXT_FUNCTIONS: dict[str, Callable[[_Coster, Place, int, list[int]], tuple[int, Place]]] = {
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _same),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _Coster.compared),
    "split": _split,
    "replace": _replace,
    "join": _Coster.joined,
}


def _elements(place: Place) -> tuple[Place, Place]:
    """What a loop over a value goes through, and its values: both the elements of a list; keys and values of a map."""
    schema = place.schema or {}
    if place.kind == "list":
        items = schema.get("items")
        found = Place(items, None, _kind(items)) if isinstance(items, dict) else Place()
        return found, found
    if place.kind == "map":
        values = schema.get("additionalProperties")
        found = Place(values, None, _kind(values)) if isinstance(values, dict) else Place()
        return Place(_KEY, None, "string"), found
    return Place(), Place()
