"""Objects and patches in CEL, as mutating admission policies write them: `Object{spec: Object.spec{replicas: 3}}`.

cel-go has types for these; here they are carried as maps, so such expressions are written anew with map literals before
they are compiled. https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

import re

from msgspec import Struct

_TOKEN = re.compile(
    r"""
    (?P<text>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<comment>//[^\n]*)
  | (?P<struct>(?<![\w.])(?:Object|JSONPatch)(?:\s*\.\s*\w+)*\s*\{)
  | (?P<name>[_a-zA-Z]\w*)
  | (?P<quoted>`[^`\n]*`)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"__(\w+?)__")
_SIGNS = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}


class _Brace(Struct):
    struct: bool
    named: bool = False
    """Whether the field of this element has its name already."""


def with_maps(source: str) -> str:
    """The expression with a map for each Object and JSONPatch in it, of no type that a checker would know."""
    written: list[str] = []
    open_: list[_Brace] = []
    for token in _TOKEN.finditer(source):
        kind, text = token.lastgroup, token[0]
        inside = open_[-1] if open_ else None
        if kind == "struct":
            written.append("dyn({")
            open_.append(_Brace(struct=True))
        elif kind == "other" and text in "([{":
            written.append(text)
            open_.append(_Brace(struct=False))
        elif kind == "other" and text in ")]}":
            struct = bool(open_) and open_.pop().struct
            written.append("})" if struct else text)
        elif inside is not None and inside.struct and not inside.named and kind in ("name", "quoted"):
            inside.named = True
            written.append(f'"{_field(text)}"')
        else:
            if inside is not None and kind == "other" and text == ",":
                inside.named = False
            written.append(text)
    return "".join(written)


def _field(name: str) -> str:
    """A field's own name: `a/b` in backticks, or with what no identifier may have spelt out (a__slash__b)."""
    if name.startswith("`"):
        return name[1:-1].replace("\\", "\\\\").replace('"', '\\"')
    return _ESCAPED.sub(lambda found: _SIGNS.get(found[1], found[1]), name)
