"""`kuartui serve`: the screens in a browser."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import click

from kuartui.cli import output
from kuartui.cli.cluster import Kind
from kuartui.cli.parameters import Option
from kuartui.cli.run import command
from kuartui.message import later
from kuartui.translate import tr


def add_to(app: click.Group) -> None:
    """Register the command on the root."""

    @command(app, "serve")
    def serve(
        port: Annotated[int, Option(min=0, max=65535, help="0: any that is free.")] = 8000,
        host: Annotated[str, Option(help="A loopback address; others are refused.")] = "127.0.0.1",
        cluster: Kind = "embedded",
    ) -> None:
        """Play in a browser on this machine."""
        from kuartui.cluster.select import check_kind
        from kuartui.errors import UsageError, system_words
        from kuartui.progress.store import Store
        from kuartui.tui.web import game

        check_kind(cluster)
        Store().close()  # what is wrong with it would be told to a page that nobody sees
        try:
            server = game(host, port, cluster)
            _try_port(host, server.port)
            output.line(server.url)
            sys.stdout.flush()  # a pipe would have it when all is over
            output.note(tr("open it in a browser; Ctrl-C ends it, and levels in play can be continued"))
            server.run()
        except OSError as error:
            raise UsageError(
                later("cannot listen on port {port}: {why}", port=port, why=system_words(error)),
                hint="kuartui serve --port 0",
            ) from error


def _try_port(host: str, port: int) -> None:
    """OSError when somebody listens there, before the address is told to anybody."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
