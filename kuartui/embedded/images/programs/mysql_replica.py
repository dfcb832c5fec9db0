"""MySQL's replication, as far as CHANGE MASTER TO and START SLAVE lead: a replica soon has what its master has."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from kuartui.embedded.images.programs.mysql_data import SqlError, Tables
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.node.runtime.process import Process

FILE = "master.info"
SECONDS = 1.0
ORDER = re.compile(
    r"(change\s+(?:master|replication\s+source)\s+to|(?:start|stop)\s+(?:slave|replica))\b(.*)", re.I | re.S
)


class Replica:
    """Whom a server follows, kept with its data."""

    def __init__(self, process: Process, tables: Tables, data: str) -> None:
        self._process, self._tables = process, tables
        self._path = f"{data}/{FILE}"
        self._task: asyncio.Task[None] | None = None
        self._kept: dict[str, Any] = {"host": "", "user": "root", "password": "", "follows": False}
        if process.files.exists(self._path):
            self._kept = json.loads(process.files.read(self._path))

    @property
    def host(self) -> str:
        """The master, "" for a server that has none."""
        return str(self._kept["host"])

    def resume(self) -> None:
        """Go on following after a restart."""
        if self._kept["follows"] and self._task is None:
            self._task = self._process.background(self._follow())

    def told(self, statement: str) -> dict[str, Any] | None:
        """The answer to a statement about replication, None for all others. Raises SqlError."""
        found = ORDER.fullmatch(statement.strip())
        if found is None:
            return None
        order = found[1].lower()
        if order.startswith("change"):
            named = re.findall(r"(?:master|source)_(host|user|password)\s*=\s*'([^']*)'", found[2], re.IGNORECASE)
            self._kept |= {name.lower(): value for name, value in named}
        elif order.startswith("start") and not self.host:
            raise SqlError(
                1200, "HY000", "The server is not configured as slave; fix in config file or with CHANGE MASTER TO"
            )
        else:
            self._kept["follows"] = order.startswith("start")
        self._process.files.write(self._path, json.dumps(self._kept).encode(), self._process.user)
        if not self._kept["follows"] and self._task is not None:
            self._task.cancel()
            self._task = None
        self.resume()
        return {"affected": 0}

    async def _follow(self) -> None:
        while True:
            try:
                await self._fetch()
            except (OSError, NameNotResolved, ValueError):
                pass  # the master is away: MASTER_CONNECT_RETRY
            await self._process.clock.sleep(SECONDS)

    async def _fetch(self) -> None:
        stream = await self._process.connect(self.host, 3306, seconds=10)
        try:
            await stream.read_until(b"\n")
            await stream.write(f"AUTH {self._kept['user']} {self._kept['password']}\n".encode())
            if (await stream.read_until(b"\n")).strip() != b"OK":
                return
            while True:
                await stream.write(json.dumps({"do": "everything", "version": self._tables.version}).encode() + b"\n")
                line = await stream.read_until(b"\n", 1 << 24)
                if not line:
                    return
                kept = json.loads(line)["kept"]
                if kept is not None:
                    self._tables.take(kept)
                await self._process.clock.sleep(SECONDS)
        finally:
            stream.close()
