"""How an application logs in to MySQL, in the words of the driver that Node.js has for it."""

from __future__ import annotations

from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.node.runtime.process import Process

SECONDS = 10.0  # for which the driver waits for a connection


class LoginFailed(Exception):
    """The driver's message, and its code."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


async def log_in(process: Process, host: str, port: int, user: str, password: str) -> None:
    """Connect and say who one is. Raises LoginFailed."""
    try:
        stream = await process.connect(host, port, seconds=SECONDS)
    except NameNotResolved:
        raise LoginFailed(f"getaddrinfo ENOTFOUND {host}", "ENOTFOUND") from None
    except ConnectionRefusedError:
        raise LoginFailed(f"connect ECONNREFUSED {host}:{port}", "ECONNREFUSED") from None
    except OSError:
        raise LoginFailed("connect ETIMEDOUT", "ETIMEDOUT") from None
    try:
        await stream.read_until(b"\n")
        await stream.write(f"AUTH {user} {password}\n".encode())
        answer = (await stream.read_until(b"\n")).decode(errors="replace").strip()
    finally:
        stream.close()
    if answer != "OK":
        raise LoginFailed(answer.partition(": ")[2], "ER_ACCESS_DENIED_ERROR")
