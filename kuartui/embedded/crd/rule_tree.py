"""A compiled CEL expression as a tree, macros expanded, as the library serializes it (cel.expr.CheckedExpr)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kuartui.embedded.meta.protobuf import wire_fields

_CONSTANTS = {1: "null", 2: "bool", 3: "int", 4: "uint", 5: "double", 6: "string", 7: "bytes", 8: "duration"}


class Const(Struct):
    """`size`: the bytes of a text, else 1; None for null."""

    kind: str
    size: int | None


class Ident(Struct):
    name: str


class Select(Struct):
    operand: Tree
    field: str
    test: bool
    """has(operand.field)"""


class Call(Struct):
    target: Tree | None
    function: str
    args: list[Tree]


class Made(Struct):
    """A list, map or message that the expression makes of its parts."""

    kind: str
    parts: list[Tree]
    size: int


class Loop(Struct):
    """A comprehension, which is what macros are."""

    variable: str
    second: str
    over: Tree
    accumulator: str
    start: Tree
    condition: Tree
    step: Tree
    result: Tree


Tree = Const | Ident | Select | Call | Made | Loop


def tree(serialized: bytes) -> Tree:
    """The tree of a google.protobuf.Any with a CheckedExpr."""
    return _expression(_one(_one(serialized, 2), 4))


def _expression(body: bytes) -> Tree:
    for number, _, value in wire_fields(body):
        match number:
            case 3:
                return _constant(value)
            case 4:
                return Ident(_one(value, 1).decode())
            case 5:
                return Select(_expression(_one(value, 1)), _one(value, 2).decode(), bool(_one(value, 3)))
            case 6:
                target = _one(value, 1)
                args = [_expression(part) for part in _all(value, 3)]
                return Call(_expression(target) if target else None, _one(value, 2).decode(), args)
            case 7:
                parts = [_expression(part) for part in _all(value, 1)]
                return Made("list", parts, len(parts))
            case 8:
                entries = _all(value, 2)
                parts = [_expression(part) for entry in entries for part in (*_all(entry, 3), *_all(entry, 4))]
                return Made("object" if _one(value, 1) else "map", parts, len(entries))
            case 9:
                inner = [_expression(_one(value, part)) for part in (2, 4, 5, 6, 7)]
                names = [_one(value, part).decode() for part in (1, 8, 3)]
                return Loop(names[0], names[1], inner[0], names[2], inner[1], inner[2], inner[3], inner[4])
    return Const("null", None)


def _constant(body: bytes) -> Const:
    for number, _, value in wire_fields(body):
        kind = _CONSTANTS.get(number, "duration")
        return Const(kind, len(value) if kind in ("string", "bytes") else None if kind == "null" else 1)
    return Const("null", None)


def _all(body: bytes, number: int) -> list[Any]:
    return [value for found, _, value in wire_fields(body) if found == number]


def _one(body: bytes, number: int) -> Any:
    return next(iter(_all(body, number)), b"")
