"""MongoDB's replica sets: configuration, heartbeats, who is primary; secondaries fetch what the primary has.

Members speak JSON lines to each other and to the shell. A configuration with a higher version wins; of the members
that see a majority, the first that answers is primary.
"""

from __future__ import annotations

import json
import posixpath
from typing import Any

from kuartui.embedded.images.programs.mongo_documents import Documents
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

PERIOD_SECONDS = 2.0
PORT = 27017
NOT_YET = {"ok": 0, "errmsg": "no replset config has been received", "code": 94, "codeName": "NotYetInitialized"}
NO_SET = {"ok": 0, "errmsg": "not running with --replSet", "code": 76, "codeName": "NoReplicationEnabled"}


async def call(process: Process, host: str, command: Obj, seconds: float = 10.0) -> Obj:
    """Ask a mongod. Raises OSError, NameNotResolved."""
    name, _, port = host.partition(":")
    stream = await process.connect(name, int(port or PORT), seconds=seconds)
    try:
        async with process.clock.timeout(seconds):
            await stream.write(json.dumps(command).encode() + b"\n")
            line = await stream.read_until(b"\n")
    finally:
        stream.close()
    try:
        answer = json.loads(line)
    except ValueError:
        raise ConnectionResetError(104, "connection closed") from None
    return dict(answer)


