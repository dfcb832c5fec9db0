"""Programs that stand in for well-known servers: they start, log a line, listen, and stop when told to.

They answer HTTP with a short page, or take connections without a word. Enough for manifests that use them as "some
application"; whoever needs more of one writes a program for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kuartui.embedded.network import Stream
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


def standin(
    started: str, http: tuple[int, ...] = (), tcp: tuple[int, ...] = (), body: str = "ok\n", memory: int = 20 << 20
) -> Callable[[Process], Awaitable[int]]:
    """A server by its ports."""

    async def run(process: Process) -> int:
        process.memory = memory

        async def app(request: Request) -> Response:
            return reply(200, body.replace("HOSTNAME", process.container.sandbox.hostname))

        async def silent(stream: Stream) -> None:
            while await stream.read():
                pass
            stream.close()

        try:
            for port in http:
                process.listen(port, server(app))
            for port in tcp:
                process.listen(port, silent)
        except OSError as error:
            await process.err(f"listen: {error.strerror}\n")
            return 1
        await process.out(started + "\n")
        await process.signals("TERM", "INT", "QUIT").get()
        return 0

    return run


async def hello_world(process: Process) -> int:
    """docker.io/hello-world."""
    await process.out(
        "\nHello from Docker!\nThis message shows that your installation appears to be working correctly.\n\n"
    )
    return 0
