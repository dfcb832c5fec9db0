"""ls, touch, tail, df, mount, chown: file commands for which the sandboxed shell knows too little (owners, mounts, time)."""

from __future__ import annotations

import os
import posixpath
import stat as modes
from datetime import UTC, datetime

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.files import Stat
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.users import group_name, user_name

KINDS = {"directory": modes.S_IFDIR, "file": modes.S_IFREG, "symlink": modes.S_IFLNK}
HOG_BYTES_PER_SECOND = 200 << 20


async def ls(process: Process) -> int:
    """ls [-alAh1RdrtSL] [paths]."""
    options, names = await parse(
        process, "1alAhRdFrtSnioLpCs", ("color=", "color", "full-time", "group-directories-first")
    )
    code = 0
    plain: list[str] = []
    directories: list[str] = []
    for name in names or ["."]:
        try:
            follows = "l" not in options or "L" in options
            found = process.files.stat(process.path(name)) if follows else _follow(process, name)
        except OSError as error:
            gnu = _is_gnu(process)
            await process.err(
                f"ls: cannot access '{name}': {error.strerror}\n" if gnu else f"ls: {name}: {error.strerror}\n"
            )
            code = 2 if gnu else 1
            continue
        (directories if found.is_dir and "d" not in options else plain).append(name)
    await _list(process, options, _ordered(process, options, plain, ""), "")
    directories = _ordered(process, options, directories, "")
    many = len(directories) + len(plain) > 1 or "R" in options
    first = not plain
    while directories:
        name = directories.pop(0)
        path = process.path(name)
        if many:
            await process.out(("" if first else "\n") + f"{name}:\n")
        first = False
        try:
            inside = process.files.listdir(path, process.user)
        except OSError as error:
            await process.err(f"ls: can't open '{name}': {error.strerror}\n")
            code = 1
            continue
        if "a" in options:
            inside = [".", "..", *inside]
        elif "A" not in options:
            inside = [entry for entry in inside if not entry.startswith(".")]
        if "l" in options:
            await process.out(
                f"total {sum(_blocks(process, posixpath.join(path, entry), options) for entry in inside)}\n"
            )
        await _list(process, options, _ordered(process, options, inside, path), path)
        if "R" in options:
            below = [entry for entry in inside if entry not in (".", "..")]
            directories = [
                posixpath.join(name, entry) for entry in below if _is_real_dir(process, posixpath.join(path, entry))
            ] + directories
    return code


def _follow(process: Process, name: str) -> Stat:
    path = process.path(name)
    found = process.files.lstat(path)
    return process.files.stat(path) if name.endswith("/") and found.kind == "symlink" else found


def _shown(process: Process, path: str, options: dict[str, str]) -> Stat:
    """What is told of a name: with -L what a link leads to, if it leads anywhere."""
    found = process.files.lstat(path)
    if "L" in options and found.kind == "symlink":
        try:
            return process.files.stat(path)
        except OSError:
            return found
    return found


def _is_real_dir(process: Process, path: str) -> bool:
    return process.files.lstat(path).is_dir


def _blocks(process: Process, path: str, options: dict[str, str]) -> int:
    found = _shown(process, path, options)
    return 4 if found.is_dir else 0 if found.kind == "symlink" else (found.size + 4095) // 4096 * 4


def _path_of(process: Process, name: str, directory: str) -> str:
    return posixpath.join(directory, name) if directory else process.path(name)


def _ordered(process: Process, options: dict[str, str], names: list[str], directory: str) -> list[str]:
    """By name, whatever their order on the command line was; -t, -S and -r as asked for."""
    names = sorted(names)
    if "t" in options:
        names.sort(key=lambda name: -process.files.lstat(_path_of(process, name, directory)).modified)
    elif "S" in options:
        names.sort(key=lambda name: -process.files.lstat(_path_of(process, name, directory)).size)
    return names[::-1] if "r" in options else names


async def _list(process: Process, options: dict[str, str], names: list[str], directory: str) -> None:
    paths = {name: _path_of(process, name, directory) for name in names}
    if not names:
        return
    if "l" in options:
        await process.out(_table(process, [_long(process, name, paths[name], options) for name in names]))
    elif process.terminal is not None and "1" not in options:
        await process.out(_columns(names, process.terminal.columns))
    else:
        await process.out("".join(name + "\n" for name in names))


def _is_gnu(process: Process) -> bool:
    return process.container.spec.image.distribution not in ("busybox", "alpine")


def _table(process: Process, rows: list[list[str]]) -> str:
    """Rows of `ls -l`: BusyBox has columns of a fixed width, GNU's are as wide as they need to be."""
    wide = [4, 8, 8, 9]
    if _is_gnu(process):
        wide = [max(len(row[column]) for row in rows) for column in range(1, 5)]
    return "".join(
        f"{mode} {links:>{wide[0]}} {owner:<{wide[1]}} {group:<{wide[2]}} {size:>{wide[3]}} {rest}\n"
        for mode, links, owner, group, size, rest in rows
    )


