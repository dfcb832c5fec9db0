"""sleep, usleep, date, timeout, uptime: everything that asks for the time uses the cluster's."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.process import SIGNAL_NUMBERS, Process
from kuartui.embedded.node.runtime.programs import NotExecutable

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
FOREVER = 3.2e9  # a century


def seconds(text: str) -> float | None:
    """`1`, `0.5`, `2m`, `infinity`; None if it is no time."""
    if text in ("infinity", "inf"):
        return FOREVER
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)([smhd]?)", text)
    return float(found[1]) * UNITS[found[2]] if found else None


async def sleep(process: Process) -> int:
    """sleep N[smhd]…"""
    if len(process.argv) < 2:
        await process.err("BusyBox v1.36.1 multi-call binary.\n\nUsage: sleep [N]...\n")
        return 1
    total = 0.0
    for text in process.argv[1:]:
        part = seconds(text)
        if part is None:
            await process.err(f"sleep: invalid number '{text}'\n")
            return 1
        total += part
    await process.clock.sleep(total)
    return 0


async def usleep(process: Process) -> int:
    """usleep N, microseconds."""
    await process.clock.sleep(int(process.argv[1]) / 1e6 if process.argv[1:] else 0)
    return 0


async def date(process: Process) -> int:
    """date [-u] [-d TIME] [-s TIME] [-I[spec]] [-R] [+FORMAT].

    With the capability to set the clock, -s says that it did; a node's time stays what its time service makes of it.
    """
    failed = False
    words = process.argv[1:]
    when = process.clock.now().astimezone(UTC)
    form = "%a %b %e %H:%M:%S UTC %Y"
    while words:
        word = words.pop(0)
        if word.startswith("+"):
            form = word[1:]
        elif word in ("-d", "--date", "-s", "--set") and words:
            parsed = _parse_date(words.pop(0), when)
            if parsed is None:
                await process.err("date: invalid date\n")
                return 1
            when = parsed
            if word in ("-s", "--set") and not process.user.can("SYS_TIME"):
                failed = process.container.spec.image.distribution not in ("busybox", "alpine")
                await process.err(
                    ("date: cannot" if failed else "date: can't") + " set date: Operation not permitted\n"
                )
        elif word.startswith("-I") or word.startswith("--iso-8601"):
            spec = word.removeprefix("-I").removeprefix("--iso-8601").lstrip("=")
            form = {"s": "%Y-%m-%dT%H:%M:%S+00:00", "seconds": "%Y-%m-%dT%H:%M:%S+00:00"}.get(spec, "%Y-%m-%d")
        elif word in ("-R", "--rfc-2822", "--rfc-email"):
            form = "%a, %d %b %Y %H:%M:%S +0000"
    await process.out(_format(when, form) + "\n")
    return int(failed)


def _format(when: datetime, form: str) -> str:
    nanos = f"{when.microsecond * 1000:09d}"
    form = re.sub(r"%(\d?)N", lambda m: nanos[: int(m[1])] if m[1] else nanos, form)
    form = form.replace("%s", str(math.floor(when.timestamp()))).replace("%e", f"{when.day:2d}")
    return when.strftime(form.replace("%P", "%p"))


def _parse_date(text: str, now: datetime) -> datetime | None:
    if text.startswith("@"):
        return datetime.fromtimestamp(float(text[1:]), UTC)
    offset = re.fullmatch(r"([+-]?\d+)\s*(sec|second|min|minute|hour|day)s?( ago)?", text.strip())
    if offset:
        unit = {"sec": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600, "day": 86400}[offset[2]]
        delta = int(offset[1]) * unit * (-1 if offset[3] else 1)
        return datetime.fromtimestamp(now.timestamp() + delta, UTC)
    if text in ("now", ""):
        return now
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", text.strip())
    if clock:  # today
        return now.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return _in_words(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _in_words(text: str) -> datetime | None:
    """A date with the name of a month."""
    for form in ("%d %b %Y %H:%M:%S", "%d %b %Y %H:%M", "%d %b %Y", "%a %b %d %H:%M:%S UTC %Y"):
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


async def timeout(process: Process) -> int:
    """timeout [-s SIG] [-k SECS] SECS PROG ARGS; 124 (busybox: 143) when time is up."""
    options, rest = await parse(process, "s:k:t:", ("signal=", "kill-after="), mixed=False)
    if "t" in options:
        rest.insert(0, options["t"])
    limit = seconds(rest[0]) if len(rest) > 1 else None
    if limit is None:
        await process.err("Usage: timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS\n")
        return 1
    name = (options.get("s") or options.get("signal") or "TERM").removeprefix("SIG")
    try:
        child = process.container.spawn(rest[1:], parent=process)
    except NotExecutable as error:
        await process.err(f"timeout: can't execute '{rest[1]}': No such file or directory\n")
        return error.code
    busybox = process.container.spec.image.distribution in ("busybox", "alpine")
    try:
        async with process.clock.timeout(limit):
            return await child.wait()
    except TimeoutError:
        child.kill(SIGNAL_NUMBERS.get(name, 15))
        return 128 + SIGNAL_NUMBERS.get(name, 15) if busybox else 124
    finally:
        child.kill()


async def watch(process: Process) -> int:
    """watch [-n SECONDS] COMMAND…"""
    options, rest = await parse(process, "n:td", mixed=False)
    every = seconds(options.get("n", "2")) or 2.0
    if not rest:
        await process.err("Usage: watch [-n SEC] [-t] PROG ARGS\n")
        return 1
    while True:
        start = "\x1b[H\x1b[J" if process.terminal else ""
        await process.out(f"{start}Every {every:.1f}s: {' '.join(rest)}\n\n")
        await process.run(["sh", "-c", " ".join(rest)])
        await process.clock.sleep(every)


async def uptime(process: Process) -> int:
    """uptime, of the node since the cluster started."""
    now = process.clock.now()
    up = int(process.clock.monotonic())
    await process.out(
        f" {now:%H:%M:%S} up {up // 3600:2d}:{up // 60 % 60:02d},  0 users,  load average: 0.00, 0.00, 0.00\n"
    )
    return 0
