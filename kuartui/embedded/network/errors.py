"""What can go wrong between two programs, as the operating system would tell them.

Programs catch `OSError`, as real ones do; `errno` and the text are Linux's, because clients print them.

    OSError
    ├── ConnectionRefusedError   nobody listens there, or a Service has no endpoints (kube-proxy rejects)
    ├── ConnectionResetError, BrokenPipeError
    ├── TimeoutError             packets vanish: NetworkPolicy, unknown address, unmatched Service port
    ├── Unreachable              an address of the cluster that nobody holds
    └── NameNotResolved          DNS gave no address; `.rcode` tells why ("TIMEOUT" if no server answered)
"""

from __future__ import annotations

import errno


class Unreachable(OSError):
    """No route to host."""

    def __init__(self) -> None:
        super().__init__(errno.EHOSTUNREACH, "No route to host")


class NameNotResolved(OSError):
    """A name has no address: `rcode` is NXDOMAIN, NOERROR (no record of that type), SERVFAIL, REFUSED, TIMEOUT or
    CLOSED (nobody listens at the server's port)."""

    def __init__(self, name: str, rcode: str) -> None:
        super().__init__(errno.ENOENT, f"{name}: {rcode}")
        self.name = name
        self.rcode = rcode


def refused() -> ConnectionRefusedError:
    """A TCP reset, or kube-proxy's REJECT rule."""
    return ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def timed_out() -> TimeoutError:
    """The kernel gave up sending SYNs."""
    return TimeoutError(errno.ETIMEDOUT, "Connection timed out")
