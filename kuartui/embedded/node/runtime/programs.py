"""From argv to a program: PATH, the image's programs, scripts with `#!`, and the words when there is nothing to run.

The words are those of Go's exec.LookPath and of the kernel, as runc reports them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kuartui.embedded.images.model import PATH, Program
from kuartui.embedded.node.runtime.files import EXECUTE, Files, User
from kuartui.embedded.node.runtime.shell import run_command, run_shell
from kuartui.embedded.node.runtime.spec import ContainerSpec

if TYPE_CHECKING:
    from kuartui.embedded.node.runtime.process import Process


class NotExecutable(Exception):
    """`exec: "x": …`; `code` is what a shell would exit with."""

    def __init__(self, name: str, why: str, code: int) -> None:
        super().__init__(f'exec: "{name}": {why}')
        self.why = why
        self.code = code


class NotRunnable(NotExecutable):
    """What LookPath finds and execve(2) refuses: runc has started the container by then, so the first process says so."""

    def __init__(self, name: str, why: str, code: int, said: str, exit_code: int = 255) -> None:
        super().__init__(name, why, code)
        self._said = said
        self._exit_code = exit_code

    async def told(self, process: Process) -> int:
        """What runc, or env, does in this process' place."""
        await process.err(f"{self._said}\n")
        return self._exit_code


def find(
    spec: ContainerSpec,
    files: Callable[[], Files],
    changed: Files | None,
    user: User,
    argv: list[str],
    env: Mapping[str, str],
    cwd: str,
) -> tuple[Program, list[str]]:
    """The program for an argv, and the argv it gets (a script's interpreter comes first). `changed` is the container's
    tree if somebody may have removed a program from it. Raises NotExecutable."""
    name = argv[0]
    if "/" in name:
        path = posixpath.normpath(posixpath.join(cwd, name))
        program = _at(spec, path)
        if program is not None and (changed is None or changed.exists(path)):
            return program, argv
        return _script(spec, files(), user, path, argv, named=True)
    for directory in (env.get("PATH") or PATH).split(":"):
        path = posixpath.join(directory or ".", name)
        program = _at(spec, path)
        if program is not None and (changed is None or changed.exists(path)):
            return program, argv
    if _has_volumes_or_scripts(spec):
        for directory in (env.get("PATH") or PATH).split(":"):
            path = posixpath.join(directory, name)
            if files().is_file(path) and files().allowed(path, EXECUTE, user):
                return _script(spec, files(), user, path, argv, named=False)
    raise NotExecutable(name, "executable file not found in $PATH", 127)


def _at(spec: ContainerSpec, path: str) -> Program | None:
    image = spec.image
    if any(path.startswith(posixpath.normpath(mount.path) + "/") for mount in spec.mounts):
        return None  # a volume hides what the image has there
    program = image.programs.get(path) or image.direct.get(path)
    if program is not None:
        return program
    if path in image.shells:
        return run_shell
    if path in image.commands:
        return run_command
    return None


def _has_volumes_or_scripts(spec: ContainerSpec) -> bool:
    return bool(spec.mounts) or any(
        entry.data is not None and entry.data.startswith(b"#!") for entry in spec.image.files.values()
    )


def _script(
    spec: ContainerSpec, files: Files, user: User, path: str, argv: list[str], *, named: bool
) -> tuple[Program, list[str]]:
    name = argv[0]
    shown = name if named else path
    try:
        stat = files.stat(path)
    except NotADirectoryError:
        raise NotExecutable(name, f"stat {name}: not a directory", 126) from None
    except OSError:
        raise NotExecutable(name, f"stat {name}: no such file or directory", 127) from None
    if stat.is_dir:
        raise NotExecutable(name, "is a directory", 126)
    if not stat.mode & 0o111 or not files.allowed(path, EXECUTE, user):
        raise NotExecutable(name, "permission denied", 126)
    real = files.real(path)
    program = _at(spec, real)
    if program is not None:
        return program, argv
    first = files.read(path)[:128].split(b"\n", 1)[0].decode(errors="replace")
    if not first.startswith("#!"):
        raise NotRunnable(name, "exec format error", 126, f"exec {shown}: exec format error")
    words = [word for word in re.split("[ \t]+", first[2:]) if word]  # a carriage return belongs to the name
    by_env = bool(words) and posixpath.basename(words[0]) == "env"
    if by_env:
        words = words[1:]
    interpreter = words[0] if words else "/bin/sh"
    candidates = [interpreter] if "/" in interpreter else [f"{d}/{interpreter}" for d in PATH.split(":")]
    for candidate in candidates:
        program = _at(spec, candidate)
        if program is not None:
            return program, [candidate, *words[1:], path, *argv[1:]]
    if by_env:
        raise NotRunnable(name, "no such file or directory", 127, _env_says(spec, interpreter), 127)
    raise NotRunnable(name, "no such file or directory", 127, f"exec {shown}: no such file or directory")


def _env_says(spec: ContainerSpec, name: str) -> str:
    shown = name.replace("\r", "\\r")
    if spec.image.distribution == "debian":
        return f"/usr/bin/env: '{shown}': No such file or directory"
    return f"env: can't execute '{name}': No such file or directory"
