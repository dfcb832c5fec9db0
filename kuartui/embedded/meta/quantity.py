"""resource.Quantity: parsing, canonical form, comparison, arithmetic.

Rules of k8s.io/apimachinery/pkg/api/resource (quantity.go, suffix.go). A quantity is an exact Decimal and the format
it was written in. A value finer than nano is rounded away from zero; binary ones are capped at 2^63-1. Like there, a
text that the parser takes for canonical is kept as it was written ("1.500" stays, "0.5" becomes "500m").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_UP, Context, Decimal, InvalidOperation
from functools import lru_cache, total_ordering

import orjson

BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
FORMAT_ERROR = f"quantities must match the regular expression '{PATTERN}'"
SUFFIX_ERROR = "unable to parse quantity's suffix"
NUMERIC_ERROR = "unable to parse numeric part of quantity"

_SHAPE = re.compile(r"([+-]?)(0*)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE][-+]?[0-9]+", re.ASCII)
_SUFFIX_OF = {power: name for name, power in DECIMAL.items()}
_EXACT = Context(prec=400)
_NANO = Decimal("1e-9")
_LIMIT = Decimal(2**63 - 1)
_MAX_TEXT = 128  # characters; Go has no limit, but nobody means a longer number
_MAX_EXPONENT = 128


class QuantityError(ValueError):
    """Not a quantity; the text is Go's."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """`format` is how it was written: "decimal" (500m), "binary" (64Mi) or "exponent" (1e3)."""

    value: Decimal
    format: str = "decimal"
    text: str = field(default="", repr=False)
    """What it was read from, if that counts as canonical."""

    def __str__(self) -> str:
        return self.text or _canonical(self)

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero."""
        return _whole(self.value * 1000)

    @property
    def whole(self) -> int:
        """Units, rounded away from zero."""
        return _whole(self.value)

    def round_up(self, scale: int) -> Quantity:
        """Not finer than 10^scale; the API server does so (-3) with every resource list."""
        step = Decimal(1).scaleb(scale)
        rounded = self.value.quantize(step, rounding=ROUND_UP, context=_EXACT)
        return self if rounded == self.value else Quantity(rounded, self.format)

    def __add__(self, other: Quantity) -> Quantity:
        # Go keeps the format of the receiver unless that is zero
        return Quantity(_EXACT.add(self.value, other.value), self.format if self.value else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(_EXACT.subtract(self.value, other.value), self.format if self.value else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.value, self.format)

    def __mul__(self, times: int) -> Quantity:
        return Quantity(_EXACT.multiply(self.value, Decimal(times)), self.format)

    def __truediv__(self, other: Quantity | Decimal) -> Decimal:
        return self.value / (other.value if isinstance(other, Quantity) else other)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __lt__(self, other: Quantity) -> bool:
        return self.value < other.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)


ZERO = Quantity(Decimal(0))


def parse(text: str | int | float) -> Quantity:
    """Read a quantity; numbers are taken as they stand in JSON. Raises QuantityError."""
    if isinstance(text, bool):
        raise QuantityError(FORMAT_ERROR)
    return _parse(text.strip() if isinstance(text, str) else orjson.dumps(text).decode())


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    found = _SHAPE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if not text or not found:
        raise QuantityError(FORMAT_ERROR)
    sign, _, digits, fraction, suffix = found.groups("")
    digits = digits or "0"
    form, power = _interpret(suffix)
    try:
        number = Decimal(f"{digits}.{fraction or '0'}")
        value = number * 1024**power if form == "binary" else number.scaleb(power, _EXACT)
    except InvalidOperation as error:
        raise QuantityError(NUMERIC_ERROR) from error
    if value != value.quantize(_NANO, context=_EXACT):
        value = value.quantize(_NANO, rounding=ROUND_UP, context=_EXACT)
    if form == "binary":
        value = min(value, _LIMIT)
        if 0 < value < 1:
            form = "decimal"
    kept = text if _is_canonical(digits, fraction, form, power) else ""
    return Quantity(-value if sign == "-" else value, form, kept)


def _interpret(suffix: str) -> tuple[str, int]:
    """The format, and the power of ten (or of 1024)."""
    if suffix in DECIMAL:
        return "decimal", DECIMAL[suffix]
    if suffix in BINARY:
        return "binary", BINARY[suffix]
    if not _EXPONENT.fullmatch(suffix) or len(suffix) > 6:
        raise QuantityError(SUFFIX_ERROR)
    power = int(suffix[1:])
    if abs(power) > _MAX_EXPONENT:
        raise QuantityError(NUMERIC_ERROR)
    return "exponent", power


def _is_canonical(digits: str, fraction: str, form: str, power: int) -> bool:
    """What Go's fast path takes for canonical; it errs on purpose, to be quick."""
    if digits == "0" and not fraction and not power:
        return False
    if form == "binary":
        return not fraction and 14 - len(digits) - power * 3 >= 0 and int(digits) & 7 != 0
    shifted, scale = digits + fraction, power - len(fraction)
    fast = len(shifted) <= 18 and scale >= -9
    return fast and scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"


def canonical(text: str | int | float) -> str:
    """The form in which Kubernetes stores it."""
    return str(parse(text))


def milli(value: int) -> Quantity:
    """From thousandths."""
    return Quantity(Decimal(value).scaleb(-3))


def whole(value: int, form: str = "decimal") -> Quantity:
    """From units."""
    return Quantity(Decimal(value), form)


def _whole(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_UP))


def _canonical(quantity: Quantity) -> str:
    value = quantity.value
    if not value:
        return "0"
    if quantity.format == "binary" and abs(value) >= 1024 and value == value.to_integral_value():
        number, suffix = int(value), ""
        for name in BINARY:
            if number % 1024:
                break
            number, suffix = number // 1024, name
        return f"{number}{suffix}"
    # below 1024, and with a fraction, binary ones are shown as decimal
    number, exponent = _engineering(value)
    if quantity.format == "exponent" or exponent not in _SUFFIX_OF:
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{_SUFFIX_OF[exponent]}"


def _engineering(value: Decimal) -> tuple[int, int]:
    """An integer and a power of ten that is a multiple of three, as large as it can be."""
    exponent = -9
    number = int(value.scaleb(9, _EXACT))
    while number % 1000 == 0:
        number //= 1000
        exponent += 3
    return number, exponent
