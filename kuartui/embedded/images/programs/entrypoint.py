"""The entrypoint scripts of images that hold one tool: `docker run IMAGE --option` runs the tool, `… IMAGE sh` a shell."""

from __future__ import annotations

from kuartui.embedded.images.model import Program
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.programs import NotExecutable


def entrypoint(tool: str, *, strangers: bool = False) -> Program:
    """A script that puts `tool` before what begins with a dash, or is nothing. With `strangers` also before what is no
    command (curl's does: `docker run curlimages/curl http://x`); else such a word is not found."""

    async def run(process: Process) -> int:
        argv = process.argv[1:]
        if not argv or argv[0].startswith("-"):
            argv = [tool, *argv]
        try:
            program, found = process.container.find(argv, process)
        except NotExecutable as error:
            if not strangers:
                await process.err(f"/usr/local/bin/docker-entrypoint.sh: line 11: exec: {argv[0]}: not found\n")
                return error.code
            program, found = process.container.find([tool, *argv], process)
        process.argv = found
        return await program(process)

    return run
