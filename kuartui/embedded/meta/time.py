"""metav1.Time, durations and ages, as Kubernetes writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(.*)")
_MICRO = re.compile(r"\.\d{6}")
_ZONE = re.compile(r"Z|[+-]\d\d:\d\d")
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@lru_cache(64)  # many writes of one moment
def format_time(moment: datetime) -> str:
    """metav1.Time: whole seconds, UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


@lru_cache(64)
def format_micro(moment: datetime) -> str:
    """metav1.MicroTime."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """Read RFC 3339. Raises ValueError."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    return datetime.fromisoformat(text)


def parse_micro(text: str) -> datetime:
    """Read metav1.MicroTime, which has six digits after the second, no more and no fewer. Raises ValueError."""
    found = _SECOND.fullmatch(text)
    layout = "2006-01-02T15:04:05.000000Z07:00"
    if not found:
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"')
    rest = found[1]
    if not _MICRO.match(rest):
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as ".000000"')
    if not _ZONE.fullmatch(rest[7:]):
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest[7:]}" as "Z07:00"')
    return datetime.fromisoformat(text)


def parse_duration(text: str) -> float:
    """Go's time.ParseDuration, in seconds. Raises ValueError."""
    rest = text.lstrip("+-")
    if rest == "0":
        return 0.0
    if not rest or _DURATION.sub("", rest):
        raise ValueError(f'time: invalid duration "{text}"')
    total = sum(float(number) * _UNIT[unit] for number, unit in _DURATION.findall(rest))
    return -total if text.startswith("-") else total


def format_duration(seconds: float) -> str:
    """Go's Duration.String for whole seconds and parts of them: 1m30s, 1.5s, 250ms."""
    if seconds == 0:
        return "0s"
    sign = "-" if seconds < 0 else ""
    seconds = abs(seconds)
    if seconds < 1:
        for unit, factor in (("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
            if seconds * factor >= 1:
                return f"{sign}{round(seconds * factor, 6):g}{unit}"
        return "0s"
    whole, part = divmod(round(seconds, 9), 60)
    minutes = int(whole)
    second = f"{round(part, 9):g}s"
    if not minutes:
        return sign + second
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{second}" if hours else f"{sign}{minutes}m{second}"


def age(since: str | datetime | None, now: datetime) -> str:
    """How old, as a table shows it; "<unknown>" without a time."""
    if not since:
        return "<unknown>"
    moment = parse_time(since) if isinstance(since, str) else since
    return human_duration((now - moment).total_seconds())


def human_duration(seconds: float) -> str:
    """k8s.io/apimachinery/pkg/util/duration.HumanDuration."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        rest = whole % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if years < 8:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"
