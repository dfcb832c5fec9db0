"""aiohttp without what it prepares for clients that bring no TLS context: ours always do (`Access.tls`).

As it is imported it makes two contexts, one with every certificate authority of the system. That is half of the time
that its import takes, and some MiB.
"""

from __future__ import annotations

import ssl
import sys
from typing import Any


def load() -> None:
    """Import it. Connections that would take its own verifying context trust nobody afterwards."""
    if "aiohttp" in sys.modules:
        return
    original = ssl.create_default_context

    def empty(*_: Any, **__: Any) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    ssl.create_default_context = empty
    try:
        import aiohttp  # noqa: F401
    finally:
        ssl.create_default_context = original
