"""Kubernetes' own CEL functions, as far as they can be had: lists, regex, quantities, versions, URLs, addresses.

https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from kuartui.cel_extensions import library
from kuartui.cel_references import releasing
from kuartui.embedded.meta import quantity

AUTHORIZE: ContextVar[Callable[[dict[str, Any]], bool]] = ContextVar("authorize")
"""Answers `authorizer….check(verb).allowed()`: from the verb and what was built before it."""


@lru_cache(maxsize=1)
def functions() -> list[Any]:
    """Kubernetes' libraries. Quantities, URLs, IPs and CIDRs are carried as numbers and maps."""
    cel = library()
    kind: Any = cel.Type
    text, number, whole, truth = kind.STRING, kind.DOUBLE, kind.INT, kind.BOOL
    many, thing = kind.List(kind.DYN), kind.Map(kind.DYN, kind.DYN)

    def function(name: str, *overloads: tuple[tuple[Any, ...], Any, Callable[..., Any]], member: bool = True) -> Any:
        made = [
            cel.Overload(
                f"kubernetes_{name.replace('.', '_')}_{index}_{int(member)}",
                parameters=list(parameters),
                return_type=returned,
                is_member=member,
                impl=releasing(implementation),
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
        # JSON pointers
        function(
            "jsonpatch.escapeKey",
            ((text,), text, lambda key: key.replace("~", "~0").replace("/", "~1")),
            member=False,
        ),
        # quantities
        function("quantity", ((text,), number, _number), member=False),
        function("isQuantity", ((text,), truth, _is_quantity), member=False),
        function("add", ((number, number), number, lambda a, b: a + b), ((number, whole), number, lambda a, b: a + b)),
        function("sub", ((number, number), number, lambda a, b: a - b), ((number, whole), number, lambda a, b: a - b)),
        function("asApproximateFloat", ((number,), number, float)),
        function("asInteger", ((number,), whole, int)),
        function("isInteger", ((number,), truth, lambda a: a == int(a))),
        function("sign", ((number,), whole, lambda a: (a > 0) - (a < 0))),
        # versions, and what they share with quantities
        function("isSemver", ((text,), truth, lambda value: _SEMVER.fullmatch(value) is not None), member=False),
        function("semver", ((text,), thing, semver), member=False),
        *[function(part, ((thing,), whole, lambda v, part=part: v[part])) for part in ("major", "minor", "patch")],
        function(
            "isGreaterThan",
            ((number, number), truth, lambda a, b: a > b),
            ((thing, thing), truth, lambda a, b: _precedence(a) > _precedence(b)),
        ),
        function(
            "isLessThan",
            ((number, number), truth, lambda a, b: a < b),
            ((thing, thing), truth, lambda a, b: _precedence(a) < _precedence(b)),
        ),
        function(
            "compareTo",
            ((number, number), whole, lambda a, b: (a > b) - (a < b)),
            ((thing, thing), whole, lambda a, b: _sign(_precedence(a), _precedence(b))),
        ),
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
        *[
            function(name, ((thing,), truth, lambda value, part=part: getattr(_address(value), part)))
            for name, part in (
                ("isUnspecified", "is_unspecified"),
                ("isLoopback", "is_loopback"),
                ("isLinkLocalUnicast", "is_link_local"),
            )
        ],
        function("isGlobalUnicast", ((thing,), truth, lambda value: _is_global_unicast(_address(value)))),
        function(
            "ip.isCanonical", ((text,), truth, lambda value: str(ipaddress.ip_address(value)) == value), member=False
        ),
        function(
            "containsIP",
            ((thing, text), truth, lambda c, a: ipaddress.ip_address(a) in _network(c["cidr"])),
            ((thing, thing), truth, lambda c, a: _address(a) in _network(c["cidr"])),
        ),
        function(
            "containsCIDR",
            ((thing, text), truth, lambda c, other: _holds(_network(c["cidr"]), _network(other))),
            ((thing, thing), truth, lambda c, other: _holds(_network(c["cidr"]), _network(other["cidr"]))),
        ),
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


def _address(value: dict[str, Any]) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(value["ip"])


def _is_global_unicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Go's net.IP.IsGlobalUnicast: private addresses, too."""
    special = (address.is_unspecified, address.is_loopback, address.is_multicast, address.is_link_local)
    return not any(special) and str(address) != "255.255.255.255"


def _holds(outer: Any, inner: Any) -> bool:
    return bool(outer.version == inner.version and inner.subnet_of(outer))


_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-.]+)?"
)


def semver(value: str) -> dict[str, Any]:
    """A semantic version as expressions see it. Raises ValueError."""
    found = _SEMVER.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is no semantic version")
    numbers = zip(("major", "minor", "patch"), map(int, found.groups()[:3]), strict=False)
    return {**dict(numbers), "pre": found[4] or ""}


def _precedence(version: dict[str, Any]) -> tuple[Any, ...]:
    """A version's place in the order: releases above what came before them."""
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in version["pre"].split(".") if part]
    return version["major"], version["minor"], version["patch"], not parts, parts


def _sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)