class Member:
    """A mongod, in a replica set or alone."""

    def __init__(self, process: Process, version: str, data: str, set_name: str, user: User) -> None:
        self._process, self._version, self._set, self._user = process, version, set_name, user
        self._path = posixpath.join(data, "local.replset.json")
        self.config: Obj | None = None
        if set_name and process.files.exists(self._path):
            self.config = json.loads(process.files.read(self._path))
        self._healthy: set[str] = set()
        self._me = ""
        self._documents = Documents(process, data, user)

    async def serve(self, stream: Stream) -> None:
        """One client."""
        while line := await stream.read_until(b"\n"):
            try:
                answer = await self._answer(json.loads(line))
            except (ValueError, KeyError, TypeError):
                answer = {"ok": 0, "errmsg": "cannot parse the command", "code": 9, "codeName": "FailedToParse"}
            await stream.write(json.dumps(answer).encode() + b"\n")
        stream.close()

    async def _answer(self, command: Obj) -> Obj:
        match command["do"]:
            case "ping":
                return {"ok": 1}
            case "serverStatus":
                return {
                    "host": self._process.container.sandbox.hostname,
                    "version": self._version,
                    "process": "mongod",
                    "ok": 1,
                }
            case "hello":
                return self._hello()
            case "heartbeat":
                return self._heartbeat(command)
            case "insert":
                if self._set and self.primary != self._me:
                    return {"ok": 0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"}
                return self._documents.insert(str(command["collection"]), command["document"])
            case "find":
                return {
                    "documents": self._documents.find(str(command["collection"]), command.get("query") or {}),
                    "ok": 1,
                }
            case "everything":
                newer = self._documents.version > int(command["version"])
                return {"ok": 1, "everything": self._documents.all() if newer else None}
        if not self._set:
            return NO_SET
        match command["do"]:
            case "initiate":
                return await self._initiate(command.get("config"))
            case "status":
                return self._status() if self.config else NOT_YET
            case "conf":
                return self.config or NOT_YET
            case "add":
                return await self._add(str(command["host"]))
        return {"ok": 0, "errmsg": f"no such command: '{command['do']}'", "code": 59, "codeName": "CommandNotFound"}

    # --- configuration ---

    async def _initiate(self, config: Obj | None) -> Obj:
        if self.config:
            return {"ok": 0, "errmsg": "already initialized", "code": 23, "codeName": "AlreadyInitialized"}
        host = f"{self._process.container.sandbox.hostname}:{PORT}"
        config = config or {"_id": self._set, "members": [{"_id": 0, "host": host}]}
        if config.get("_id") != self._set:
            why = f"Attempting to initiate a replica set with name {config.get('_id')}, but command line reports {self._set}; rejecting"
            return {"ok": 0, "errmsg": why, "code": 93, "codeName": "InvalidReplicaSetConfig"}
        members = [{**member, "host": _with_port(str(member["host"]))} for member in config["members"]]
        if not any([await self._is_me(member["host"]) for member in members]):
            why = f"No host described in new configuration with {{version: 1, term: 0}} for replica set {self._set} maps to this node"
            return {"ok": 0, "errmsg": why, "code": 93, "codeName": "InvalidReplicaSetConfig"}
        for member in members:
            if not await self._is_me(member["host"]) and not await self._reaches(member["host"]):
                why = f"replSetInitiate quorum check failed because not all proposed set members responded affirmatively: {member['host']} failed with Error connecting to {member['host']}"
                return {"ok": 0, "errmsg": why, "code": 74, "codeName": "NodeNotFound"}
        self._adopt({"_id": self._set, "version": 1, "members": members})
        await self._round()
        return {"ok": 1}

    async def _add(self, host: str) -> Obj:
        host = _with_port(host)
        if not self.config:
            return NOT_YET
        if self.primary != self._me:
            why = f"New config is rejected. Current state is not PRIMARY; the primary is {self.primary or 'unknown'}"
            return {"ok": 0, "errmsg": why, "code": 10107, "codeName": "NotWritablePrimary"}
        members = self.config["members"]
        if any(member["host"] == host for member in members):
            why = f"Found two member configurations with same host field, members.0.host == members.{len(members)}.host == {host}"
            return {"ok": 0, "errmsg": why, "code": 103, "codeName": "NewReplicaSetConfigurationIncompatible"}
        if not await self._reaches(host):
            why = f"Quorum check failed because not enough voting nodes responded; required {(len(members) + 1) // 2 + 1} but only the following {len(members)} voting nodes responded: {self._me}; the following nodes did not respond affirmatively: {host} failed with Error connecting to {host}"
            return {"ok": 0, "errmsg": why, "code": 74, "codeName": "NodeNotFound"}
        number = max(member["_id"] for member in members) + 1
        version = self.config["version"] + 1
        self._adopt({**self.config, "version": version, "members": [*members, {"_id": number, "host": host}]})
        await self._round()
        return {"ok": 1}

    def _adopt(self, config: Obj) -> None:
        self.config = config
        self._process.files.write(self._path, json.dumps(config).encode(), self._user)

    def _heartbeat(self, command: Obj) -> Obj:
        theirs = command.get("config")
        if not self._set or (theirs and theirs["_id"] != self._set):
            return {"ok": 0, "errmsg": "replica set name mismatch", "set": self._set}
        if theirs and (self.config is None or theirs["version"] > self.config["version"]):
            self._adopt(theirs)
        return {"ok": 1, "config": self.config}

    # --- heartbeats ---

    async def _is_me(self, host: str) -> bool:
        name = host.partition(":")[0]
        try:
            found = name == self._process.container.sandbox.hostname or self._process.ip in await self._process.resolve(
                name
            )
        except (OSError, NameNotResolved):
            return False
        if found:
            self._me = host
        return found

    async def _reaches(self, host: str) -> bool:
        try:
            answer = await call(self._process, host, {"do": "heartbeat", "config": self.config}, PERIOD_SECONDS)
        except (OSError, NameNotResolved):
            return False
        theirs = answer.get("config")
        if answer.get("ok") and theirs and self.config and theirs["version"] > self.config["version"]:
            self._adopt(theirs)
        return bool(answer.get("ok"))

    async def _round(self) -> None:
        if not self.config:
            return
        healthy = set()
        for member in self.config["members"]:
            if await self._is_me(member["host"]) or await self._reaches(member["host"]):
                healthy.add(member["host"])
        self._healthy = healthy
        await self._follow()

    async def _follow(self) -> None:
        """Take over what the primary has more."""
        if self.primary in ("", self._me):
            return
        try:
            request = {"do": "everything", "version": self._documents.version}
            answer = await call(self._process, self.primary, request, PERIOD_SECONDS)
        except (OSError, NameNotResolved):
            return
        if answer.get("everything"):
            self._documents.take(answer["everything"])

    async def beat(self) -> None:
        """Heartbeats for ever."""
        while self._set:
            await self._round()
            await self._process.clock.sleep(PERIOD_SECONDS)

    @property
    def primary(self) -> str:
        """The primary as seen from here; "" without a majority."""
        members = [member["host"] for member in self.config["members"]] if self.config else []
        alive = [host for host in members if host in self._healthy]
        return alive[0] if len(alive) > len(members) // 2 else ""

    def _state(self, host: str) -> tuple[int, str]:
        if host not in self._healthy:
            return 8, "(not reachable/healthy)"
        return (1, "PRIMARY") if host == self.primary else (2, "SECONDARY")

    def _status(self) -> Obj:
        assert self.config is not None
        rows = []
        for member in self.config["members"]:
            state, text = self._state(member["host"])
            row = {
                "_id": member["_id"],
                "name": member["host"],
                "health": int(state != 8),
                "state": state,
                "stateStr": text,
            }
            rows.append(row | ({"self": True} if member["host"] == self._me else {}))
        return {"set": self._set, "myState": self._state(self._me)[0], "members": rows, "ok": 1}

    def _hello(self) -> Obj:
        if not self.config:
            return {"isWritablePrimary": not self._set, "ok": 1}
        hosts = [member["host"] for member in self.config["members"]]
        return {"setName": self._set, "hosts": hosts, "primary": self.primary, "me": self._me,
                "isWritablePrimary": self.primary == self._me, "secondary": self.primary != self._me, "ok": 1}  # fmt: skip


def _with_port(host: str) -> str:
    return host if ":" in host else f"{host}:{PORT}"
