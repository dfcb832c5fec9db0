"""kuartui/pruner: tidies up dead pods with its service account's rights, as manifests/images/README.md says."""

from __future__ import annotations

import json
import ssl
from typing import Any

from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import ProtocolError, Request, Response, exchange, reply, server
from kuartui.embedded.network.tls import connect_tls
from kuartui.embedded.node.runtime.process import Process

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CALL_SECONDS = 5.0


class CallFailed(Exception):
    """A call was refused or did not arrive."""


class Pruner:
    """One running pruner."""

    def __init__(self, process: Process) -> None:
        env = process.env
        self.process = process
        self.interval = float(env.get("INTERVAL_SECONDS") or 5)
        self.policy = env.get("POLICY") or "prune-policy"
        self.port = int(env.get("PORT") or 8080)
        self.host = env.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        self.api_port = int(env.get("KUBERNETES_SERVICE_PORT") or 443)
        self.well = False

    async def run(self) -> int:
        self.process.listen(self.port, server(self._ready))
        self.process.background(self._rounds())
        await self.process.signals("TERM", "INT").get()
        return 0

    async def _ready(self, request: Request) -> Response:
        if request.path != "/readyz":
            return reply(404, "404 page not found\n")
        return reply(200, "ok\n") if self.well else reply(503, "the last round failed\n")

    async def _rounds(self) -> None:
        while True:
            try:
                pruned = await self._round()
            except CallFailed:
                self.well = False
                await self.process.out("round failed\n")
            else:
                self.well = True
                await self.process.out(f"round done: {pruned} pruned\n")
            await self.process.clock.sleep(self.interval)

    async def _round(self) -> int:
        namespace = self._account("namespace")
        root = f"/api/v1/namespaces/{namespace}"
        policy = await self._call("GET", f"{root}/configmaps/{self.policy}", f"GET configmaps/{self.policy}")
        phases = str((policy.get("data") or {}).get("phases", "")).split(",")
        pods = await self._call("GET", f"{root}/pods", "LIST pods")
        for pod in pods.get("items", []):
            name = pod["metadata"]["name"]
            if pod.get("status", {}).get("phase") in phases and not pod["metadata"].get("deletionTimestamp"):
                await self._call("DELETE", f"{root}/pods/{name}", f"DELETE pods/{name}")
                return 1
        return 0

    def _account(self, name: str) -> str:
        try:
            return self.process.read(f"{ACCOUNT}/{name}").decode().strip()
        except OSError as error:
            raise CallFailed(str(error)) from error

    async def _call(self, method: str, path: str, words: str) -> dict[str, Any]:
        """One call on a connection of its own, logged. Raises CallFailed."""
        try:
            async with self.process.clock.timeout(CALL_SECONDS):
                response = await self._exchange(method, path)
        except (OSError, ProtocolError, NameNotResolved, TimeoutError, ssl.SSLError) as error:
            await self.process.out(f"{words} failed: {error or type(error).__name__}\n")
            raise CallFailed(words) from error
        body: dict[str, Any] = json.loads(await response.read() or b"{}")
        if response.status >= 400:
            reason, message = body.get("reason", ""), body.get("message", "")
            await self.process.out(f"{words} {response.status} {reason}: {message}\n")
            raise CallFailed(words)
        await self.process.out(f"{words} {response.status}\n")
        return body

    async def _exchange(self, method: str, path: str) -> Response:
        stream = await self.process.connect(self.host, self.api_port, seconds=CALL_SECONDS)
        context = ssl.create_default_context(cadata=self._account("ca.crt"))
        plain = await connect_tls(stream, context, self.host)
        headers = [("Authorization", f"Bearer {self._account('token')}"), ("Accept", "application/json")]
        return await exchange(plain, method, path, self.host, headers)


async def pruner(process: Process) -> int:
    """The program."""
    return await Pruner(process).run()
