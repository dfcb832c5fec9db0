"""How a program in a pod talks to the cluster's API: with its service account, over TLS, at the Service `kubernetes`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct

from kuartui.embedded.images.applets.web import Fetch, Url, open_client, send
from kuartui.embedded.network.http import Client, ProtocolError
from kuartui.embedded.node.runtime.process import Process

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SECONDS = 10.0


class Answer(Struct, frozen=True):
    """What the API server said; `status` 0 means that it did not."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it was a success."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """`200`, or `403 Forbidden: pods is forbidden: …`."""
        if self.ok:
            return str(self.status)
        words = [str(self.status) if self.status else "", self.body.get("reason", ""), self.body.get("message", "")]
        head = " ".join(word for word in words[:2] if word)
        return f"{head}: {words[2]}" if words[2] else head


class ApiClient:
    """One connection for all calls, as long as it lasts; the token is read anew each time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._kept: Client | None = None
        self._kept_for: tuple[str, int, bytes] = ("", 0, b"")
        """Whom it leads to, and who vouched for that."""

    @property
    def namespace(self) -> str:
        """The namespace of the token."""
        try:
            return self._process.files.read(f"{ACCOUNT}/namespace", self._process.user).decode().strip()
        except OSError:
            return "default"

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, media: str = "application/json"
    ) -> Answer:
        """One call; never raises for what can go wrong on the way."""
        client: Client | None = None
        try:
            fetch = self._fetch(method, path, body, media)
            async with self._process.clock.timeout(SECONDS):
                client = await self._connection(fetch)
                response = await send(client, fetch)
                data = await response.read()
            self._keep(client, fetch)
            client = None
            return Answer(response.status, json.loads(data) if data else {})
        except (OSError, ProtocolError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or "timed out"
            return Answer(0, {"message": f"cannot reach the API server: {why}"})
        finally:
            if client is not None:
                client.close()

    async def _connection(self, fetch: Fetch) -> Client:
        """The one from the last call, unless somebody is using it, it has ended, or it led elsewhere."""
        client, self._kept = self._kept, None
        if client is not None and self._kept_for == _whom(fetch) and not (client.stream.closed or client.stream.at_end):
            return client
        if client is not None:
            client.close()
        return await open_client(self._process, fetch)

    def _keep(self, client: Client, fetch: Fetch) -> None:
        if self._kept is not None or client.stream.closed:
            client.close()
        else:
            self._kept, self._kept_for = client, _whom(fetch)

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Events of a watch, until the server ends it. Raises OSError or ProtocolError."""
        fetch = self._fetch("GET", path + ("&" if "?" in path else "?") + "watch=true", None, "")
        client = await open_client(self._process, fetch)
        try:
            response = await send(client, fetch)
            if isinstance(response.body, bytes) or response.status != 200:
                raise ProtocolError(f"watch {path}: {response.status}")
            left = b""
            async for chunk in response.body:
                *lines, left = (left + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        finally:
            client.close()

    def _fetch(self, method: str, path: str, body: dict[str, Any] | None, media: str) -> Fetch:
        env, files, user = self._process.env, self._process.files, self._process.user
        host = env.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = int(env.get("KUBERNETES_SERVICE_PORT", "443"))
        token = files.read(f"{ACCOUNT}/token", user).decode().strip()
        headers = [
            ("Authorization", f"Bearer {token}"),
            ("Accept", "application/json"),
            ("User-Agent", self._process.argv[0]),
        ]
        if body is not None:
            headers.append(("Content-Type", media))
        data = json.dumps(body).encode() if body is not None else b""
        authority = files.read(f"{ACCOUNT}/ca.crt", user)
        return Fetch(Url("https", host, port, path), method, headers, data, ca=authority, connect_seconds=SECONDS)


def _whom(fetch: Fetch) -> tuple[str, int, bytes]:
    return fetch.url.host, fetch.url.port, fetch.ca
