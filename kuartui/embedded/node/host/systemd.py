"""systemctl and journalctl of a node: its kubelet can be looked at, stopped and started, and what it logged can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kuartui.embedded.images.model import Program
from kuartui.embedded.node.host.system import KUBELET_COMMAND
from kuartui.embedded.node.journal import PIDS, Entry

if TYPE_CHECKING:
    from kuartui.embedded.node.kubelet import Kubelet
    from kuartui.embedded.node.runtime.process import Process

NOTES = 10  # lines of the journal that `status` shows
UNITS = {"kubelet": "kubelet: The Kubernetes Node Agent", "containerd": "containerd container runtime"}
STATE_CODES = {"active": 0, "inactive": 3}
CHANGES = ("start", "stop", "restart", "enable", "disable", "daemon-reload", "reload")
AGO = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
}


def systemctl(kubelet: Kubelet) -> Program:
    """systemctl status|is-active|is-enabled|cat|start|stop|restart UNIT, and list-units."""

    async def run(process: Process) -> int:
        words = [word for word in process.argv[1:] if not word.startswith("-")]
        verb, units = (words[0], words[1:]) if words else ("list-units", [])
        if verb == "daemon-reload":
            return 0
        if verb == "list-units":
            await process.out(_list(kubelet))
            return 0
        code = 0
        for unit in units:
            code = await _one(kubelet, process, verb, unit.removesuffix(".service")) or code
        return code

    return run


def _active(kubelet: Kubelet, unit: str) -> bool:
    return kubelet.powered if unit == "containerd" else kubelet.running


async def _one(kubelet: Kubelet, process: Process, verb: str, unit: str) -> int:
    if unit not in UNITS:
        return await _unknown(process, verb, unit)
    state = "active" if _active(kubelet, unit) else "inactive"
    match verb:
        case "status":
            await process.out(_status(kubelet, unit))
            return STATE_CODES[state]
        case "is-active":
            await process.out(f"{state}\n")
            return STATE_CODES[state]
        case "is-enabled":
            await process.out("enabled\n")
        case "cat" if unit == "kubelet":
            for path in (f"{unit}.service", f"{unit}.service.d/10-kubeadm.conf"):
                full = f"/usr/lib/systemd/system/{path}"
                await process.out(f"# {full}\n{process.read(full).decode(errors='replace')}\n")
        case "stop" | "restart" if unit == "kubelet":
            # not from the task of the very command: the kubelet that stops would have to wait for it
            await kubelet.pause(True)
            if verb == "restart":
                await kubelet.pause(False)
        case "start" if unit == "kubelet":
            await kubelet.pause(False)
        case _ if verb not in CHANGES:
            await process.err(f"Unknown command verb '{verb}'.\n")
            return 1
    return 0


async def _unknown(process: Process, verb: str, unit: str) -> int:
    match verb:
        case "status":
            await process.err(f"Unit {unit}.service could not be found.\n")
            return 4
        case "is-active":
            await process.out("inactive\n")
            return 4
        case "is-enabled":
            await process.out("not-found\n")
            return 4
    await process.err(f"Failed to {verb} {unit}.service: Unit {unit}.service not found.\n")
    return 5


def _list(kubelet: Kubelet) -> str:
    rows = [(f"{unit}.service", text) for unit, text in sorted(UNITS.items()) if _active(kubelet, unit)]
    lines = [f"  {unit:<18} loaded active running {text}" for unit, text in rows]
    return "\n".join(
        ["  UNIT               LOAD   ACTIVE SUB     DESCRIPTION", *lines, "", f"{len(rows)} loaded units listed.\n"]
    )


def _status(kubelet: Kubelet, unit: str) -> str:
    now, since = kubelet.services.clock.now(), kubelet.since
    active = _active(kubelet, unit)
    verb = "active (running)" if active else "inactive (dead)"
    lines = [
        f"{'●' if active else '○'} {unit}.service - {UNITS[unit]}",
        f"     Loaded: loaded (/usr/lib/systemd/system/{unit}.service; enabled; preset: enabled)",
        *(
            ["    Drop-In: /usr/lib/systemd/system/kubelet.service.d", "             └─10-kubeadm.conf"]
            if unit == "kubelet"
            else []
        ),
        f"     Active: {verb} since {since:%a %Y-%m-%d %H:%M:%S} UTC; {_ago((now - since).total_seconds())} ago",
    ]
    if active:
        command = KUBELET_COMMAND if unit == "kubelet" else "/usr/bin/containerd"
        lines += [
            f"   Main PID: {PIDS[unit]} ({unit})",
            f"     CGroup: /system.slice/{unit}.service",
            f"             └─{PIDS[unit]} {command}",
        ]
    notes = [_line(kubelet.name, entry) for entry in list(kubelet.services.journal.entries(unit))[-NOTES:]]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _ago(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}min {whole % 60}s" if whole < 600 else f"{whole // 60}min"
    return f"{whole // 3600}h {whole % 3600 // 60}min"


def journalctl(kubelet: Kubelet) -> Program:
    """journalctl [-u UNIT] [-n LINES] [-r] [-o cat|short] [--since TIME] [-f]."""

    async def run(process: Process) -> int:
        unit, count, newest, bare, since, follow = "", 0, False, False, None, False
        words = re.sub(r"(^|\s)(--\w+)=", r"\1\2 ", " ".join(process.argv[1:])).split(" ")
        if "--since" in words:
            at = words.index("--since")
            since = _moment(
                " ".join(word for word in words[at + 1 : at + 3] if word[:1] != "-"), kubelet.services.clock.now()
            )
        while words:
            word = words.pop(0)
            if word in ("-u", "--unit") and words:
                unit = words.pop(0).removesuffix(".service")
            elif re.fullmatch(r"-[fxerq]*u\w.*", word):
                unit = word.partition("u")[2]
            elif re.fullmatch(r"-[fxerq]*u", word) and words:
                newest, follow = "r" in word, "f" in word
                unit = words.pop(0).removesuffix(".service")
            elif word in ("-n", "--lines") and words:
                count = int(words.pop(0)) if words[0].isdigit() else 0
            elif re.fullmatch(r"-n\d+", word):
                count = int(word[2:])
            elif word in ("-o", "--output") and words:
                bare = words.pop(0) == "cat"
            elif word in ("-r", "--reverse"):
                newest = True
            elif word in ("-f", "--follow"):
                follow = True
        journal = kubelet.services.journal
        entries = [e for e in journal.entries(unit) if since is None or e.time >= since]
        count = count or (10 if follow else 0)
        shown = entries[-count:] if count else entries
        if not shown and not follow:
            await process.out("-- No entries --\n")
            return 0
        await process.out(_text(kubelet.name, reversed(shown) if newest else shown, bare))
        last = entries[-1] if entries else None
        while follow:
            await process.clock.sleep(1.0)
            entries = list(journal.entries(unit))
            fresh = entries[entries.index(last) + 1 :] if last in entries else entries
            await process.out(_text(kubelet.name, fresh, bare))
            last = entries[-1] if entries else None
        return 0

    return run


def _text(node: str, entries: Iterable[Entry], bare: bool) -> str:
    return "".join((entry.line() if bare else _line(node, entry)) + "\n" for entry in entries)


def _line(node: str, entry: Entry) -> str:
    return f"{entry.time:%b %d %H:%M:%S} {node} {entry.unit}[{PIDS[entry.unit]}]: {entry.line()}"


def _moment(text: str, now: datetime) -> datetime | None:
    """What --since means: "10 min ago", "-1h", "today", a date and a time. None if it is none of these."""
    text = text.strip(" \"'")
    if found := re.match(r"-?(\d+)\s*([a-z]+?)s?( ago)?$", text):
        return now - timedelta(seconds=int(found[1]) * AGO.get(found[2], 1))
    if text == "today":
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=now.tzinfo)
    except ValueError:
        return None
