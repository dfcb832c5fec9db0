"""A scripted API server on loopback, for what a real one does rarely: breaking, lying, going away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from kuartui.cluster.access import Access

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, port: int = 0) -> AsyncIterator[Access]:
    """Serve every request with one handler; an Access to it."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield Access(server=f"http://127.0.0.1:{runner.addresses[0][1]}", token="secret")
    finally:
        await runner.cleanup()
