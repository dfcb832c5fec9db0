"""intstr.IntOrString: a number, or a string that may be a percentage."""

from __future__ import annotations

import math
import re

_PERCENT = re.compile(r"[0-9]+%")


def is_percent(value: int | str) -> bool:
    return isinstance(value, str) and bool(_PERCENT.fullmatch(value))


def scaled(value: int | str, total: int, round_up: bool) -> int:
    """A number as it is, a percentage of `total`. Raises ValueError for another string."""
    if isinstance(value, int):
        return value
    if not is_percent(value):
        raise ValueError(f'invalid value for IntOrString: invalid type: string is not a percentage: "{value}"')
    share = int(value[:-1]) * total / 100
    return math.ceil(share) if round_up else math.floor(share)
