"""true, false, echo, cat, test, env, id, hostname, …: what probes, hooks and execs run all the time, without a shell."""

from __future__ import annotations

import posixpath
import textwrap

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.files import EXECUTE, READ, WRITE
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.programs import NotExecutable
from kuartui.embedded.node.runtime.rootfs import set_uptime
from kuartui.embedded.node.runtime.spec import Credentials
from kuartui.embedded.node.runtime.users import group_name, resolve_user, user_ids, user_name


async def true(process: Process) -> int:
    """true."""
    return 0


async def false(process: Process) -> int:
    """false."""
    return 1


async def echo(process: Process) -> int:
    """echo [-neE] words."""
    words = process.argv[1:]
    newline, escapes = True, False
    while words and words[0][:1] == "-" and words[0][1:] and set(words[0][1:]) <= set("neE"):
        newline = newline and "n" not in words[0]
        escapes = "e" in words[0]
        words = words[1:]
    text = " ".join(words)
    if escapes:
        text = text.encode("latin-1", "backslashreplace").decode("unicode_escape")
    await process.out(text + ("\n" if newline else ""))
    return 0


async def pwd(process: Process) -> int:
    """pwd: the working directory, for who calls it without a shell."""
    await process.out(process.cwd + "\n")
    return 0


async def cat(process: Process) -> int:
    """cat [files]."""
    _, names = await parse(process, "uvenAbstT")
    code = 0
    gnu = process.container.spec.image.distribution not in ("busybox", "alpine")
    for name in names or ["-"]:
        if name == "-":
            while data := await process.stdin.read():
                await process.stdout(data)
            continue
        if process.path(name) == "/dev/zero":
            await _endless(process)
        if process.path(name) == "/proc/uptime":
            set_uptime(process.files, process.clock.monotonic())
        try:
            await process.stdout(process.read(name))
        except IsADirectoryError:
            await process.err(f"cat: {name}: Is a directory\n" if gnu else "cat: read error: Is a directory\n")
            code = 1
        except OSError as error:
            await process.err(
                f"cat: {name}: {error.strerror}\n" if gnu else f"cat: can't open '{name}': {error.strerror}\n"
            )
            code = 1
    return code


async def _endless(process: Process) -> None:
    process.container.cpu.steady(process.pid, 1.0)
    while True:
        await process.clock.sleep(3600)


async def test(process: Process) -> int:
    """test, [: the common forms."""
    words = process.argv[1:]
    if posixpath.basename(process.argv[0]) == "[":
        if not words or words[-1] != "]":
            await process.err("[: missing ]\n")
            return 2
        words = words[:-1]
    return 0 if _test(process, words) else 1


def _test(process: Process, words: list[str]) -> bool:
    for glue, combine in (("-o", any), ("-a", all)):
        if glue in words[1:-1]:
            at = words.index(glue, 1)
            return combine([_test(process, words[:at]), _test(process, words[at + 1 :])])
    match words:
        case []:
            return False
        case ["!", *rest]:
            return not _test(process, rest)
        case ["(", *inner, ")"]:
            return _test(process, inner)
        case [word]:
            return bool(word)
        case ["-z", word]:
            return not word
        case ["-n", word]:
            return bool(word)
        case [flag, name]:
            return _test_file(process, flag, process.path(name))
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case [left, "-nt" | "-ot" as operator, right]:
            ages = [_modified(process, name) for name in (left, right)]
            return ages[0] > ages[1] if operator == "-nt" else ages[0] < ages[1]
        case [left, "<" | ">" as operator, right]:
            return left < right if operator == "<" else left > right
        case [left, operator, right] if left.lstrip("-").isdigit() and right.lstrip("-").isdigit():
            a, b = int(left), int(right)
            known = {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}
            return known.get(operator, False)
    return False


def _modified(process: Process, name: str) -> float:
    try:
        return process.files.stat(process.path(name)).modified
    except OSError:
        return -1.0


def _test_file(process: Process, flag: str, path: str) -> bool:
    files = process.files
    if flag in ("-L", "-h"):
        try:
            return files.lstat(path).kind == "symlink"
        except OSError:
            return False
    rights = {"-r": READ, "-w": WRITE, "-x": EXECUTE}
    if flag in rights:
        return files.allowed(path, rights[flag], process.user)
    if flag == "-s":
        return files.exists(path) and files.stat(path).size > 0
    return {"-e": files.exists, "-f": files.is_file, "-d": files.is_dir}.get(flag, lambda _: False)(path)


