"""A process that looks at the checks of an attempt while no screen is open.

Without it, what happens between two commands would go unseen: a guard broken for a minute, a hold, the time limit.
`AttemptSession.close` starts one; it ends when the attempt does, or when a screen has taken the lead.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

from kuartui import paths
from kuartui.errors import KuartuiError
from kuartui.language import chosen

LOOK = 0.5  # seconds between two looks at whether there is something left to do
FOLLOWING = 10.0  # seconds that somebody else must have led before it is their business
LOG_NAME = "referee.log"


def spawn(attempt_id: str) -> int:
    """Start a referee of its own session, so that closing the terminal does not end it; its process id."""
    log = paths.private_dir(paths.state_dir()) / LOG_NAME
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*paths.process("kuartui.play.referee"), attempt_id],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return process.pid


async def watch(attempt_id: str) -> None:
    """Lead the attempt until it is over, its clock is stopped or somebody else does."""
    from kuartui.cluster.select import choose
    from kuartui.play.dealt import level_of
    from kuartui.play.session import resume
    from kuartui.progress.store import Store

    store = Store()
    try:
        record = store.attempt(attempt_id)
        if record is None or record.outcome is not None:
            return
        level = level_of(record, chosen())  # what is seen is told in the player's language by whoever leads
        session = await resume(record, level, cluster=choose(record.cluster, "kuartui"), store=store)
        followed = 0.0
        while session.snapshot().outcome is None and followed < FOLLOWING:
            await session.clock.sleep(LOOK)
            followed = 0.0 if session.leading else followed + LOOK
            if session.snapshot().paused:  # whoever lets the clock go on starts another referee
                break
        await session.close(referee=False)
    finally:
        store.close()


def main() -> int:
    """`python -m kuartui.play.referee ATTEMPT`"""
    try:
        asyncio.run(watch(sys.argv[1]))
    except KuartuiError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
