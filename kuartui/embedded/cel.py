"""CEL in the API: validation rules of CRDs, admission policies, match conditions of webhooks.

Google's implementation (`cel-expr-python`) with Kubernetes' own libraries as far as they can be had on it: lists, regex,
url, quantity, format, sets, ip and cidr. Values are plain JSON. https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from kuartui.embedded.meta import quantity

_GO_ERRORS = (
    (re.compile(r'.*Key not found in map : "?(.*?)"?$', re.DOTALL), r"no such key: \1"),
    (re.compile(r".*No matching overloads found.*", re.DOTALL), "no such overload"),
    (re.compile(r".*Index error.*: index (\S+) .*", re.DOTALL), r"index out of bounds: \1"),
    (re.compile(r".*divide by zero.*", re.DOTALL | re.IGNORECASE), "division by zero"),
    (re.compile(r".*modulus by zero.*", re.DOTALL | re.IGNORECASE), "modulus by zero"),
)


AUTHORIZE: ContextVar[Callable[[dict[str, Any]], bool]] = ContextVar("authorize")
"""Answers `authorizer….check(verb).allowed()`: from the verb and what was built before it."""


class CelError(ValueError):
    """An expression that does not compile or gives no result, in cel-go's words as far as possible."""


class Program:
    """A compiled expression."""

    __slots__ = ("_expression", "source", "variables")

    def __init__(self, source: str, types: tuple[tuple[str, str], ...]) -> None:
        self.source, self.variables = source, tuple(name for name, _ in types)
        try:
            self._expression = _environment(types).compile(source)
        except RuntimeError as error:  # the binding raises nothing more specific
            text = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
            raise CelError(text) from error

    @property
    def type(self) -> str:
        """BOOL, STRING, DYN, …"""
        return str(self._expression.return_type().name())

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The result as a plain value. CelError where cel-go has an error."""
        try:
            value = self._expression.eval(data={name: values.get(name) for name in self.variables})
        except RuntimeError as error:  # over its budget
            raise CelError(
                "operation cancelled: actual cost limit exceeded" if "budget" in str(error) else str(error)
            ) from error
        plain = value.plain_value()
        if value.type() == _cel().Type.ERROR:
            raise CelError(_go_error(str(plain)))
        return plain


@lru_cache(maxsize=4096)
def _compiled(source: str, types: tuple[tuple[str, str], ...]) -> Program:
    return Program(source, types)


def compile_cel(source: str, variables: Iterable[str], types: Mapping[str, str] | None = None) -> Program:
    """Compile an expression over variables of these names; `types` ("INT") of those that are known. Raises CelError."""
    known = types or {}
    return _compiled(source, tuple(sorted((name, known.get(name, "DYN")) for name in variables)))


def _go_error(text: str) -> str:
    for pattern, words in _GO_ERRORS:
        if pattern.fullmatch(text):
            return pattern.sub(words, text)
    return text.partition(": ")[2] or text


def _cel() -> Any:
    from cel_expr_python import cel

    return cel


@lru_cache(maxsize=256)
def _environment(types: tuple[tuple[str, str], ...]) -> Any:
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    cel = _cel()
    extensions = [ext_bindings.ExtBindings(), ext_encoders.ExtEncoders(), ext_math.ExtMath()]
    return cel.NewEnv(
        variables={name: getattr(cel.Type, kind) for name, kind in types},
        extensions=[*extensions, ext_optional.ExtOptional(), ext_strings.ExtStrings()],
        functions=_functions(),
    )


@lru_cache(maxsize=1)
def _functions() -> list[Any]:
    """Kubernetes' libraries. Quantities, URLs, IPs and CIDRs are carried as numbers and maps."""
    cel = _cel()
    kind = cel.Type
    text, number, whole, truth = kind.STRING, kind.DOUBLE, kind.INT, kind.BOOL
    many, thing = kind.List(kind.DYN), kind.Map(kind.DYN, kind.DYN)

    def function(name: str, *overloads: tuple[tuple[Any, ...], Any, Callable[..., Any]], member: bool = True) -> Any:
        made = [
            cel.Overload(
                f"kubernetes_{name.replace('.', '_')}_{index}_{int(member)}",
                parameters=list(parameters),
                return_type=returned,
                is_member=member,
                impl=implementation,
            )
            for index, (parameters, returned, implementation) in enumerate(overloads)
        ]
        return cel.FunctionDecl(name, made)

    return [
        # lists
        function("isSorted", ((many,), truth, lambda items: all(_order(a) <= _order(b) for a, b in _pairs(items)))),
        function("sum", ((many,), kind.DYN, sum)),
        function("min", ((many,), kind.DYN, min)),
        function("max", ((many,), kind.DYN, max)),
        function("sets.contains", ((many, many), truth, lambda a, b: all(x in a for x in b)), member=False),
        function("sets.intersects", ((many, many), truth, lambda a, b: any(x in a for x in b)), member=False),
        function(
            "sets.equivalent",
            ((many, many), truth, lambda a, b: all(x in b for x in a) and all(x in a for x in b)),
            member=False,
        ),
        # regex
        function("find", ((text, text), text, lambda value, pattern: (re.search(pattern, value) or [""])[0])),
        function("findAll", ((text, text), many, lambda value, pattern: [m[0] for m in re.finditer(pattern, value)])),
        # quantities
        function("quantity", ((text,), number, _number), member=False),
        function("isQuantity", ((text,), truth, _is_quantity), member=False),
        function("isGreaterThan", ((number, number), truth, lambda a, b: a > b)),
        function("isLessThan", ((number, number), truth, lambda a, b: a < b)),
        function("compareTo", ((number, number), whole, lambda a, b: (a > b) - (a < b))),
        function("asApproximateFloat", ((number,), number, float)),
        function("asInteger", ((number,), whole, int)),
        function("isInteger", ((number,), truth, lambda a: a == int(a))),
        function("sign", ((number,), whole, lambda a: (a > 0) - (a < 0))),
        # URLs
        function("url", ((text,), thing, _url), member=False),
        function("isURL", ((text,), truth, lambda value: _works(_url, value)), member=False),
        *[
            function(name, ((thing,), text, lambda url, part=part: url[part]))
            for name, part in (
                ("getScheme", "scheme"),
                ("getHost", "host"),
                ("getHostname", "hostname"),
                ("getPort", "port"),
                ("getEscapedPath", "path"),
            )
        ],
        function("getQuery", ((thing,), thing, lambda url: url["query"])),
        # the authorizer: what is asked is put together in a map
        *[
            function(name, ((thing, text), thing, lambda asked, value, name=name: {**asked, name: value}))
            for name in ("path", "group", "resource", "subresource", "namespace", "name")
        ],
        function(
            "serviceAccount", ((thing, text, text), thing, lambda a, ns, name: {**a, "serviceAccount": [ns, name]})
        ),
        function("check", ((thing, text), thing, lambda asked, verb: {**asked, "verb": verb})),
        function("allowed", ((thing,), truth, lambda asked: AUTHORIZE.get()(asked))),
        # addresses
        function("isIP", ((text,), truth, lambda value: _works(ipaddress.ip_address, value)), member=False),
        function("isCIDR", ((text,), truth, lambda value: "/" in value and _works(_network, value)), member=False),
        function("ip", ((text,), thing, lambda value: {"ip": str(ipaddress.ip_address(value))}), member=False),
        function("cidr", ((text,), thing, lambda value: {"cidr": str(_network(value))}), member=False),
        function("family", ((thing,), whole, lambda value: ipaddress.ip_address(value["ip"]).version)),
        function("containsIP", ((thing, text), truth, lambda c, a: ipaddress.ip_address(a) in _network(c["cidr"]))),
        function("prefixLength", ((thing,), whole, lambda c: _network(c["cidr"]).prefixlen)),
    ]


def _order(item: Any) -> tuple[str, Any]:
    return type(item).__name__, orjson.dumps(item) if isinstance(item, dict | list) else item


def _pairs(items: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(items, items[1:], strict=False)


def _number(value: str) -> float:
    return float(quantity.parse(value).value)


def _is_quantity(value: str) -> bool:
    return _works(quantity.parse, value)


def _works(function: Callable[[str], Any], value: str) -> bool:
    try:
        function(value)
    except ValueError:
        return False
    return True


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value, strict=False)


def _url(value: str) -> dict[str, Any]:
    parts = urlsplit(value)
    if not (parts.scheme and parts.netloc) and not value.startswith("/"):
        raise ValueError(f"parse {value!r}: invalid URI for request")
    return {
        "scheme": parts.scheme,
        "host": parts.netloc.rpartition("@")[2],
        "hostname": parts.hostname or "",
        "port": str(parts.port or ""),
        "path": parts.path,
        "query": parse_qs(parts.query),
    }
