"""apk and apt: there is no package mirror in the cluster, and they say so as they do without one."""

from __future__ import annotations

from collections.abc import Iterable

from kuartui.embedded.images.model import PATH
from kuartui.embedded.node.runtime.process import Process

MIRROR = "https://dl-cdn.alpinelinux.org/alpine/v3.22"

PROGRAMS = {
    "bind-tools": "dig",
    "bind9-dnsutils": "dig",
    "dnsutils": "dig",
    "iproute2": "ip",
    "iputils": "ping",
    "iputils-ping": "ping",
    "net-tools": "netstat",
    "netcat": "nc",
    "netcat-openbsd": "nc",
    "procps": "ps",
    "redis-tools": "redis-cli",
}
"""What a package is wanted for, where that has another name than the package."""
CURRENT = {"curl": "7.88.1-10+deb12u14", "wget": "1.21.3-1+deb12u1", "procps": "2:4.0.2-3"}
VERSION = "1.0-1"  # of all others


def _absent(process: Process, names: Iterable[str]) -> list[str]:
    """The packages that an image does not have: those whose program it lacks."""
    there = process.container.spec.image.on_path(process.env.get("PATH") or PATH)[1]
    return [name for name in names if PROGRAMS.get(name, name) not in there]


async def apk(process: Process) -> int:
    """apk add|update|info."""
    words = [word for word in process.argv[1:] if not word.startswith("-")]
    if words[:1] == ["info"]:
        await process.out("alpine-baselayout\nalpine-keys\napk-tools\nbusybox\nmusl\n")
        return 0
    for part in ("main", "community"):
        await process.out(f"fetch {MIRROR}/{part}/x86_64/APKINDEX.tar.gz\n")
        await process.err(f"WARNING: fetching {MIRROR}/{part}: temporary error (try again later)\n")
    if words[:1] == ["update"]:
        await process.err("4 unavailable, 0 stale; 14 distinct packages available\n")
        return 4
    absent = _absent(process, words[1:])
    if not absent:
        await process.out("OK: 9 MiB in 24 packages\n")
        return 0
    await process.err("ERROR: unable to select packages:\n")
    for name in absent:
        await process.err(f"  {name} (no such package):\n    required by: world[{name}]\n")
    return len(absent)


def _release(process: Process) -> tuple[str, str]:
    """Which distribution it is, and its code name, as /etc/os-release says."""
    try:
        lines = process.files.read("/etc/os-release").decode().splitlines()
    except OSError:
        lines = []
    told = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    return told.get("ID", "debian"), told.get("VERSION_CODENAME", "bookworm")


async def apt(process: Process) -> int:
    """apt, apt-get."""
    words = [word for word in process.argv[1:] if not word.startswith("-")]
    if words[:1] == ["update"]:
        name, suite = _release(process)
        host, path = ("archive.ubuntu.com", "ubuntu") if name == "ubuntu" else ("deb.debian.org", "debian")
        suites = [suite, f"{suite}-updates", f"{suite}-security" if name == "ubuntu" else f"{suite}-backports"]
        failure = f"Temporary failure resolving '{host}'"
        for number, one in enumerate(suites, 1):
            await process.out(f"Ign:{number} http://{host}/{path} {one} InRelease\n")
        for number, one in enumerate(suites, 1):
            await process.out(f"Err:{number} http://{host}/{path} {one} InRelease\n  {failure}\n")
        await process.out("Reading package lists... Done\n")
        for one in suites:
            await process.err(f"W: Failed to fetch http://{host}/{path}/dists/{one}/InRelease  {failure}\n")
        await process.err("W: Some index files failed to download. They have been ignored, or old ones used instead.\n")
        return 0
    await process.out("Reading package lists... Done\nBuilding dependency tree... Done\n")
    absent = _absent(process, words[1:])
    for name in absent:
        await process.err(f"E: Unable to locate package {name}\n")
    if absent:
        return 100
    for name in words[1:] if words[:1] == ["install"] else ():
        await process.out(f"{name} is already the newest version ({CURRENT.get(name, VERSION)}).\n")
    await process.out("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
    return 0


async def vi(process: Process) -> int:
    """vi, nano: no full-screen editors here."""
    await process.err(
        f"{process.argv[0].rpartition('/')[2]}: no full-screen editor in this container; use sed, or edit outside and kubectl cp\n"
    )
    return 1
