"""kuartui/pruner: removes dead pods with its service account. See manifests/images/README.md."""

from __future__ import annotations

from kuartui.embedded.images.programs.api_client import Answer, ApiClient
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process


class Pruner:
    """Rounds of looking and deleting."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._api = ApiClient(process)
        self._policy = process.env.get("POLICY", "prune-policy")
        self.ready = False

    async def handle(self, request: Request) -> Response:
        """Serve /readyz."""
        if request.path != "/readyz":
            return reply(404, "not found\n")
        return reply(200, "ok") if self.ready else reply(503, "last round failed")

    async def round(self) -> bool:
        """One round; whether it went well."""
        base = f"/api/v1/namespaces/{self._api.namespace}"
        policy = await self._call("GET", f"configmaps/{self._policy}", f"{base}/configmaps/{self._policy}")
        if not policy.ok:
            return False
        pods = await self._call("LIST", "pods", f"{base}/pods")
        if not pods.ok:
            return False
        phases = {word.strip() for word in policy.body.get("data", {}).get("phases", "").split(",")} - {""}
        pruned = 0
        for pod in pods.body.get("items", ()):
            if pod.get("status", {}).get("phase") in phases and not pod["metadata"].get("deletionTimestamp"):
                name = pod["metadata"]["name"]
                answer = await self._call("DELETE", f"pods/{name}", f"{base}/pods/{name}")
                if not answer.ok:
                    return False
                pruned = 1
                break
        await self._process.out(f"round done: {pruned} pruned\n")
        return True

    async def _call(self, verb: str, what: str, path: str) -> Answer:
        answer = await self._api.call("GET" if verb == "LIST" else verb, path)
        await self._process.out(f"{verb} {what} {answer.text}\n")
        return answer

    async def rounds(self, interval: float) -> None:
        """Round after round."""
        while True:
            self.ready = await self.round()
            if not self.ready:
                await self._process.out("round failed\n")
            await self._process.clock.sleep(interval)


async def pruner(process: Process) -> int:
    """Work until told to stop."""
    app = Pruner(process)
    try:
        interval = float(process.env.get("INTERVAL_SECONDS", "5"))
        process.listen(int(process.env.get("PORT", "8080")), server(app.handle))
    except (OSError, ValueError) as error:
        await process.err(f"pruner: {error}\n")
        return 1
    stop = process.signals("TERM", "INT")
    process.background(app.rounds(interval))
    await stop.get()
    return 0
