"""stress and hpa-example: programs that use what they are told to use."""

from __future__ import annotations

import re

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
