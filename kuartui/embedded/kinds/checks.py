"""Checks that many kinds share: labels, selectors, numbers, immutability.

k8s.io/apimachinery/pkg/{api,apis/meta/v1}/validation and pkg/apis/core/validation. Each gives field errors.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kuartui.embedded.meta import labels as selectors
from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    forbidden,
    invalid,
    not_supported,
    required,
)

Obj = dict[str, Any]

NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
IMMUTABLE = "field is immutable"
PROTOCOLS = ("SCTP", "TCP", "UDP")
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
MAX_INT32 = 2**31 - 1
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def errors_of(path: Path, value: Any, messages: Iterable[str]) -> list[FieldError]:
    """An "Invalid value" for each message."""
    return [invalid(path, value, message) for message in messages]


def non_negative(obj: Obj, path: Path, *fields: str) -> list[FieldError]:
    """Fields of `obj` that hold numbers below zero."""
    return [invalid(path / f, obj[f], NEGATIVE) for f in fields if obj.get(f) is not None and obj[f] < 0]


def one_of(value: Any, path: Path, allowed: Collection[str]) -> list[FieldError]:
    """A value that must be given and be one of a few."""
    if value in (None, ""):
        return [required(path)]
    return [] if value in allowed else [not_supported(path, value, allowed)]


def optional_one_of(obj: Obj, field: str, path: Path, allowed: Collection[str]) -> list[FieldError]:
    """A field that may be absent."""
    value = obj.get(field)
    return [] if value is None or value in allowed else [not_supported(path / field, value, allowed)]


def immutable(new: Any, old: Any, path: Path | str) -> list[FieldError]:
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def label_key(key: str, path: Path) -> list[FieldError]:
    return errors_of(path, key, names.qualified_name(key))


def labels(pairs: Mapping[str, str] | None, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in (pairs or {}).items():
        errors += label_key(key, path)
        errors += errors_of(path, value, names.label_value(value))
    return errors


def annotation_keys(pairs: Mapping[str, str] | None, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in pairs or {}:
        errors += errors_of(path, key, names.qualified_name(key.lower()))
    return errors


def label_selector(selector: Obj | None, path: Path) -> list[FieldError]:
    """A metav1.LabelSelector; None is fine."""
    if selector is None:
        return []
    errors = labels(selector.get("matchLabels"), path / "matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or []):
        at = (path / "matchExpressions").index(index)
        operator = term.get("operator", "")
        errors += selector_values(term, at)
        if operator not in _OPERATORS:
            errors.append(invalid(at / "operator", operator, "not a valid selector operator"))
        errors += label_key(term.get("key", ""), at / "key")
        for place, value in enumerate(term.get("values") or []):
            errors += label_value(value, (at / "values").index(place))
    return errors


def label_value(value: str, path: Path) -> list[FieldError]:
    return errors_of(path, value, names.label_value(value))


def selector_values(term: Obj, path: Path) -> list[FieldError]:
    """Whether a requirement of a selector has values where its operator wants them, and none elsewhere."""
    operator, values = term.get("operator", ""), term.get("values")
    if operator in ("In", "NotIn") and not values:
        return [required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'")]
    if operator in ("Exists", "DoesNotExist") and values:
        return [forbidden(path / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
    return []


def shown_selector(selector: Obj | None) -> Obj | None:
    """A metav1.LabelSelector as errors show it: fields in the order of the struct, labels sorted, nothing unset."""
    if selector is None:
        return None
    shown: Obj = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        shown["matchExpressions"] = [
            {field: term[field] for field in ("key", "operator", "values") if field in term}
            for term in selector["matchExpressions"]
        ]
    return shown


def selector_matches(selector: Obj | None, template: Obj) -> bool | None:
    """Whether a workload's selector takes the pods of its template; None if it is no selector at all."""
    try:
        parsed = selectors.from_object(selector)
    except selectors.SelectorError:
        return None
    return parsed.matches((template.get("metadata") or {}).get("labels") or {})


def dns_label(value: str, path: Path) -> list[FieldError]:
    return errors_of(path, value, names.dns1123_label(value))


def dns_subdomain(value: str, path: Path) -> list[FieldError]:
    return errors_of(path, value, names.dns1123_subdomain(value))


def port_number(port: Any, path: Path) -> list[FieldError]:
    return errors_of(path, port, names.port_number(port or 0))


def port_or_name(port: int | str | None, path: Path) -> list[FieldError]:
    """A number, or the name of a port."""
    if isinstance(port, str):
        return errors_of(path, port, names.port_name(port))
    return port_number(port or 0, path)


