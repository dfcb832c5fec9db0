"""One level is set up at a time, also by several processes: a second one would take down what the first is at, or make
the same things beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from kuartui import locks, paths
from kuartui.errors import AttemptError
from kuartui.message import later

PATIENCE = 3.0  # seconds for a set-up that was given up to come to its end


@asynccontextmanager
async def setting_up() -> AsyncIterator[None]:
    """While a level is set up, or set up anew. AttemptError while another one is."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(locks.alone(paths.state_dir() / "set-up.lock", patience=PATIENCE))
        except TimeoutError:
            raise AttemptError(
                later("a level is being set up by another command"),
                hint=later("wait until it is done, or end it"),
            ) from None
        yield
