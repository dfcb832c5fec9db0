"""Process ids: the numbers that processes of several containers have for one who sees them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kuartui.embedded.node.runtime.container import Container
    from kuartui.embedded.node.runtime.process import Process

FIRST_HOST_PID = 1000  # what boots with the node has the numbers below
PAUSE_PID = 1  # in a pod whose containers share their processes


def numbered(container: Container) -> dict[int, Process]:
    """The processes of the container, of those whose processes it sees, and their numbers: who came first keeps its own."""
    sandbox = container.sandbox
    found: dict[int, Process] = {}
    first = FIRST_HOST_PID if sandbox.host_processes else 0
    taken = {PAUSE_PID} if sandbox.share_processes and not sandbox.host_processes else set()
    others = container.neighbours()
    for other in others if container in others else [*others, container]:
        heirs = {shell.replaced_by for shell in other.processes.values()}
        for process in other.processes.values():
            if process in heirs:
                continue
            pid = process.pid + first
            while pid in found or pid in taken:
                pid += 1
            found[pid] = process
    return found
