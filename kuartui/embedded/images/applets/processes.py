"""ps, top, kill, free: the container's process table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.host.system import KUBELET_COMMAND
from kuartui.embedded.node.journal import PIDS
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.pids import PAUSE_PID, numbered
from kuartui.embedded.node.runtime.process import SIGNAL_NUMBERS, Process
from kuartui.embedded.node.runtime.users import user_name

NAMES = {number: name for name, number in SIGNAL_NUMBERS.items()}


class Resident(Struct):
    """A process that is there before all containers, and that nobody can end."""

    pid: int
    argv: list[str]
    user: User = User()
    memory: int = 0

    def signal(self, name: str) -> None:
        """Nothing comes of it."""


Seen = Process | Resident


def _residents(process: Process) -> Iterator[Resident]:
    sandbox = process.container.sandbox
    if sandbox.host_processes:
        yield Resident(1, ["/sbin/init"])
        yield Resident(PIDS["containerd"], ["/usr/bin/containerd"])
        yield Resident(PIDS["kubelet"], KUBELET_COMMAND.split())
    elif sandbox.share_processes:
        yield Resident(PAUSE_PID, ["/pause"], User(65535, 65535))


def _pids(process: Process) -> dict[int, Seen]:
    """What one sees: the processes of the container, of the one or the pod whose namespace it shares, or of the node."""
    return {**{resident.pid: resident for resident in _residents(process)}, **numbered(process.container)}


async def ps(process: Process) -> int:
    """ps, as busybox (with -o) or procps print it."""
    image = process.container.spec.image
    rows = sorted(_pids(process).items())
    if image.distribution in ("busybox", "alpine"):
        return await _busybox_ps(process, rows)
    return await _procps(process, rows)


async def _procps(process: Process, rows: list[tuple[int, Seen]]) -> int:
    """As Debian's: plain, -f, -l, -o COLUMNS, or BSD's `aux`."""
    letters, wanted = "", []
    words = process.argv[1:]
    while words:
        word = words.pop(0)
        dashed, option = word.startswith("-"), word.lstrip("-")
        before, o, after = option.partition("o")
        if o and not (dashed and option.startswith("-")):
            wanted += (after or (words.pop(0) if words else "")).split(",")
        letters += before if dashed else before.replace("u", "U")
    if not wanted:
        layout = FULL if "f" in letters else BSD if "U" in letters else ("pid", "tty", "time", "name")
        wanted = list(LONG if "l" in letters else layout)
    columns = []
    for name in wanted:
        if name.partition("=")[0] not in PROCPS:
            await process.err(f'error: unknown user-defined format specifier "{name}"\n\nUsage:\n ps [options]\n')
            return 1
        columns.append((name.partition("=")[2] if "=" in name else None, PROCPS[name.partition("=")[0]]))
    lines = [[heading if heading is not None else column.heading for heading, column in columns]]
    lines += [[column.value(process, pid, other) for _, column in columns] for pid, other in rows]
    widths = [column.width for _, column in columns]
    for line in lines:
        cells = [
            cell.rjust(abs(width)) if width > 0 else cell.ljust(-width)
            for cell, width in zip(line, widths, strict=True)
        ]
        await process.out(" ".join(cells).rstrip() + "\n")
    return 0


def _minutes(process: Process, other: Seen) -> str:
    spent = int(process.container.cpu.total()) if other.pid == 1 else 0
    return f"{spent // 60:d}:{spent % 60:02d}"


def _become(process: Seen) -> Seen:
    """What runs there now: a shell may have become another program."""
    while isinstance(process, Process) and process.replaced_by is not None:
        if process.replaced_by.pid not in process.container.processes:
            break
        process = process.replaced_by
    return process


def _name(process: Seen) -> str:
    return _become(process).argv[0].rpartition("/")[2]


def _command(process: Seen) -> str:
    """Its arguments in one line: control characters are shown as spaces, as busybox and procps do."""
    become = _become(process)
    title = become.title if isinstance(become, Process) else ""
    return "".join(" " if char < " " else char for char in title or " ".join(become.argv))


COLUMNS: dict[str, tuple[int, str, Callable[[Process, int, Seen], str]]] = {
    "pid": (5, "PID", lambda process, pid, other: f"{pid:5d}"),
    "user": (8, "USER", lambda process, pid, other: _user(process, other)),
    "group": (8, "GROUP", lambda process, pid, other: _user(process, other)),
    "time": (5, "TIME", lambda process, pid, other: f"{_minutes(process, other):>5s}"),
    "args": (0, "COMMAND", lambda process, pid, other: _command(other)),
    "comm": (16, "COMMAND", lambda process, pid, other: _name(other)[:15]),
    "rss": (4, "RSS", lambda process, pid, other: f"{_become(other).memory >> 10:4d}"),
    "vsz": (4, "VSZ", lambda process, pid, other: f"{_become(other).memory >> 9:4d}"),
    "stat": (4, "STAT", lambda process, pid, other: "R" if _become(other) is process else "S"),
}
"""busybox's columns (procps/ps.c): width, heading, value."""


