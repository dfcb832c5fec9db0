"""Values as Go prints them: %v, %q, and encoding/json with its escapes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"
}  # fmt: skip
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def html_safe(text: str) -> str:
    """JSON text as encoding/json writes it: fit to stand in a page of HTML."""
    return text.translate(_HTML)


def go_print(value: Any) -> str:
    """%v: map[a:1 b:[x y]], keys sorted."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_print(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_print, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return go_float(value) if isinstance(value, float) else str(value)


def go_float(value: float) -> str:
    """%v of a float64: shortest digits, an exponent from 1e+06 and below 1e-04."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    text, exponent = "".join(map(str, digits)), int(power) + len(digits) - 1
    minus = "-" if sign else ""
    if -4 <= exponent < 6:
        return minus + f"{Decimal(repr(abs(value))).normalize():f}"
    return f"{minus}{text[0]}{'.' + text[1:] if text[1:] else ''}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def go_selector(selector: dict[str, Any] | None) -> str:
    """%v of a *metav1.LabelSelector."""
    if selector is None:
        return "nil"
    pairs = selector.get("matchLabels") or {}
    labels = "".join(f"{key}: {pairs[key]}," for key in sorted(pairs))
    needs = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},Values:{go_print(one.get('values') or [])},}},"
        for one in selector.get("matchExpressions") or ()
    )
    head = f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
    return f"{head}MatchExpressions:[]LabelSelectorRequirement{{{needs}}},}}"


def quote(text: str) -> str:
    """%q: a Go string literal."""
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    number = ord(char)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def go_json(value: Any) -> str:
    """encoding/json: compact, HTML characters escaped. Keys stay in their order, as fields of a struct do."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(_HTML)
