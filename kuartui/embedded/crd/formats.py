"""The formats that schemas of CRDs may ask for.

k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go names them, github.com/go-openapi/strfmt knows what
they are like.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import struct
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.time import parse_time

Obj = dict[str, Any]
Check = Callable[[str], object]

_BITS = {"int32": 32, "int64": 64}
NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}


def fits(form: str, value: str) -> bool:
    """Whether a text has a format; everything has one that Kubernetes does not know."""
    check = FORMATS.get(form.replace("-", ""))
    try:
        return check is None or check(value) is not False
    except (ValueError, binascii.Error):
        return False


def kept(schema: Obj) -> str:
    """The schema's format, if it is one that goes with its type; Kubernetes drops all others before it looks."""
    form, kind = schema.get("format") or "", schema.get("type", "")
    known = form in NUMBERS[kind] if kind in NUMBERS else kind in ("", "string") and form.replace("-", "") in FORMATS
    return form if known else ""


def holds(schema: Obj, number: float) -> bool:
    """Whether the schema's numeric format has room for a number; only those formats that go with its type count."""
    form = schema.get("format")
    if form not in NUMBERS.get(schema.get("type", ""), ()):
        return True
    if form in _BITS:
        room = 1 << (_BITS[form] - 1)
        return -room <= number < room
    try:
        struct.pack("<f" if form == "float" else "<d", number)
    except OverflowError:
        return False
    return True


def unrecognized(schema: Any) -> Iterator[str]:
    """Formats in a schema that mean nothing where they are."""
    if not isinstance(schema, dict):
        return
    form = schema.get("format")
    if form and not kept(schema):
        yield form
    for part in ("items", "additionalProperties", "not"):
        yield from unrecognized(schema.get(part))
    for part in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(part) or ():
            yield from unrecognized(inner)
    for inner in (schema.get("properties") or {}).values():
        yield from unrecognized(inner)


def _matches(pattern: str) -> Check:
    return lambda value: re.fullmatch(pattern, value) is not None  # compiled, and kept, when first needed


def _is_uri(value: str) -> bool:
    return value.startswith("/") or bool(urlsplit(value).scheme)


def _is_uuid(version: int) -> Check:
    return lambda value: uuid.UUID(value).version == version


def _is_isbn(value: str) -> bool:
    digits = value.replace("-", "").replace(" ", "")
    if re.fullmatch(r"\d{9}[\dX]", digits):
        return not sum((10 - i) * (10 if digit == "X" else int(digit)) for i, digit in enumerate(digits)) % 11
    return bool(re.fullmatch(r"\d{13}", digits)) and not sum(int(d) * (1, 3)[i % 2] for i, d in enumerate(digits)) % 10


def _is_card(value: str) -> bool:
    digits = [int(letter) for letter in reversed(re.sub(r"\D", "", value))]
    doubled = [digit * 2 - 9 * (digit > 4) if index % 2 else digit for index, digit in enumerate(digits)]
    return 13 <= len(digits) <= 16 and not sum(doubled) % 10


_UNITS = "|".join(
    (
        "ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?",
        "s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?",
    )
)

#: by name without dashes
FORMATS: dict[str, Check] = {
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "byte": lambda value: base64.b64decode(value, validate=True) or True,
    "cidr": lambda value: "/" in value and bool(ipaddress.ip_network(value, strict=False)),
    "creditcard": _is_card,
    "date": _matches(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
    "datetime": lambda value: bool(parse_time(value)),
    "duration": _matches(rf"[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0|\d+(\.\d+)?\s*({_UNITS})"),
    "email": _matches(r"([^<>@]*<)?[^@\s<>]+@[^@\s<>]+>?"),
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _matches(
        r"(?=.{1,253}$)([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
    ),
    "ipv4": lambda value: bool(ipaddress.IPv4Address(value)),
    "ipv6": lambda value: bool(ipaddress.IPv6Address(value)),
    "isbn": _is_isbn,
    "isbn10": lambda value: "978" not in value[:3] and _is_isbn(value),
    "isbn13": lambda value: len(re.sub(r"\D", "", value)) == 13 and _is_isbn(value),
    "k8slongname": lambda value: not names.dns1123_subdomain(value),
    "k8sshortname": lambda value: not names.dns1123_label(value),
    "mac": _matches(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}"),
    "password": lambda _: True,
    "quantity": lambda value: bool(quantity.parse(value)) or True,
    "rgbcolor": _matches(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _is_uri,
    "uuid": lambda value: bool(uuid.UUID(value)),
    "uuid3": _is_uuid(3),
    "uuid4": _is_uuid(4),
    "uuid5": _is_uuid(5),
}
