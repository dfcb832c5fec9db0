"""tar, as `kubectl cp` uses it from inside, and for players who use it themselves."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator

from kuartui.embedded.node.runtime.process import Process, ProcessExit

TAKES_VALUE = "fCTX"


async def tar(process: Process) -> int:
    """tar c|x|t [zvmphO] [-f FILE] [-C DIR] [--strip-components=N] [names]."""
    flags, values, names = _parse(process.argv[1:])
    base = process.path(values.get("C", ""))
    if "C" in values and not process.files.is_dir(base):
        if _gnu(process):
            await process.err(f"tar: {values['C']}: Cannot open: No such file or directory\n")
            await process.err("tar: Error is not recoverable: exiting now\n")
            return 2
        await process.err(f"tar: can't change directory to '{values['C']}': No such file or directory\n")
        return 1
    where = values.get("f", "-")
    try:
        if "c" in flags:
            return await _create(process, flags, base, where, names)
        if "x" in flags or "t" in flags:
            data = await _input(process, where)
            strip = int(values.get("strip-components", "0"))
            return await _extract(process, flags, base, data, names, strip)
    except tarfile.TarError:
        await process.err("tar: short read\n")
        return 1
    await process.err(
        "BusyBox v1.36.1 multi-call binary.\n\nUsage: tar c|x|t [-zvmhpO] [-f TARFILE] [-C DIR] [FILE]...\n"
    )
    return 1


def _gnu(process: Process) -> bool:
    """Whether the image has GNU tar rather than busybox'."""
    return "ash" not in process.container.spec.image.shells.values()


async def _missing(process: Process, name: str) -> int:
    if _gnu(process):
        await process.err(
            f"tar: {name}: Cannot stat: No such file or directory\n"
            "tar: Exiting with failure status due to previous errors\n"
        )
        return 2
    await process.err(f"tar: {name}: No such file or directory\ntar: error exit delayed from previous errors\n")
    return 1


def _parse(words: list[str]) -> tuple[str, dict[str, str], list[str]]:
    flags, values, names = "", {}, []
    first = True
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            flags += {"create": "c", "extract": "x", "list": "t", "gzip": "z", "verbose": "v"}.get(name, "")
            values[{"file": "f", "directory": "C"}.get(name, name)] = value
        elif word == "-":
            names.append(word)
        elif word.startswith("-") or first:
            for letter in word.lstrip("-"):
                if letter in TAKES_VALUE and words:
                    values[letter] = words.pop(0)
                else:
                    flags += letter
        else:
            names.append(word)
        first = False
    return flags, values, names


async def _input(process: Process, where: str) -> bytes:
    if where != "-":
        try:
            return process.read(where)
        except OSError as error:
            await process.err(f"tar: can't open '{where}': {error.strerror}\n")
            raise ProcessExit(1) from None
    chunks = []
    while data := await process.stdin.read():
        chunks.append(data)
    return b"".join(chunks)


async def _create(process: Process, flags: str, base: str, where: str, names: list[str]) -> int:
    buffer = io.BytesIO()
    code = 0
    with tarfile.open(fileobj=buffer, mode="w:gz" if "z" in flags else "w", format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            path = posixpath.normpath(posixpath.join(base, name))
            if not process.files.exists(path):
                code = await _missing(process, name)
                continue
            if name.startswith("/"):
                said = "Removing leading `/'" if _gnu(process) else "removing leading '/'"
                await process.err(f"tar: {said} from member names\n")
            for below, inside in _members(process, path, name):
                _add(process, archive, below, inside.lstrip("/"), follow="h" in flags)
                if "v" in flags:
                    await process.err(inside.lstrip("/") + "\n")
    if where == "-":
        await process.stdout(buffer.getvalue())
    else:
        process.files.write(process.path(where), buffer.getvalue(), process.user)
    return code


def _members(process: Process, path: str, name: str) -> Iterator[tuple[str, str]]:
    yield path, name
    if process.files.lstat(path).is_dir:
        for below in process.files.walk(path):
            yield below, posixpath.join(name, below[len(path) :].lstrip("/"))


def _add(process: Process, archive: tarfile.TarFile, path: str, name: str, *, follow: bool) -> None:
    stat = process.files.stat(path) if follow else process.files.lstat(path)
    member = tarfile.TarInfo(name or ".")
    member.mode, member.uid, member.gid = stat.mode & 0o7777, stat.uid, stat.gid
    member.mtime = int(stat.modified)
    if stat.is_dir:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif stat.kind == "symlink":
        member.type, member.linkname = tarfile.SYMTYPE, process.files.readlink(path)
        archive.addfile(member)
    else:
        data = process.files.read(path, process.user)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


async def _extract(process: Process, flags: str, base: str, data: bytes, names: list[str], strip: int) -> int:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if names and not any(
                member.name == name or member.name.startswith(name.rstrip("/") + "/") for name in names
            ):
                continue
            if "t" in flags:
                await process.out(member.name + ("/" if member.isdir() else "") + "\n")
                continue
            content = archive.extractfile(member) if member.isfile() else None
            body = content.read() if content else b""
            if "O" in flags:
                await process.stdout(body)
                continue
            inside = "/".join(member.name.lstrip("/").split("/")[strip:])
            if inside and ".." not in inside.split("/"):
                await _put(process, member, posixpath.join(base, inside), body)
                if "v" in flags:
                    await process.out(member.name + "\n")
    return 0


async def _put(process: Process, member: tarfile.TarInfo, path: str, body: bytes) -> None:
    files, user = process.files, process.user
    try:
        if member.isdir():
            files.mkdir(path, user, parents=True, mode=member.mode)
            return
        files.mkdir(posixpath.dirname(path), user, parents=True)
        if member.issym():
            if files.exists(path):
                files.remove(path, user)
            files.symlink(member.linkname, path, user)
            return
        files.write(path, body, user, mode=member.mode)
    except OSError as error:
        if _gnu(process):
            await process.err(f"tar: {member.name}: Cannot open: {error.strerror}\n")
            await process.err("tar: Exiting with failure status due to previous errors\n")
            raise ProcessExit(2) from None
        await process.err(f"tar: can't open '{member.name}': {error.strerror}\n")
        raise ProcessExit(1) from None
