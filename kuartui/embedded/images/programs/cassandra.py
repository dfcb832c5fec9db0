"""Cassandra as far as its ring goes: nodes find each other by their seeds, and nodetool shows who is there.

Nodes gossip JSON lines; no data is kept.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

GOSSIP, JMX, CQL = 7000, 7199, 9042
PERIOD_SECONDS, JOIN_SECONDS, MISSES = 1.0, 10.0, 5
MEMORY = 600 << 20
HEAD = """Datacenter: {dc}
{line}
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address{gap}  Load       Tokens       Owns (effective)  Host ID                               Rack
"""


class Ring:
    """A node and what it has heard of the others."""

    def __init__(self, process: Process) -> None:
        self._process, env = process, process.env
        name = f"{process.container.sandbox.namespace}/{process.container.sandbox.hostname}"
        self.cluster = env.get("CASSANDRA_CLUSTER_NAME") or "Test Cluster"
        self.me: Obj = {
            "id": str(uuid.UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())),
            "dc": env.get("CASSANDRA_DC") or "datacenter1",
            "rack": env.get("CASSANDRA_RACK") or "rack1",
            "state": "J",
        }
        self.others: dict[str, Obj] = {}
        self._missed: dict[str, int] = {}
        self.seeds: list[str] = []

    async def find_seeds(self) -> bool:
        """Resolve the seeds; whether there is one, which may be this node itself."""
        hosts = [one.strip() for one in (self._process.env.get("CASSANDRA_SEEDS") or self._process.ip).split(",")]
        own = self._process.container.sandbox.hostname
        found = False
        for host in filter(None, hosts):
            if host in (own, self._process.ip) or host.startswith(f"{own}."):
                found = True
                continue
            try:
                self.seeds += await self._process.resolve(host)
            except NameNotResolved:
                await log(self._process, "WARN", f"Seed provider couldn't lookup host {host}")
        return found or bool(self.seeds)

    async def gossip(self) -> None:
        """Talk to the seeds and to all whom one knows, for as long as the process lives."""
        while True:
            for ip in sorted({*self.seeds, *self.others} - {self._process.ip}):
                await self._talk(ip)
            await self._process.clock.sleep(PERIOD_SECONDS)

    async def _talk(self, ip: str) -> None:
        try:
            stream = await self._process.connect(ip, GOSSIP, seconds=1)
            try:
                await stream.write(json.dumps(self._known()).encode() + b"\n")
                heard = json.loads(await stream.read_until(b"\n"))
            finally:
                stream.close()
        except (OSError, ValueError):
            self._missed[ip] = self._missed.get(ip, 0) + 1
            return
        self._hear(ip, heard)

    def _known(self) -> Obj:
        return {"cluster": self.cluster, "nodes": {**self.others, self._process.ip: self.me}}

    def _hear(self, ip: str, heard: Obj) -> None:
        if heard.get("cluster") != self.cluster:
            return
        self._missed[ip] = 0
        for address, node in heard["nodes"].items():
            if address == self._process.ip:
                continue
            direct = address == ip
            if direct or address not in self.others:
                if direct:  # who comes back under another address is the same node
                    moved = [one for one, other in self.others.items() if other["id"] == node["id"] and one != ip]
                    for one in moved:
                        del self.others[one]
                elif any(other["id"] == node["id"] for other in (*self.others.values(), self.me)):
                    continue
                self.others[address] = node

    async def answer(self, stream: Stream) -> None:
        """Another node gossips."""
        try:
            self._hear(stream.remote[0], json.loads(await stream.read_until(b"\n")))
            await stream.write(json.dumps(self._known()).encode() + b"\n")
        except (ValueError, KeyError, AttributeError):
            pass  # no node of ours
        stream.close()

    def rows(self) -> list[Obj]:
        """All nodes, as nodetool shows them."""
        found = [{"ip": self._process.ip, "up": True, **self.me}]
        for ip, node in self.others.items():
            found.append({"ip": ip, "up": self._missed.get(ip, 0) < MISSES, **node})
        return sorted(found, key=lambda row: str(row["ip"]))


async def log(process: Process, level: str, text: str) -> None:
    """A line of the server."""
    now = process.clock.now()
    await process.out(f"{level:<5s} {now:%H:%M:%S} {text}\n")


async def cassandra(process: Process) -> int:
    """The server."""
    ring = Ring(process)
    process.memory = MEMORY
    await log(process, "INFO", f"Cassandra version: 3.11.2, cluster {ring.cluster}")
    if not await ring.find_seeds():
        await log(process, "ERROR", "Exception encountered during startup: The seed provider lists no seeds.")
        return 3

    async def manage(stream: Stream) -> None:
        asked = await stream.read_until(b"\n")
        if asked.strip() == b"drain":
            ring.me["state"] = "L"
            cql.close() if cql is not None else None
        await stream.write(json.dumps(ring.rows()).encode() + b"\n")
        stream.close()

    async def silent(stream: Stream) -> None:
        while await stream.read():
            pass
        stream.close()

    cql = None
    process.listen(GOSSIP, ring.answer)
    process.listen(JMX, manage)
    process.background(ring.gossip())
    stop = process.signals("TERM", "INT")

    async def join() -> None:
        nonlocal cql
        await log(process, "INFO", f"Starting Messaging Service on {process.ip}:{GOSSIP}")
        await process.clock.sleep(JOIN_SECONDS)
        ring.me["state"] = "N"
        await log(process, "INFO", f"Node /{process.ip} state jump to NORMAL")
        cql = process.listen(CQL, silent)
        await log(process, "INFO", f"Starting listening for CQL clients on /0.0.0.0:{CQL} (unencrypted)...")

    process.background(join())
    await stop.get()
    return 143


async def _managed(process: Process, what: str) -> list[Obj] | None:
    try:
        stream = await process.connect("127.0.0.1", JMX, seconds=5)
        await stream.write(what.encode() + b"\n")
        rows: list[Obj] = json.loads(await stream.read_until(b"\n", 1 << 20))
        stream.close()
    except (OSError, ValueError):
        return None
    return rows


async def nodetool(process: Process) -> int:
    """nodetool status | drain."""
    words = [word for word in process.argv[1:] if not word.startswith("-")] or ["help"]
    if words[0] not in ("status", "drain"):
        await process.err(
            f"nodetool: Found unexpected parameters: [{words[0]}]\nSee 'nodetool help' or 'nodetool help <command>'.\n"
        )
        return 1
    rows = await _managed(process, words[0])
    if rows is None:
        await process.err(
            "nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused (Connection refused)'.\n"
        )
        return 1
    if words[0] == "status":
        await process.out(_shown(rows))
    return 0


def _shown(rows: list[Obj]) -> str:
    width = max(len(row["ip"]) for row in rows)
    text = ""
    for dc in sorted({row["dc"] for row in rows}):
        line = "=" * len(f"Datacenter: {dc}")
        text += HEAD.format(dc=dc, line=line, gap=" " * (width - len("Address")))
        for row in (row for row in rows if row["dc"] == dc):
            owns = f"{100 / len(rows):.1f}%"
            text += f"{'U' if row['up'] else 'D'}{row['state']}  {row['ip']:<{width}}  84.67 KiB  32           {owns:<16}  {row['id']}  {row['rack']}\n"
    return text + "\n"


async def ready_probe(process: Process) -> int:
    """/ready-probe.sh: whether this node is up and normal."""
    rows = await _managed(process, "status")
    mine = [row for row in rows or () if row["ip"] == process.ip]
    return 0 if mine and mine[0]["state"] == "N" else 1
