"""stress (two of them) and hpa-example: programs that use what they are told to use."""

from __future__ import annotations

import re

from kuartui.embedded.meta import quantity
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
FILL_SECONDS = 0.5


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)([bkmg]?)", text.lower())
    return int(found[1]) * UNITS[found[2]] if found else 0


async def stress(process: Process) -> int:
    """stress --cpu N --vm N --vm-bytes 150M --vm-hang S --timeout S."""
    values = {"cpu": "0", "vm": "0", "vm-bytes": "256M", "timeout": "0", "io": "0", "vm-hang": "0"}
    short = {"c": "cpu", "m": "vm", "t": "timeout", "i": "io"}
    words = process.argv[1:]
    while words:
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        name = short.get(name, name)
        if name == "version":
            await process.out("stress 1.0.4\n")
            return 0
        if name in ("verbose", "v", "quiet", "q", "vm-keep"):
            continue
        values[name] = value if equals else words.pop(0) if words else ""
    cpu, vm = int(values["cpu"] or 0), int(values["vm"] or 0)
    await process.out(f"stress: info: [{process.pid}] dispatching hogs: {cpu} cpu, {values['io']} io, {vm} vm, 0 hdd\n")
    process.container.cpu.steady(process.pid, cpu + 0.2 * vm)
    target = vm * _size(values["vm-bytes"])
    for _ in range(10 if target else 0):
        await process.clock.sleep(FILL_SECONDS / 10)
        process.memory += target // 10
    seconds = float(values["timeout"].rstrip("s") or 0)
    await process.clock.sleep(seconds or 3.2e9)
    await process.out(f"stress: info: [{process.pid}] successful run completed in {seconds:g}s\n")
    return 0


_HOG_FLAGS = {"cpus": "0", "mem-total": "0", "mem-alloc-size": "4Ki", "mem-alloc-sleep": "1ms"}
_HOG_SWITCHES = ("logtostderr", "alsologtostderr")
_DURATIONS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HOG_STEPS = 100  # a huge sum in tiny chunks is not worth a wake-up for each of them


def _duration(text: str) -> float | None:
    """Seconds of a Go duration; None if it is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if text != "0" and "".join(number + unit for number, unit in parts) != (text or None):
        return None
    return sum(float(number) * _DURATIONS[unit] for number, unit in parts)


async def memory_hog(process: Process) -> int:
    """vish/stress: -cpus N, -mem-total Q in chunks of -mem-alloc-size Q, with -mem-alloc-sleep D after each."""
    values = dict(_HOG_FLAGS)
    words = process.argv[1:]
    while words and words[0].startswith("-"):
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        if name in _HOG_SWITCHES:
            continue
        if name not in values:
            await process.err(f"flag provided but not defined: -{name}\nUsage of {process.argv[0]}:\n")
            await process.err("".join(f"  -{flag}\n" for flag in sorted(values)))
            return 2
        if not equals and not words:
            await process.err(f"flag needs an argument: -{name}\n")
            return 2
        values[name] = value if equals else words.pop(0)
    pause = _duration(values["mem-alloc-sleep"])
    if not values["cpus"].isdigit() or pause is None:
        wrong = "mem-alloc-sleep" if pause is None else "cpus"
        await process.err(f'invalid value "{values[wrong]}" for flag -{wrong}: parse error\n')
        return 2
    try:
        total, step = (quantity.parse(values[name]) for name in ("mem-total", "mem-alloc-size"))
    except quantity.QuantityError as error:
        await process.err(f"panic: cannot parse '{values['mem-total']}': {error}\n\ngoroutine 1 [running]:\n")
        return 2

    async def log(line: int, text: str) -> None:
        now = process.clock.now()
        await process.err(f"I{now:%m%d %H:%M:%S.%f} {process.pid:7d} main.go:{line}] {text}\n")

    chunks = f'in "{step}" chunks, with a {values["mem-alloc-sleep"]} sleep between allocations'
    await log(26, f'Allocating "{total}" memory, {chunks}')
    for _ in range(int(values["cpus"])):
        await log(39, "Spawning a thread to consume CPU")
    process.container.cpu.steady(process.pid, int(values["cpus"]))
    left = int(float(total) // float(step)) if float(step) else 0
    at_once = max(1, left // _HOG_STEPS) if pause < 1 else 1
    while left > 0:
        now = min(at_once, left)
        left -= now
        process.memory += now * int(float(step))
        await process.clock.sleep(pause * now)
    await log(29, f'Allocated "{total}" memory')
    await process.signals("TERM", "INT").get()
    return 2


async def hpa_example(process: Process) -> int:
    """registry.k8s.io/hpa-example: Apache with a page that computes a million square roots."""

    async def app(request: Request) -> Response:
        await process.compute(0.05)
        return reply(200, "OK!", "text/html; charset=UTF-8")

    process.listen(80, server(app, name="Apache/2.4.10 (Debian)"))
    await process.err("AH00558: apache2: Could not reliably determine the server's fully qualified domain name\n")
    await process.signals("TERM", "WINCH").get()
    return 0


async def pi(process: Process) -> int:
    """perl -Mbignum=bpi -wle 'print bpi(2000)': the Job of Kubernetes' documentation."""
    code = " ".join(process.argv[1:])
    found = re.search(r"bpi\((\d+)\)", code)
    if not found:
        await process.err("perl: this image computes pi only (print bpi(N))\n")
        return 1
    digits = min(int(found[1]), 5000)
    await process.compute(digits / 400)
    await process.out(_pi(digits) + "\n")
    return 0


def _pi(digits: int) -> str:
    """Machin's formula in integers."""
    unity: int = 10 ** (digits + 10)

    def arctan(inverse: int) -> int:
        term: int = unity // inverse
        total = term
        square, number, sign = inverse * inverse, 3, -1
        while term:
            term //= square
            total += sign * (term // number)
            number, sign = number + 2, -sign
        return total

    text = str(4 * (4 * arctan(5) - arctan(239)) // 10**10)
    return f"{text[0]}.{text[1:digits]}"
