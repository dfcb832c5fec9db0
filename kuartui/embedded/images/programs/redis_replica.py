"""Replication: a replica takes a snapshot from its master, then every write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kuartui.embedded.images.programs import redis_files
from kuartui.embedded.images.programs.redis_files import command_bytes
from kuartui.embedded.network import NameNotResolved, Stream

if TYPE_CHECKING:
    from kuartui.embedded.images.programs.redis_server import RedisServer, Session

RETRY_SECONDS = 1.0


class Replication:
    """A server's master, or its replicas."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._replicas: dict[int, Session] = {}
        self._task: asyncio.Task[None] | None = None
        self.master: tuple[str, int] | None = None
        self.linked = False
        self.offset = 0

    # --- as a master ---

    async def add(self, session: Session) -> None:
        """PSYNC: send everything, then every write."""
        server = self._server
        session.replica = True
        await server.log(f"Replica {session.stream.remote[0]}:6379 asks for synchronization")
        data = redis_files.dump(server.databases, server.version, server.process.clock.now().timestamp())
        await session.stream.write(f"+FULLRESYNC {server.run_id} {self.offset}\r\n${len(data)}\r\n".encode() + data)
        self._replicas[session.number] = session
        await server.log(f"Synchronization with replica {session.stream.remote[0]}:6379 succeeded")

    def send(self, number: int, words: list[bytes]) -> None:
        """Pass a write on to the replicas."""
        data = command_bytes([b"SELECT", str(number).encode()]) + command_bytes(words)
        self.offset += len(data)
        for session in list(self._replicas.values()):
            self._server.process.background(session.stream.write(data))

    def forget(self, session: Session) -> None:
        """A client left."""
        self._replicas.pop(session.number, None)

    @property
    def replicas(self) -> list[Session]:
        """Connected replicas."""
        return list(self._replicas.values())

    # --- as a replica ---

    def follow(self, host: str, port: int) -> None:
        """REPLICAOF host port."""
        self.stop()
        self.master = host, port
        self._task = self._server.process.background(self._run(host, port))

    def stop(self) -> None:
        """REPLICAOF NO ONE."""
        self.master, self.linked = None, False
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, host: str, port: int) -> None:
        server = self._server
        while True:
            await server.log(f"Connecting to MASTER {host}:{port}")
            try:
                stream = await server.process.connect(host, port, seconds=60)
                await self._sync(stream)
            except NameNotResolved:
                await server.log(f"Unable to connect to MASTER: {host}: Name does not resolve", "#")
            except OSError as error:
                await server.log(f"Error condition on socket for SYNC: {error.strerror or error}", "#")
            except ValueError as error:
                await server.log(f"Unexpected reply to PSYNC from master: {error}", "#")
            self.linked = False
            await server.process.clock.sleep(RETRY_SECONDS)

    async def _sync(self, stream: Stream) -> None:
        from kuartui.embedded.images.programs.redis_server import Session, read_request

        server = self._server
        await server.log("MASTER <-> REPLICA sync started")
        if server.config["masterauth"]:
            await stream.write(command_bytes([b"AUTH", server.config["masterauth"].encode()]))
            await self._expect(stream, b"+OK")
        await stream.write(command_bytes([b"PING"]))
        await self._expect(stream, b"+PONG")
        await stream.write(command_bytes([b"PSYNC", b"?", b"-1"]))
        await self._expect(stream, b"+FULLRESYNC")
        size = int((await stream.read_until(b"\n"))[1:])
        data = await stream.read_exactly(size)
        server.databases.clear()
        redis_files.load(data, server.database)
        server.measure_all()
        self.linked = True
        await server.log("MASTER <-> REPLICA sync: Finished with success")
        session = Session(stream, 0, authenticated=True)
        session.replica = True
        while words := await read_request(stream):
            await server.execute(session, words)
        await server.log("Connection with master lost.", "#")

    @staticmethod
    async def _expect(stream: Stream, start: bytes) -> None:
        line = await stream.read_until(b"\n")
        if not line.startswith(start):
            raise ValueError(line.decode(errors="replace").strip() or "connection closed")
