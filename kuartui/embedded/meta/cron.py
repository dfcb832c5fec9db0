"""Cron schedules as github.com/robfig/cron/v3 reads them, with its error texts.

Five fields (minute, hour, day of month, month, day of week), names of months and weekdays, ranges, steps, lists,
`@hourly` and its like, `@every 1h30m`. As in cron, a day fits if it fits either of the two day fields, unless one of
them is `*` or `?`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from kuartui.embedded.meta.time import parse_duration

_MONTHS = {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6} | {"jul": 7, "aug": 8, "sep": 9}
_MONTHS |= {"oct": 10, "nov": 11, "dec": 12}
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FARTHEST = 5  # years to look ahead for a day that never comes, such as 30 February


class Schedule(Struct, frozen=True):
    """When to run. `every` is set for `@every`, in seconds; else the sets are."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    any_weekday: bool = False
    every: int = 0

    def next(self, after: datetime) -> datetime | None:
        """The first moment after `after`, in its time zone; None if there is none.

        What a clock skips does not happen, and what it shows twice happens twice: time itself goes on evenly, and only
        the fields are those of the zone.
        """
        zone, moment = after.tzinfo, after.astimezone(UTC)
        if self.every:
            return (moment.replace(microsecond=0) + timedelta(seconds=self.every)).astimezone(zone)
        moment = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)
        limit = moment.year + _FARTHEST
        while moment.year <= limit:
            local = moment.astimezone(zone)
            midnight = local.replace(hour=0, minute=0, fold=0)
            if local.month not in self.months:
                year, month = divmod(local.month, 12)
                start = midnight.replace(year=local.year + year, month=month + 1, day=1)
                moment = max(moment + timedelta(minutes=1), start.astimezone(UTC))
            elif not self._fits_day(local):
                moment = max(moment + timedelta(minutes=1), (midnight + timedelta(days=1)).astimezone(UTC))
            elif local.hour not in self.hours:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                moment += timedelta(minutes=1)
            else:
                return local
        return None

    def _fits_day(self, moment: datetime) -> bool:
        day, weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday


def parse(text: str) -> Schedule:
    """Read a schedule, with or without a TZ= in front. Raises ValueError with cron's words."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = text.partition(" ")[2].strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = (
        frozenset(_field(field, *bounds)) for field, bounds in zip(fields, _BOUNDS, strict=True)
    )
    any_day, any_weekday = (any(p.split("/")[0] in ("*", "?") for p in fields[i].split(",")) for i in (2, 4))
    return Schedule(minutes, hours, days, months, weekdays, any_day, any_weekday)


def _descriptor(text: str) -> Schedule:
    if text in _DESCRIPTORS:
        return parse(_DESCRIPTORS[text])
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        try:
            seconds = parse_duration(duration)
        except ValueError as error:
            raise ValueError(f"failed to parse duration {text}: {error}") from error
        return Schedule(every=max(1, int(seconds)))
    raise ValueError(f"unrecognized descriptor: {text}")


def _field(text: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        if part:
            found |= _range(part, low, high, names)
    return found


def _range(part: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    bounds, *steps = part.split("/")
    ends = bounds.split("-")
    if ends[0] in ("*", "?"):
        first, last = low, high
    else:
        first = _number(ends[0], names)
        if len(ends) > 2:
            raise ValueError(f"too many hyphens: {part}")
        last = _number(ends[1], names) if len(ends) == 2 else first
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {part}")
    step = _number(steps[0], {}) if steps else 1
    if steps and len(ends) == 1:
        last = high  # "5/15" runs from 5 to the end
    if first < low:
        raise ValueError(f"beginning of range ({first}) below minimum ({low}): {part}")
    if last > high:
        raise ValueError(f"end of range ({last}) above maximum ({high}): {part}")
    if first > last:
        raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {part}")
    if not step:
        raise ValueError(f"step of range should be a positive number: {part}")
    return set(range(first, last + 1, step))


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax') from None
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
