"""kuard's in-memory work queue, at /memq/server."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.clock import Clock
from kuartui.embedded.network.http import Request, Response, reply


class Queue(Struct):
    """One named queue."""

    name: str
    messages: deque[dict[str, Any]] = field(default_factory=deque)
    enqueued: int = 0
    dequeued: int = 0
    drained: int = 0

    def stats(self) -> dict[str, object]:
        """As /stats lists it."""
        return {
            "name": self.name,
            "depth": len(self.messages),
            "enqueued": self.enqueued,
            "dequeued": self.dequeued,
            "drained": self.drained,
        }


class Broker:
    """All queues of one kuard."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: dict[str, Queue] = {}

    async def handle(self, request: Request, rest: str) -> Response:
        """stats, queues/NAME, queues/NAME/enqueue|dequeue|drain."""
        if rest == "stats":
            return _json({"kind": "stats", "queues": [queue.stats() for queue in self._queues.values()]})
        parts = rest.split("/")
        if parts[0] != "queues" or not 2 <= len(parts) <= 3:
            return reply(404, "404 page not found\n")
        name, action = parts[1], parts[2] if len(parts) > 2 else ""
        if not action:
            return self._whole(request.method, name)
        queue = self._queues.get(name)
        if request.method != "POST":
            return reply(405, "Method Not Allowed\n")
        if queue is None:
            return reply(404, "queue not found\n")
        return self._action(queue, action, request)

    def _whole(self, method: str, name: str) -> Response:
        if method == "PUT":
            self._queues.setdefault(name, Queue(name))
            return reply(200)
        if method == "DELETE":
            return reply(200) if self._queues.pop(name, None) else reply(404, "queue not found\n")
        return reply(405, "Method Not Allowed\n")

    def _action(self, queue: Queue, action: str, request: Request) -> Response:
        if action == "enqueue":
            queue.enqueued += 1
            digest = hashlib.sha256(f"{queue.name}{queue.enqueued}".encode()).hexdigest()[:32]
            message = {
                "kind": "message",
                "id": digest,
                "created": self._clock.now().isoformat(),
                "body": request.body.decode(errors="replace"),
            }
            queue.messages.append(message)
            return _json(message)
        if action == "dequeue":
            if not queue.messages:
                return reply(204)
            queue.dequeued += 1
            return _json(queue.messages.popleft())
        if action == "drain":
            queue.drained += len(queue.messages)
            queue.messages.clear()
            return reply(200)
        return reply(404, "404 page not found\n")


def _json(value: object) -> Response:
    return reply(200, json.dumps(value), "application/json")
