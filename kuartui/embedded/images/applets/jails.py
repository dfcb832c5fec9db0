"""chroot: on to another system's tree, which for us is a node's disk in a debugging pod."""

from __future__ import annotations

import errno
import os

from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.programs import NotExecutable

CANNOT_RUN = 126  # GNU's code for a program that is there; busybox takes it, too
NOT_FOUND = 127


async def chroot(process: Process) -> int:
    """chroot DIRECTORY [COMMAND]; without a command, an interactive shell."""
    gnu = process.container.spec.image.distribution not in ("busybox", "alpine")
    words = process.argv[1:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        await process.err("chroot: missing operand\n" if gnu else "BusyBox: chroot: NEWROOT is missing\n")
        return 125 if gnu else 1
    try:
        if not process.user.can("SYS_CHROOT"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        inside = process.container.rooted(process.path(words[0]))
    except OSError as error:
        text = (
            f"cannot change root directory to '{words[0]}'" if gnu else f"can't change root directory to '{words[0]}'"
        )
        await process.err(f"chroot: {text}: {error.strerror}\n")
        return 125 if gnu else 1
    argv = words[1:] or [process.env.get("SHELL") or "/bin/sh", "-i"]
    try:
        if inside is None:
            raise NotExecutable(argv[0], "no such file or directory", NOT_FOUND)
        child = inside.spawn(argv, parent=process, cwd="/")
    except NotExecutable as error:
        why = os.strerror(errno.EACCES if error.code == CANNOT_RUN else errno.ENOENT)
        text = f"failed to run command '{argv[0]}'" if gnu else f"can't execute '{argv[0]}'"
        await process.err(f"chroot: {text}: {why}\n")
        return error.code
    terminal = process.terminal
    before = (terminal.on_interrupt, terminal.complete) if terminal else None
    try:
        return await child.wait()
    finally:
        if terminal is not None and before is not None:  # the shell outside has its keys back
            terminal.on_interrupt, terminal.complete = before
