"""apk and apt: there is no package mirror in the cluster, and they say so as they do without one."""

from __future__ import annotations

from kuartui.embedded.node.runtime.process import Process

MIRROR = "https://dl-cdn.alpinelinux.org/alpine/v3.22"


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
    await process.err("ERROR: unable to select packages:\n")
    for name in words[1:]:
        await process.err(f"  {name} (no such package):\n    required by: world[{name}]\n")
    return len(words[1:])


async def apt(process: Process) -> int:
    """apt, apt-get."""
    words = [word for word in process.argv[1:] if not word.startswith("-")]
    if words[:1] == ["update"]:
        for suite in ("bookworm", "bookworm-updates"):
            await process.out(f"Ign:1 http://deb.debian.org/debian {suite} InRelease\n")
            await process.out(
                f"Err:1 http://deb.debian.org/debian {suite} InRelease\n  Temporary failure resolving 'deb.debian.org'\n"
            )
        await process.err("W: Some index files failed to download. They have been ignored, or old ones used instead.\n")
        return 0
    await process.out("Reading package lists... Done\nBuilding dependency tree... Done\n")
    for name in words[1:]:
        await process.err(f"E: Unable to locate package {name}\n")
    return 100 if words[1:] else 0


async def vi(process: Process) -> int:
    """vi, nano: no full-screen editors here."""
    await process.err(
        f"{process.argv[0].rpartition('/')[2]}: no full-screen editor in this container; use sed, or edit outside and kubectl cp\n"
    )
    return 1
