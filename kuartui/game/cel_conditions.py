"""`ready(object)` and `condition(object, "Available")` in CEL's own words, where that can be had by replacing text.

As functions of ours they are handed a copy of the whole object, which takes longer than all that an expression does
besides. What is not replaced (an argument that is more than a path, a string that is not plain) stays a call.
"""

from __future__ import annotations

import re

_PATH = r"[A-Za-z_]\w*(?:\.\w+|\[\d+\])*"
_CALL = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    rf"|(?<![.\w])(?:ready\(\s*(?P<what>{_PATH})\s*\)"
    rf"""|condition\(\s*(?P<whose>{_PATH})\s*,\s*(?P<type>"\w*"|'\w*')\s*\))"""
)
_NOT_PLAIN = re.compile(r"""\b[rRbB]+["']|\"{3}|'{3}|//""")


def in_own_words(source: str) -> str:
    """The expression without those calls."""
    return source if _NOT_PLAIN.search(source) else _CALL.sub(_words, source)


def _words(call: re.Match[str]) -> str:
    if call["text"] is not None:
        return call[0]
    obj, kind = (call["what"], '"Ready"') if call["what"] else (call["whose"], call["type"])
    true = f'c.?type.orValue("") == {kind} && c.?status.orValue("") == "True"'
    return f"{obj}.?status.?conditions.orValue([]).exists(c, {true})"
