"""CEL in the API: validation rules of CRDs, admission policies, match conditions of webhooks.

Google's implementation (`cel-expr-python`) with Kubernetes' own libraries as far as they can be had on it: lists, regex,
url, quantity, format, sets, ip and cidr. Values are plain JSON. https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kuartui.cel_extensions import Libraries, extensions, libraries, library
from kuartui.cel_references import evaluation, keep_nulls
from kuartui.embedded.cel_library import AUTHORIZE as AUTHORIZE  # who evaluates says who may do what
from kuartui.embedded.cel_library import functions

PROGRAMS = 1024  # kept compiled, 10 KiB and more each: the rules of many definitions and policies
ENVIRONMENTS = 64  # 300 KiB each; one for each set of variables

_GO_ERRORS = (
    (re.compile(r'.*Key not found in map : "?(.*?)"?$', re.DOTALL), r"no such key: \1"),
    (re.compile(r".*No matching overloads found.*", re.DOTALL), "no such overload"),
    (re.compile(r".*[Ii]ndex error: index=(\S+) .*", re.DOTALL), r"index out of bounds: \1"),
    (re.compile(r".*divide by zero.*", re.DOTALL | re.IGNORECASE), "division by zero"),
    (re.compile(r".*modulus by zero.*", re.DOTALL | re.IGNORECASE), "modulus by zero"),
)

_NO_FIELDS = "Applying SELECT to non-message type"
_CHAIN = re.compile(r"(?<![\w.)\]'\"])([a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*(?!\w*\())+)")
_ROOTLESS = re.compile(
    r"ERROR: <input>:(\d+):(\d+): undeclared reference to '(\w+)(\.[\w.]+)' \(in container ''\)\n \| (.*)\n \| \.*\^"
)


def _go_reference(found: re.Match[str]) -> str:
    """An unknown variable with a field: cel-go points at the variable."""
    line, column, name, _, source = found.groups()
    start = source.rfind(name, 0, int(column))
    if start < 0:
        return found[0]
    why = f"undeclared reference to '{name}' (in container '')"
    return f"ERROR: <input>:{line}:{start + 1}: {why}\n | {source}\n | {'.' * start}^"


class CelError(ValueError):
    """An expression that does not compile or gives no result, in cel-go's words as far as possible."""


class Program:
    """A compiled expression."""

    __slots__ = ("_expression", "source", "variables")

    def __init__(self, source: str, types: tuple[tuple[str, str], ...]) -> None:
        self.source, self.variables = source, tuple(name for name, _ in types)
        try:
            self._expression = _environment(types, libraries(source)).compile(source)
        except RuntimeError as error:  # the binding raises nothing more specific
            text = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
            raise CelError(_ROOTLESS.sub(_go_reference, text)) from error

    @property
    def type(self) -> str:
        """BOOL, STRING, DYN, …"""
        return str(self._expression.return_type().name())

    @property
    def serialized(self) -> bytes:
        """The checked expression, macros expanded, as a google.protobuf.Any."""
        return bytes(self._expression.serialize())

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The result as a plain value. CelError where cel-go has an error."""
        try:
            with evaluation():
                value = self._expression.eval(data={name: values.get(name) for name in self.variables})
                plain = value.plain_value()
        except RuntimeError as error:  # over its budget
            raise CelError(
                "operation cancelled: actual cost limit exceeded" if "budget" in str(error) else str(error)
            ) from error
        keep_nulls(plain)
        if value.type() == library().Type.ERROR:
            key = _key_of_nothing(self.source, values) if _NO_FIELDS in str(plain) else ""
            raise CelError(f"no such key: {key}" if key else _go_error(str(plain)))
        return plain


@lru_cache(maxsize=PROGRAMS)
def _compiled(source: str, types: tuple[tuple[str, str], ...]) -> Program:
    return Program(source, types)


def compile_cel(source: str, variables: Iterable[str], types: Mapping[str, str] | None = None) -> Program:
    """Compile an expression over variables of these names; `types` ("INT") of those that are known. Raises CelError."""
    known = types or {}
    return _compiled(source, tuple(sorted((name, known.get(name, "DYN")) for name in variables)))


def mismatches(source: str, variables: Iterable[str], types: Mapping[str, str]) -> str:
    """What is wrong with an expression when some of its variables have types; "" if nothing is.

    Nothing of it is kept: it is asked once, when somebody writes a policy.
    """
    all_ = {**dict.fromkeys(variables, "DYN"), **types}
    wanted = tuple(sorted(all_.items()))
    try:
        _environment.__wrapped__(wanted, libraries(source)).compile(source)
    except RuntimeError as error:
        return str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    return ""


def _key_of_nothing(source: str, values: Mapping[str, Any]) -> str:
    """The first field that an expression selects from what has no fields: null, say, as `object` in a deletion."""
    for chain in _CHAIN.finditer(source):
        name, *keys = chain[1].split(".")
        value = values.get(name)
        for key in keys if name in values else ():
            if not isinstance(value, Mapping):
                return str(key)
            value = value.get(key, {})
    return ""


def _go_error(text: str) -> str:
    for pattern, words in _GO_ERRORS:
        if pattern.fullmatch(text):
            return pattern.sub(words, text)
    return text.partition(": ")[2] or text


@lru_cache(maxsize=ENVIRONMENTS)
def _environment(types: tuple[tuple[str, str], ...], wanted: Libraries) -> Any:
    cel = library()
    variables = {name: getattr(cel.Type, kind) for name, kind in types}
    return cel.NewEnv(variables=variables, extensions=extensions(wanted), functions=functions())
