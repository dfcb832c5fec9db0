"""One object in full: what `kubectl describe`, `get -o yaml` and `logs` say, line by line.

The real kubectl is run with the player's credentials: what it prints here is what it prints in their terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from kuartui.errors import ClusterError, system_words
from kuartui.message import later
from kuartui.play.observe import Row

View = Literal["describe", "yaml", "logs"]
VIEWS: tuple[View, ...] = ("describe", "yaml", "logs")
MOST_LINES = 5000
TAIL = 500  # lines of a log that come first
LONGEST_LINE = 2**16
WITH_LOGS = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")


def command(kubectl: Path, row: Row, view: View) -> list[str]:
    """The command line. ClusterError for logs of something that has none."""
    place = ["--namespace", row.namespace] if row.namespace else []
    what = f"{row.resource}/{row.name}"
    if view == "describe":
        return [str(kubectl), "describe", what, *place]
    if view == "yaml":
        return [str(kubectl), "get", what, *place, "--output=yaml"]
    if row.kind not in WITH_LOGS:
        raise ClusterError(later("a {kind} has no logs; its pods have", kind=row.kind))
    return [str(kubectl), "logs", what, *place, "--all-containers", f"--tail={TAIL}", "--follow", "--ignore-errors"]


async def read(kubectl: Path, kubeconfig: Path, row: Row, view: View) -> AsyncIterator[str]:
    """The lines as they come; a log goes on until the reader stops. What kubectl complains about comes last."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    try:
        process = await asyncio.create_subprocess_exec(
            *command(kubectl, row, view),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
        )
    except OSError as error:
        raise ClusterError(later("cannot run {kubectl}: {why}", kubectl=kubectl, why=system_words(error))) from error
    assert process.stdout is not None
    try:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit: the reader has dropped it
                yield "… (a line too long to show)"
                continue
            if not line:
                return
            yield line.decode(errors="replace").rstrip("\n")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
