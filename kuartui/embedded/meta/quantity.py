"""resource.Quantity: parsing, canonical form, comparison.

Rules of k8s.io/apimachinery/pkg/api/resource/quantity.go. A quantity is kept as an exact Decimal and the format it was
written in; sub-nano precision is rounded up, as there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache

BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
FORMAT_ERROR = f"quantities must match the regular expression '{PATTERN}'"
SUFFIX_ERROR = "unable to parse quantity's suffix"
NUMERIC_ERROR = "unable to parse numeric part of quantity"

_SHAPE = re.compile(r"([+-]?)([0-9]*\.?[0-9]*)(.*)", re.DOTALL)
_EXACT = Context(prec=60)
_NANO = Decimal("1e-9")
_LIMIT = Decimal(2**63 - 1)


class QuantityError(ValueError):
    """Not a quantity; the text is Go's."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """`format` is how it was written: "decimal" (500m), "binary" (64Mi) or "exponent" (1e3)."""

    value: Decimal
    format: str = "decimal"

    def __str__(self) -> str:
        return _canonical(self)

    @property
    def milli(self) -> int:
        """Thousandths, rounded up."""
        return _ceil(self.value * 1000)

    @property
    def whole(self) -> int:
        """Units, rounded up."""
        return _ceil(self.value)

    def __add__(self, other: Quantity) -> Quantity:
        # Go keeps the format of the receiver unless that is zero
        return Quantity(self.value + other.value, self.format if self.value else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.value - other.value, self.format if self.value else other.format)

    def __truediv__(self, other: Quantity | Decimal) -> Decimal:
        return self.value / (other.value if isinstance(other, Quantity) else other)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __lt__(self, other: Quantity) -> bool:
        return self.value < other.value

    def __le__(self, other: Quantity) -> bool:
        return self.value <= other.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)


ZERO = Quantity(Decimal(0))


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Quantity:
    """Read a quantity; numbers are taken as they print. Raises QuantityError."""
    if isinstance(text, bool):
        raise QuantityError(FORMAT_ERROR)
    if not isinstance(text, str):
        text = str(text) if isinstance(text, int) else f"{text:g}" if text != int(text) else str(int(text))
    found = _SHAPE.fullmatch(text)
    if not text or not found or not found[2].strip("."):
        raise QuantityError(FORMAT_ERROR)
    sign, digits, suffix = found.groups()
    if not re.fullmatch(r"[eEinumkKMGTP]*[-+]?[0-9]*", suffix):
        raise QuantityError(FORMAT_ERROR)
    number = Decimal((sign if sign == "-" else "") + digits)
    if suffix in BINARY:
        return Quantity(_bounded(number * (1024 ** BINARY[suffix])), "binary")
    if suffix in DECIMAL:
        return Quantity(_bounded(number.scaleb(DECIMAL[suffix], _EXACT)))
    if suffix[0] in "eE" and re.fullmatch(r"[-+]?[0-9]+", suffix[1:]):
        return Quantity(_bounded(number.scaleb(int(suffix[1:]), _EXACT)), "exponent")
    raise QuantityError(SUFFIX_ERROR)


def canonical(text: str | int | float) -> str:
    """The form in which Kubernetes stores it."""
    return str(parse(text))


def milli(value: int) -> Quantity:
    """From thousandths."""
    return Quantity(Decimal(value).scaleb(-3))


def whole(value: int, form: str = "decimal") -> Quantity:
    """From units."""
    return Quantity(Decimal(value), form)


def _bounded(value: Decimal) -> Decimal:
    """Within int64, and not finer than nano (rounded away from zero)."""
    if abs(value) > _LIMIT:
        return _LIMIT if value > 0 else -_LIMIT
    if value and value != value.quantize(_NANO, context=_EXACT):
        up = abs(value).quantize(_NANO, rounding=ROUND_CEILING, context=_EXACT)
        return up if value > 0 else -up
    return value


def _ceil(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))


def _canonical(quantity: Quantity) -> str:
    value = quantity.value
    if not value:
        return "0"
    if quantity.format == "binary":
        if abs(value) < 1024 or value != value.to_integral_value():
            return _decimal(value)  # Go: below 1024, and with a fraction, the decimal suffixes are used
        number, suffix = int(value), ""
        for name in BINARY:
            if number % 1024:
                break
            number, suffix = number // 1024, name
        return f"{number}{suffix}"
    if quantity.format == "exponent":
        number, exponent = _engineering(value)
        return f"{number}e{exponent}" if exponent else str(number)
    return _decimal(value)


def _decimal(value: Decimal) -> str:
    number, exponent = _engineering(value)
    suffix = next(name for name, power in DECIMAL.items() if power == exponent)
    return f"{number}{suffix}"


def _engineering(value: Decimal) -> tuple[int, int]:
    """An integer and a power of ten that is a multiple of three, as large as it can be (at most 18)."""
    exponent = -9
    number = int(value.scaleb(9, _EXACT))
    while number % 1000 == 0 and exponent < 18:
        number //= 1000
        exponent += 3
    return number, exponent