def _user(process: Process, other: Seen) -> str:
    return user_name(process.container.spec.image, other.user.uid) or str(other.user.uid)


class Column(Struct, frozen=True):
    """A column of procps; a negative width is aligned to the left."""

    heading: str
    width: int
    value: Callable[[Process, int, Seen], str]


def _short_user(process: Process, other: Seen) -> str:
    name = _user(process, other)
    return name if len(name) <= 8 else name[:7] + "+"


def _parent(other: Seen) -> int:
    parent = other.parent if isinstance(other, Process) else None
    return parent.pid if parent is not None else 0


def _began(process: Process, other: Seen) -> datetime:
    lived = process.clock.monotonic() - other.started if isinstance(other, Process) else 0.0
    return process.clock.now() - timedelta(seconds=lived)


def _lived(process: Process, other: Seen) -> str:
    seconds = int((process.clock.now() - _began(process, other)).total_seconds())
    hours = seconds // 3600
    return (f"{hours:02d}:" if hours else "") + f"{seconds // 60 % 60:02d}:{seconds % 60:02d}"


_ARGS = Column("COMMAND", -1, lambda process, pid, other: _command(other))
_CMD = Column("CMD", -1, lambda process, pid, other: _command(other))
PROCPS = {
    "pid": Column("PID", 7, lambda process, pid, other: str(pid)),
    "ppid": Column("PPID", 7, lambda process, pid, other: str(_parent(other))),
    "uid": Column("UID", 5, lambda process, pid, other: str(other.user.uid)),
    "gid": Column("GID", 5, lambda process, pid, other: str(other.user.gid)),
    "user": Column("USER", -8, lambda process, pid, other: _short_user(process, other)),
    "owner": Column("UID", -8, lambda process, pid, other: _short_user(process, other)),
    "tty": Column("TTY", -8, lambda process, pid, other: "?"),
    "time": Column("TIME", 8, lambda process, pid, other: "00:00:00"),
    "minutes": Column("TIME", 6, lambda process, pid, other: _minutes(process, other)),
    "name": Column("CMD", -1, lambda process, pid, other: _name(other)[:15]),
    "comm": Column("COMMAND", -15, lambda process, pid, other: _name(other)[:15]),
    "args": _ARGS,
    "command": _ARGS,
    "cmd": _CMD,
    "stat": Column(
        "STAT", -4, lambda process, pid, other: "R" if _become(other) is process else "Ss" if pid == 1 else "S"
    ),
    "state": Column("S", -1, lambda process, pid, other: "R" if _become(other) is process else "S"),
    "stime": Column("STIME", 5, lambda process, pid, other: f"{_began(process, other):%H:%M}"),
    "start": Column("START", -7, lambda process, pid, other: f"{_began(process, other):%H:%M}"),
    "etime": Column("ELAPSED", 11, lambda process, pid, other: _lived(process, other)),
    "%cpu": Column("%CPU", 4, lambda process, pid, other: "0.0"),
    "%mem": Column("%MEM", 4, lambda process, pid, other: "0.0"),
    "rss": Column("RSS", 5, lambda process, pid, other: str(_become(other).memory >> 10)),
    "vsz": Column("VSZ", 6, lambda process, pid, other: str(_become(other).memory >> 9)),
    "sz": Column("SZ", 5, lambda process, pid, other: str(_become(other).memory >> 11)),
    "flags": Column("F", 1, lambda process, pid, other: "4" if pid == 1 else "0"),
    "c": Column("C", 2, lambda process, pid, other: "0"),
    "pri": Column("PRI", 3, lambda process, pid, other: "80"),
    "ni": Column("NI", 3, lambda process, pid, other: "0"),
    "addr": Column("ADDR", -4, lambda process, pid, other: "-"),
    "wchan": Column("WCHAN", -6, lambda process, pid, other: "-"),
}
FULL = ("owner", "pid", "ppid", "c", "stime", "tty", "time", "cmd")
LONG = (
    "flags",
    "state",
    "owner",
    "pid",
    "ppid",
    "c",
    "pri",
    "ni",
    "addr",
    "sz",
    "wchan",
    "stime",
    "tty",
    "time",
    "cmd",
)
BSD = ("user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "minutes", "args")


async def _busybox_ps(process: Process, rows: list[tuple[int, Seen]]) -> int:
    options, _ = await parse(process, "o:TaAdefl")
    names = options.get("o", "pid,user,time,args").split(",")
    wanted: list[tuple[int, str, Callable[[Process, int, Seen], str]]] = []
    for word in names:
        name, _, heading = word.partition("=")
        if name not in COLUMNS:
            await process.err(f"ps: bad -o argument '{name}', supported arguments: {','.join(COLUMNS)}\n")
            return 1
        width, usual, value = COLUMNS[name]
        wanted.append((width, heading if "=" in word else usual, value))
    lines = [" ".join(f"{heading:<{width}s}" for width, heading, _ in wanted)]
    for pid, other in rows:
        lines.append(" ".join(f"{value(process, pid, other):<{width}s}" for width, _, value in wanted))
    await process.out("\n".join(line.rstrip() for line in lines) + "\n")
    return 0


async def top(process: Process) -> int:
    """top -b -n 1: one picture (in a terminal, refreshed until Ctrl-C)."""
    options, _ = await parse(process, "bn:d:H")
    rounds = int(options.get("n", "0") or 0) or (10**9 if process.terminal else 1)
    image = process.container.spec.image
    for number in range(rounds):
        if number:
            await process.clock.sleep(float(options.get("d", 5)))
        usage = process.container.usage()
        share = usage.cpu_nanocores / 1e9 / process.container.sandbox.cores * 100
        lines = [
            f"Mem: {usage.memory_bytes >> 10}K used, {process.container.sandbox.node_memory >> 10}K free, 0K shrd",
            f"CPU: {share:3.0f}% usr   0% sys   0% nic {100 - share:3.0f}% idle",
            "Load average: 0.00 0.00 0.00 1/200 1",
            "  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND",
        ]
        for pid, other in sorted(_pids(process).items()):
            user = user_name(image, other.user.uid) or str(other.user.uid)
            lines.append(
                f"{pid:5d}     0 {user:<8s} S    {other.memory >> 10:6d}   0%   0 {share:3.0f}% {_command(other)}"
            )
        start = "\x1b[H\x1b[J" if process.terminal else ""
        await process.out(start + "\n".join(lines) + "\n")
    return 0


async def kill(process: Process) -> int:
    """kill [-s SIG|-SIG] pids. A container's first process ignores what it does not handle, KILL from inside too."""
    words = process.argv[1:]
    name = "TERM"
    if words[:1] == ["-l"]:
        await process.out("".join(f"{number:2d}) {signal}\n" for signal, number in SIGNAL_NUMBERS.items()))
        return 0
    if words[:1] == ["-s"] and len(words) > 1:
        name, words = words[1], words[2:]
    elif words and words[0].startswith("-") and len(words[0]) > 1:
        name, words = words[0][1:], words[1:]
    name = NAMES.get(int(name), "TERM") if name.isdigit() and name != "0" else name.upper().removeprefix("SIG")
    if not words:
        await process.err("kill: you need to specify whom to kill\n")
        return 1
    code = 0
    for word in words:
        other = _pids(process).get(int(word)) if word.isdigit() else None
        if other is None:
            await process.err(f"kill: can't kill pid {word}: No such process\n")
            code = 1
        elif name not in ("0", "KILL") or (name == "KILL" and other.pid != 1):
            other.signal(name)
    return code


async def free(process: Process) -> int:
    """free [-m]."""
    options, _ = await parse(process, "bkmgh")
    unit = 20 if "m" in options or "h" in options else 30 if "g" in options else 10
    total = process.container.sandbox.node_memory >> unit
    used = process.container.usage().memory_bytes >> unit
    await process.out(
        "              total        used        free      shared  buff/cache   available\n"
        f"Mem:     {total:10d}  {used:10d}  {total - used:10d}           0           0  {total - used:10d}\n"
        "Swap:             0           0           0\n"
    )
    return 0


def _others(process: Process) -> list[tuple[int, Seen]]:
    return [(pid, other) for pid, other in sorted(_pids(process).items()) if _become(other) is not process]


def _named(process: Process, name: str) -> list[tuple[int, Seen]]:
    """Processes of programs of just this name."""
    return [(pid, other) for pid, other in _others(process) if _name(other) == name]


def _like(process: Process, pattern: str, *, full: bool) -> list[tuple[int, Seen]]:
    """Processes whose name, or with `full` whose arguments, a regular expression finds. Raises re.error."""
    text = _command if full else _name
    return [(pid, other) for pid, other in _others(process) if re.search(pattern, text(other))]


async def pidof(process: Process) -> int:
    """pidof name."""
    found = _named(process, process.argv[-1])
    if found:
        await process.out(" ".join(str(pid) for pid, _ in reversed(found)) + "\n")
    return 0 if found else 1


async def pgrep(process: Process) -> int:
    """pgrep [-f] name: of the program, or with -f part of all its arguments."""
    try:
        found = _like(process, process.argv[-1], full="-f" in process.argv)
    except re.error as error:
        await process.err(f"pgrep: bad regex '{process.argv[-1]}': {error}\n")
        return 2
    await process.out("".join(f"{pid}\n" for pid, _ in found))
    return 0 if found else 1


async def pkill(process: Process) -> int:
    """pkill, killall [-SIG] name."""
    name = "TERM"
    words, full = process.argv[1:], False
    while words and words[0].startswith("-"):
        flag = words.pop(0)[1:]
        full = full or flag == "f"
        if flag == "s" and words:
            flag = words.pop(0)
        if flag.isdigit():
            name = NAMES.get(int(flag), "TERM")
        elif flag.upper().removeprefix("SIG") in SIGNAL_NUMBERS:
            name = flag.upper().removeprefix("SIG")
    try:
        found = [
            other
            for word in words
            for _, other in (_named(process, word) if "killall" in process.argv[0] else _like(process, word, full=full))
        ]
    except re.error as error:
        await process.err(f"pkill: bad regex '{words[0]}': {error}\n")
        return 2
    for other in found:
        if name != "KILL" or other.pid != 1:
            other.signal(name)
    if not found and "killall" in process.argv[0]:
        await process.err("".join(f"killall: {word}: no process killed\n" for word in words))
    return 0 if found else 1


async def killall(process: Process) -> int:
    """killall [-SIG] names."""
    return await pkill(process)