def quantity_not_negative(text: str, path: Path) -> list[FieldError]:
    amount = quantity.parse(text)
    return [invalid(path, str(amount), NEGATIVE)] if amount < quantity.ZERO else []


def quantity_positive(text: str, path: Path) -> list[FieldError]:
    amount = quantity.parse(text)
    return [] if amount > quantity.ZERO else [invalid(path, str(amount), NOT_POSITIVE)]


def ip_address(value: str, path: Path) -> list[FieldError]:
    return errors_of(path, value, names.ip_address(value))


def cidr(value: str, path: Path) -> list[FieldError]:
    return errors_of(path, value, names.cidr(value))


def ip_warnings(value: str, path: Path) -> list[str]:
    """On an address that nothing has checked, or that could be written in a better way (GetWarningsForIP)."""
    address = names.sloppy_ip(value)
    if address is None:
        return []
    plain = address if address.version == 4 else address.ipv4_mapped
    if str(plain or address) == value:
        return []
    if plain:
        text = f'non-standard IP address "{value}" will be considered invalid in a future Kubernetes release'
        return [f'{path}: {text}: use "{plain}"']
    return [f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")']


def cidr_warnings(value: str, path: Path) -> list[str]:
    """The same of a range."""
    text, _, length = value.partition("/")
    address = names.sloppy_ip(text)
    if address is None or address.version == 4 or str(address) == text:
        return []
    return [f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{address}/{length}")']


def no_address(host: str, path: Path) -> list[FieldError]:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return []
    return [invalid(path, host, "must be a DNS name, not an IP address")]


def balancer_points(points: Iterable[Obj], path: Path) -> list[FieldError]:
    """Where a load balancer is reached, as the status of a Service or an Ingress has it."""
    errors: list[FieldError] = []
    for index, point in enumerate(points):
        at = path.index(index)
        if point.get("ip"):
            errors += ip_address(point["ip"], at / "ip")
        host = point.get("hostname")
        if host:
            errors += dns_subdomain(host, at / "hostname") + no_address(host, at / "hostname")
    return errors


def quantity_sound(text: str, path: Path) -> list[FieldError]:
    """validateBasicResource: as `quantity_not_negative`, in other words."""
    value = quantity.parse(text)
    return [invalid(path, value.whole, "must be a valid resource quantity")] if value < quantity.ZERO else []


def ordinary_ip(value: str, path: Path) -> list[FieldError]:
    """Addresses that make sense as an endpoint or external IP."""
    address = names.sloppy_ip(value)
    if address is None:
        return [invalid(path, value, "must be a valid IP address")]
    if address.is_unspecified:
        return [invalid(path, value, f"may not be unspecified ({value})")]
    if address.is_loopback:
        return [invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if address in ipaddress.ip_network("224.0.0.0/24" if address.version == 4 else "ff02::/10", strict=False):
        return [invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")]
    if address.is_link_local:
        return [invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    return []


def int_or_percent(value: int | str, path: Path) -> list[FieldError]:
    """A count or a percentage, not below zero."""
    if isinstance(value, int):
        return [invalid(path, value, NEGATIVE)] if value < 0 else []
    return errors_of(path, value, names.percent(value))


def at_most_hundred_percent(value: int | str, path: Path) -> list[FieldError]:
    if isinstance(value, str) and value[:-1].isdigit() and value.endswith("%") and int(value[:-1]) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def domain_prefixed_path(text: str, path: Path) -> list[FieldError]:
    """`acme.io/foo` (validation.IsDomainPrefixedPath)."""
    if not text:
        return [required(path)]
    host, slash, rest = text.partition("/")
    if not (host and slash and rest):
        return [invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [invalid(path, host, message) for message in names.dns1123_subdomain(host)]
    if not re.fullmatch(_HTTP_PATH, rest):
        errors.append(invalid(path, rest, names.regex_error("Invalid path", _HTTP_PATH)))
    return errors


def local_reference(ref: Obj, path: Path) -> list[FieldError]:
    """A TypedLocalObjectReference, as ingresses and their classes have them."""
    group = ref.get("apiGroup")
    errors = [] if group is None else dns_subdomain(group, path / "apiGroup")
    for field in ("kind", "name"):
        value = ref.get(field, "")
        if value:
            errors += errors_of(path / field, value, names.path_segment(value))
        else:
            errors.append(required(path / field, f"{field} is required"))
    return errors
