"""What a mongod keeps: documents by collection, in a file of its data directory. Secondaries take over the primary's."""

from __future__ import annotations

import json
import posixpath
import secrets
from typing import Any

from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]


class Documents:
    """All collections of one mongod. `version` counts the writes: who has the higher one has more."""

    def __init__(self, process: Process, data: str, user: User) -> None:
        self._process, self._user = process, user
        self._path = posixpath.join(data, "collections.json")
        self._kept: Obj = {"version": 0, "collections": {}}
        if process.files.exists(self._path):
            self._kept = json.loads(process.files.read(self._path))

    @property
    def version(self) -> int:
        """How many writes there were."""
        return int(self._kept["version"])

    def insert(self, collection: str, document: Obj) -> Obj:
        """Keep a document; the server's answer."""
        document = {"_id": secrets.token_hex(12), **document}
        self._kept["collections"].setdefault(collection, []).append(document)
        self._kept["version"] += 1
        self._save()
        return {"acknowledged": True, "insertedId": document["_id"], "ok": 1}

    def find(self, collection: str, query: Obj) -> list[Obj]:
        """Documents whose fields are as in `query`, oldest first."""
        held = self._kept["collections"].get(collection, ())
        return [one for one in held if all(one.get(key) == value for key, value in query.items())]

    def all(self) -> Obj:
        """Everything, for a secondary."""
        return self._kept

    def take(self, everything: Obj) -> None:
        """Have what the primary has."""
        self._kept = everything
        self._save()

    def _save(self) -> None:
        self._process.files.write(self._path, json.dumps(self._kept).encode(), self._user)