async def env(process: Process) -> int:
    """env [-i] [-u NAME] [NAME=VALUE…] [command]."""
    words = process.argv[1:]
    variables = dict(process.env)
    while words:
        if words[0] in ("-i", "-"):
            variables = {}
        elif words[0] == "-u" and len(words) > 1:
            variables.pop(words.pop(1), None)
        elif "=" in words[0]:
            name, _, value = words[0].partition("=")
            variables[name] = value
        else:
            break
        words = words[1:]
    if not words:
        await process.out("".join(f"{name}={value}\n" for name, value in variables.items()))
        return 0
    try:
        return await process.run(words, env=variables)
    except NotExecutable as error:
        await process.err(f"env: can't execute '{words[0]}': No such file or directory\n")
        return error.code


async def printenv(process: Process) -> int:
    """printenv [names]."""
    names = process.argv[1:]
    if not names:
        return await env(process)
    missing = 0
    for name in names:
        if name in process.env:
            await process.out(process.env[name] + "\n")
        else:
            missing = 1
    return missing


async def hostname(process: Process) -> int:
    """hostname [-i|-s|-f]."""
    options, _ = await parse(process, "isfdI")
    name = process.container.sandbox.hostname
    if "i" in options or "I" in options:
        name = process.ip
    elif "s" in options:
        name = name.partition(".")[0]
    elif "f" in options or "d" in options:
        name = _qualified(process, name)
        name = name.partition(".")[2] if "d" in options else name
    await process.out(name + "\n")
    return 0


def _qualified(process: Process, name: str) -> str:
    """The first name in the line of /etc/hosts that has this one."""
    for line in process.files.read("/etc/hosts").decode(errors="replace").splitlines():
        names = line.partition("#")[0].split()[1:]
        if name in names:
            return names[0]
    return name


async def ident(process: Process) -> int:
    """id [-u|-g|-G|-n] [user]."""
    options, names = await parse(process, "ugGnr")
    user, image = process.user, process.container.spec.image
    if names:
        ids = user_ids(image, names[0])
        if ids is None:
            gnu = image.distribution not in ("busybox", "alpine")
            told = f"'{names[0]}': no such user" if gnu else f"unknown user {names[0]}"
            await process.err(f"id: {told}\n")
            return 1
        user = resolve_user(image, Credentials(uid=ids[0]))
    if "u" in options:
        text = (user_name(image, user.uid) or str(user.uid)) if "n" in options else str(user.uid)
    elif "g" in options:
        text = (group_name(image, user.gid) or str(user.gid)) if "n" in options else str(user.gid)
    elif "G" in options:
        text = " ".join(map(str, user.groups))
    else:
        text = f"uid={_named(user.uid, user_name(image, user.uid))} gid={_named(user.gid, group_name(image, user.gid))}"
        if user.groups:
            text += " groups=" + ",".join(_named(gid, group_name(image, gid)) for gid in user.groups)
    await process.out(text + "\n")
    return 0


def _named(number: int, name: str) -> str:
    return f"{number}({name})" if name else str(number)


async def whoami(process: Process) -> int:
    """whoami."""
    name = user_name(process.container.spec.image, process.user.uid)
    if not name:
        await process.err(f"whoami: unknown uid {process.user.uid}\n")
        return 1
    await process.out(name + "\n")
    return 0


async def which(process: Process) -> int:
    """which names."""
    code = 0
    for name in process.argv[1:]:
        for directory in process.env.get("PATH", "").split(":"):
            path = posixpath.join(directory, name)
            if process.files.is_file(path) and process.files.allowed(path, EXECUTE, process.user):
                await process.out(path + "\n")
                break
        else:
            code = 1
    return code


BUSYBOX = """BusyBox v1.36.1 (2024-06-10 07:11:47 UTC) multi-call binary.
BusyBox is copyrighted by many authors between 1998-2015.
Licensed under GPLv2. See source distribution for detailed
copyright notices.

Usage: busybox [function [arguments]...]
   or: busybox --list[-full]

Currently defined functions:
"""


async def busybox(process: Process) -> int:
    """busybox [--list] [APPLET arguments]: the program behind all the others of such an image."""
    words, image = process.argv[1:], process.container.spec.image
    applets = sorted(path.removeprefix("/bin/") for path in image.executables if path.startswith("/bin/"))
    if words[:1] in (["--list"], ["--list-full"]):
        prefix = "bin/" if words[0] == "--list-full" else ""
        await process.out("".join(f"{prefix}{name}\n" for name in applets if name != "busybox"))
        return 0
    if not words or words[0] == "--help":
        names = ", ".join(name for name in applets if name != "busybox")
        await process.out(BUSYBOX + textwrap.indent(textwrap.fill(names, 70), "\t") + "\n")
        return 0
    if words[0] not in applets:
        await process.err(f"{words[0]}: applet not found\n")
        return 127
    return await process.run(words)


async def nohup(process: Process) -> int:
    """nohup, setsid, nice, exec through: run the command as it is."""
    try:
        return await process.run(process.argv[1:])
    except NotExecutable as error:
        await process.err(f"{process.argv[0]}: can't execute '{process.argv[1]}': No such file or directory\n")
        return error.code
