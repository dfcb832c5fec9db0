"""stat: what is known of a file, or of the file system that it is on."""

from __future__ import annotations

import re
import stat as modes
from datetime import UTC, datetime

from kuartui.embedded.images.applets.filesystem import KINDS
from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.files import Stat
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.users import group_name, user_name

TYPES = {"overlay": "overlayfs", "tmpfs": "tmpfs", "ext4": "ext2/ext3", "nfs": "nfs"}
BLOCK = 4096


async def stat(process: Process) -> int:
    """stat [-L] [-t] [-f] [-c FORMAT] FILE…"""
    options, names = await parse(process, "Lftc:", ("format=", "dereference", "file-system", "printf="))
    given = options.get("c") or options.get("format")
    whole = "f" in options or "file-system" in options
    code = 0
    for name in names:
        path = process.path(name)
        try:
            look = process.files.stat if "L" in options or "dereference" in options or whole else process.files.lstat
            found = look(path, process.user)
        except OSError as error:
            gnu = process.container.spec.image.distribution not in ("busybox", "alpine")
            what = f"cannot statx '{name}'" if gnu else f"can't stat '{name}'"
            await process.err(f"stat: {what}: {error.strerror}\n")
            code = 1
            continue
        known = _of_system(process, name, path) if whole else _of_file(process, name, path, found)
        form = given or (SYSTEM if whole else LINK if found.kind == "symlink" else FILE)
        await process.out(_filled(form, known) + "\n")
    return code


FILE = """\
  File: %n
  Size: %s\t\tBlocks: %b          IO Block: %o   %F
Device: 2eh/46d\tInode: %i     Links: %h
Access: (%4a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)
Access: %x
Modify: %y
Change: %z"""
LINK = FILE.replace("%n", "%N", 1)
SYSTEM = """\
  File: "%n"
    ID: 0        Namelen: 255     Type: %T
Block size: %s
Blocks: Total: %b    Free: %f    Available: %f"""


def _filled(form: str, known: dict[str, str]) -> str:
    def shown(match: re.Match[str]) -> str:
        width, text = match[1], known.get(match[2], "?")
        return text.rjust(int(width), "0" if match[2] == "a" else " ") if width else text

    return re.sub(r"%(\d*)(\w)", shown, form)


def _of_file(process: Process, name: str, path: str, found: Stat) -> dict[str, str]:
    image = process.container.spec.image
    mode = 0o777 if found.kind == "symlink" else found.mode
    empty = "regular empty file" if not found.size else "regular file"
    when = datetime.fromtimestamp(found.modified, UTC) if found.modified else process.container.created_at
    text, seconds = f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond:06d}000 +0000", str(int(when.timestamp()))
    target = f" -> '{process.files.readlink(path)}'" if found.kind == "symlink" else ""
    return {
        "n": name,
        "N": f"'{name}'{target}" if target else name,
        "a": f"{mode:o}",
        "A": modes.filemode(KINDS[found.kind] | mode),
        "f": f"{KINDS[found.kind] | mode:x}",
        "F": {"directory": "directory", "symlink": "symbolic link"}.get(found.kind, empty),
        "s": str(found.size),
        "b": str((found.size + BLOCK - 1) // BLOCK * 8),
        "B": "512",
        "o": str(BLOCK),
        "u": str(found.uid),
        "U": user_name(image, found.uid) or "UNKNOWN",
        "g": str(found.gid),
        "G": group_name(image, found.gid) or "UNKNOWN",
        "h": "2" if found.is_dir else "1",
        "i": str(abs(hash(process.files.real(path, last=False))) % 10**6),
        "m": process.files.mount_of(process.files.real(path))[0].path,
        **dict.fromkeys("xyz", text),
        **dict.fromkeys("XYZ", seconds),
    }


def _of_system(process: Process, name: str, path: str) -> dict[str, str]:
    point, _ = process.files.mount_of(process.files.real(path))
    kind, total = point.type, point.size(process.container.sandbox.node_memory)
    free = max(0, total - point.volume.used())
    return {"n": name, "T": TYPES.get(kind, kind), "s": str(BLOCK), "b": str(total // BLOCK), "f": str(free // BLOCK)}