def _long(process: Process, name: str, path: str, options: dict[str, str]) -> list[str]:
    """Mode, links, owner, group, size, and the rest of a line."""
    found = _shown(process, path, options)
    image = process.container.spec.image
    links = 2 if found.is_dir else 1
    owner = str(found.uid) if "n" in options else user_name(image, found.uid) or str(found.uid)
    group = str(found.gid) if "n" in options else group_name(image, found.gid) or str(found.gid)
    size = _human(found.size) if "h" in options else str(found.size)
    when = datetime.fromtimestamp(found.modified, UTC) if found.modified else process.container.created_at
    arrow = f" -> {process.files.readlink(path)}" if found.kind == "symlink" else ""
    mode = modes.filemode(KINDS[found.kind] | (0o777 if found.kind == "symlink" else found.mode))
    return [mode, str(links), owner, group, size, f"{when:%b %e %H:%M} {name}{arrow}"]


def _human(size: float) -> str:
    for unit in ("", "K", "M", "G"):
        if size < 1024 or unit == "G":
            return f"{size:.1f}{unit}" if unit else f"{int(size)}"
        size /= 1024
    return ""


def _columns(names: list[str], width: int) -> str:
    wide = max(map(len, names)) + 2
    across = max(1, width // wide)
    rows = -(-len(names) // across)
    lines = []
    for row in range(rows):
        line = "".join(name.ljust(wide) for name in names[row::rows])
        lines.append(line.rstrip() + "\n")
    return "".join(lines)


async def touch(process: Process) -> int:
    """touch files."""
    options, names = await parse(process, "acmd:t:r:h", ("no-create",))
    gnu = _is_gnu(process)
    code = 0
    for name in names:
        path = process.path(name)
        if ("c" in options or "no-create" in options) and not process.files.exists(path):
            continue
        try:
            process.files.touch(path, process.user)
        except OSError as error:
            await process.err(
                f"touch: cannot touch '{name}': {error.strerror}\n" if gnu else f"touch: {name}: {error.strerror}\n"
            )
            code = 1
    return code


async def chown(process: Process) -> int:
    """chown [-R] USER[:GROUP] files."""
    _, rest = await parse(process, "Rhvc")
    if len(rest) < 2:
        await process.err("BusyBox v1.36.1 multi-call binary.\n\nUsage: chown [-Rh]... USER[:[GRP]] FILE...\n")
        return 1
    image = process.container.spec.image
    who, _, group = rest[0].replace(".", ":").partition(":")
    names = {user_name(image, uid): uid for uid in range(1000)} if not who.isdigit() and who else {}
    uid = int(who) if who.isdigit() else names.get(who, -1)
    if who and uid < 0:
        await process.err(f"chown: unknown user {who}\n")
        return 1
    groups = {group_name(image, gid): gid for gid in range(1000)} if group and not group.isdigit() else {}
    gid = int(group) if group.isdigit() else groups.get(group, -1)
    code = 0
    for name in rest[1:]:
        path = process.path(name)
        below = list(process.files.walk(path)) if "-R" in process.argv[1] and process.files.is_dir(path) else []
        for target in (path, *below):
            try:
                found = process.files.stat(target)
                owner, owning = uid if who else found.uid, gid if gid >= 0 else found.gid
                process.files.chown(target, owner, owning, process.user)
            except OSError as error:
                await process.err(f"chown: {name}: {error.strerror}\n")
                code = 1
    return code


async def tee(process: Process) -> int:
    """tee [-a] [files]: what comes in goes out and into the files as it comes."""
    options, names = await parse(process, "ai", ("append", "ignore-interrupts"))
    append = "a" in options or "append" in options
    code, kept, outputs = 0, [], [process.stdout]
    for name in names:
        if name in ("/dev/stdout", "/dev/stderr"):
            outputs.append(process.stdout if name.endswith("out") else process.stderr)
            continue
        try:
            process.files.write(process.path(name), b"", process.user, append=append)
            kept.append(process.path(name))
        except OSError as error:
            await process.err(f"tee: {name}: {error.strerror}\n")
            code = 1
    while data := await process.stdin.read():
        for path in kept:
            process.files.write(path, data, process.user, append=True)
        for output in outputs:
            await output(data)
    return code


async def tail(process: Process) -> int:
    """tail [-f] [-n N] [-c N] [files]; -f follows on the cluster's clock."""
    argv = process.argv
    if len(argv) > 1 and argv[1][:1] == "-" and argv[1][1:].isdigit():
        process.argv = [argv[0], "-n", argv[1][1:], *argv[2:]]
    options, names = await parse(process, "fFn:c:qv", ("follow", "lines=", "retry"))
    count = options.get("n") or options.get("lines") or "10"
    follow = "f" in options or "F" in options or "follow" in options
    seen: dict[str, int] = {}
    code = 0
    for name in names or ["-"]:
        path = process.path(name)
        if path == "/dev/zero":
            await _hog(process)
        if path == "/dev/null" and follow:
            seen[name] = 0
            continue
        try:
            data = process.read(name) if name != "-" else await _all(process)
        except OSError as error:
            await process.err(f"tail: can't open '{name}': {error.strerror}\n")
            code = 1
            continue
        seen[name] = len(data)
        if len(names) > 1:
            await process.out(f"==> {name} <==\n")
        await process.stdout(_last(data, count) if "c" not in options else data[-int(options["c"]) :])
    retry = "F" in options or "retry" in options
    if not seen and not (follow and retry):
        await process.err("tail: no files\n")
        return 1
    if not follow:
        return code
    while True:
        await process.clock.sleep(1.0)
        for name in names:
            await _more(process, name, seen, tells=retry)


async def _more(process: Process, name: str, seen: dict[str, int], *, tells: bool) -> None:
    """Print what a followed file got; with -F tell when it comes and goes."""
    path = process.path(name)
    try:
        size = process.files.stat(path).size
        if size == seen.get(name):
            return
        data = process.files.read(path)
    except OSError as error:
        if tells and name in seen:
            await process.err(f"tail: {name} has been renamed or deleted: {error.strerror}\n")  # each time it looks
        return
    if tells and name not in seen:
        await process.err(f"tail: {name} has appeared; following end of new file\n")
    await process.stdout(data[seen.get(name, 0) :] if size > seen.get(name, 0) else data)
    seen[name] = size


async def _all(process: Process) -> bytes:
    chunks = []
    while data := await process.stdin.read():
        chunks.append(data)
    return b"".join(chunks)


def _last(data: bytes, count: str) -> bytes:
    lines = data.splitlines(keepends=True)
    if count.startswith("+"):
        return b"".join(lines[max(0, int(count[1:]) - 1) :])
    wanted = int(count)
    return b"".join(lines[-wanted:]) if wanted else b""


async def _hog(process: Process) -> None:
    """`tail /dev/zero` keeps all it read: the shortest way to run out of memory."""
    process.container.cpu.steady(process.pid, 1.0)
    while True:
        await process.clock.sleep(0.1)
        process.memory += HOG_BYTES_PER_SECOND // 10


async def head(process: Process) -> int:
    """head [-n N] [-c N] [files]; devices give what they give."""
    argv = process.argv
    if len(argv) > 1 and argv[1][:1] == "-" and argv[1][1:].isdigit():
        process.argv = [argv[0], "-n", argv[1][1:], *argv[2:]]
    options, names = await parse(process, "n:c:qv", ("lines=", "bytes="))
    size = int(options.get("c") or options.get("bytes") or 0)
    count = int(options.get("n") or options.get("lines") or 10)
    code = 0
    for name in names or ["-"]:
        if len(names) > 1 and "q" not in options:
            await process.out(f"==> {name} <==\n")
        device = process.path(name)
        if device in ("/dev/urandom", "/dev/random", "/dev/zero"):
            await process.stdout(bytes(size) if device == "/dev/zero" else os.urandom(min(size, 1 << 24)))
            continue
        try:
            data = process.read(name) if name != "-" else await _first(process, size, count)
        except OSError as error:
            await process.err(f"head: {name}: {error.strerror}\n")
            code = 1
            continue
        await process.stdout(data[:size] if size else b"".join(data.splitlines(keepends=True)[:count]))
    return code


async def _first(process: Process, size: int, count: int) -> bytes:
    data = b""
    while (len(data) < size if size else data.count(b"\n") < count) and (chunk := await process.stdin.read()):
        data += chunk
    return data


async def df(process: Process) -> int:
    """df [-h] [paths]."""
    options, names = await parse(process, "hkmTPi")
    human, memory = "h" in options, process.container.sandbox.node_memory
    await process.out(
        f"{'Filesystem':20s} {'Size' if human else '1K-blocks':>9s} {'Used':>9s} {'Available':>9s} Use% Mounted on\n"
    )
    wanted = {process.files.mount_of(process.files.real(process.path(name)))[0].path for name in names}
    for mount in process.files.mounts:
        if not mount.visible or (names and mount.path not in wanted):
            continue
        used, total = mount.volume.used() >> 10, mount.size(memory) >> 10
        sizes = [_human(n * 1024) if human else str(n) for n in (total, used, total - used)]
        await process.out(
            f"{mount.device:20s} {sizes[0]:>9s} {sizes[1]:>9s} {sizes[2]:>9s} {used * 100 // total:3d}% {mount.path}\n"
        )
    return 0


async def mount(process: Process) -> int:
    """mount: what is mounted; mounting itself needs a right that containers lack."""
    if len(process.argv) > 2:
        await process.err("mount: permission denied (are you root?)\n")
        return 1
    for point in process.files.mounts:
        if point.visible:
            device, path, kind, rights, *_ = point.line(process.container.sandbox.node_memory).split(" ")
            await process.out(f"{device} on {path} type {kind} ({rights})\n")
    return 0
