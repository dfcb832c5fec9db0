"""kuartui/operator: makes Deployments of custom resources with its service account. See manifests/images/README.md."""

from __future__ import annotations

import secrets
from typing import Any

from kuartui.embedded.images.programs.api_client import Answer, ApiClient
from kuartui.embedded.network.http import ProtocolError, Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

IMAGE = "gcr.io/kuar-demo/kuard-amd64:blue"
MERGE = "application/merge-patch+json"


class Operator:
    """Lists what it owns, reconciles each, then watches for the next change."""

    def __init__(self, process: Process) -> None:
        env = process.env
        self._process = process
        self._api = ApiClient(process)
        self._group = env.get("GROUP", "demo.kuar.io")
        self._version = env.get("VERSION", "v1")
        self._resource = env.get("RESOURCE", "kuards")
        self._namespace = env.get("WATCH_NAMESPACE", "")
        self._resync = float(env.get("RESYNC_SECONDS", "5"))
        self.ready = False

    @property
    def what(self) -> str:
        """What it looks after, for its log."""
        return f"{self._resource}.{self._group} in {self._namespace or 'all namespaces'}"

    async def handle(self, request: Request) -> Response:
        """Serve /readyz and /healthz."""
        if request.path == "/healthz" or (request.path == "/readyz" and self.ready):
            return reply(200, "ok")
        return reply(503, "last round failed") if request.path == "/readyz" else reply(404, "not found\n")

    def _path(self, namespace: str = "", name: str = "") -> str:
        base = f"/apis/{self._group}/{self._version}"
        return base + (f"/namespaces/{namespace}" if namespace else "") + f"/{self._resource}" + (name and f"/{name}")

    async def _call(self, verb: str, path: str, body: Obj | None = None, media: str = "application/json") -> Answer:
        method = {"LIST": "GET"}.get(verb, verb)
        answer = await self._api.call(method, path, body, media)
        if not answer.ok and not (verb == "GET" and answer.status == 404):
            await self._process.out(f"error: {verb} {path}: {answer.text}\n")
        return answer

    async def round(self) -> str:
        """Reconcile everything; the resourceVersion to watch from, or "" if something failed."""
        listed = await self._call("LIST", self._path(self._namespace))
        if not listed.ok:
            return ""
        done = [await self._reconcile(owner) for owner in listed.body.get("items", ())]
        return str(listed.body["metadata"].get("resourceVersion", "")) if all(done) else ""

    async def _reconcile(self, owner: Obj) -> bool:
        meta, spec = owner["metadata"], owner.get("spec") or {}
        if meta.get("deletionTimestamp"):
            return True
        size, image = int(spec.get("size", 1)), str(spec.get("image", IMAGE))
        base = f"/apis/apps/v1/namespaces/{meta['namespace']}/deployments"
        found = await self._call("GET", f"{base}/{meta['name']}")
        if found.status == 404:
            found = await self._call("POST", base, _deployment(owner, size, image))
            if found.ok:
                await self._process.out(f"created deployment {meta['namespace']}/{meta['name']}, {size} replicas\n")
                await self._event(owner)
        elif found.ok:
            if not _owns(owner, found.body):
                await self._process.out(
                    f"error: deployment {meta['namespace']}/{meta['name']} exists and is not controlled by this object\n"
                )
                return False
            found = await self._correct(found.body, f"{base}/{meta['name']}", size, image)
        return found.ok and await self._report(owner, found.body)

    async def _correct(self, deployment: Obj, path: str, size: int, image: str) -> Answer:
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        if deployment["spec"].get("replicas") == size and container["image"] == image:
            return Answer(200, deployment)
        template = {"spec": {"containers": [{**container, "image": image}]}}
        patched = await self._call("PATCH", path, {"spec": {"replicas": size, "template": template}}, MERGE)
        if patched.ok:
            await self._process.out(
                f"updated deployment {deployment['metadata']['name']}: {size} replicas of {image}\n"
            )
        return patched

    async def _report(self, owner: Obj, deployment: Obj) -> bool:
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        if (owner.get("status") or {}).get("ready") == ready:
            return True
        meta = owner["metadata"]
        body = {**owner, "status": {**(owner.get("status") or {}), "ready": ready}}
        answer = await self._call("PUT", self._path(meta["namespace"], meta["name"]) + "/status", body)
        return answer.ok or answer.status == 409  # somebody was faster; the next round sees it

    async def _event(self, owner: Obj) -> None:
        meta = owner["metadata"]
        now = f"{self._process.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        involved = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"],
                    "namespace": meta["namespace"], "uid": meta["uid"]}  # fmt: skip
        event = {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{meta['name']}.{secrets.token_hex(8)}", "namespace": meta["namespace"]},
            "involvedObject": involved, "reason": "Created", "message": f"Created deployment {meta['name']}", "type": "Normal",
            "source": {"component": "kuard-operator"}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        }  # fmt: skip
        await self._call("POST", f"/api/v1/namespaces/{meta['namespace']}/events", event)

    async def run(self) -> None:
        """Round after round; between two, whichever comes first: an event or the resync."""
        while True:
            version = await self.round()
            self.ready = bool(version)
            try:
                async with self._process.clock.timeout(self._resync):
                    if version:
                        await self._next_event(version)
                    else:
                        await self._process.clock.sleep(self._resync)
            except TimeoutError:
                continue

    async def _next_event(self, version: str) -> None:
        path = f"{self._path(self._namespace)}?resourceVersion={version}"
        try:
            async for _ in self._api.watch(path):
                return
        except (OSError, ProtocolError) as error:
            if isinstance(error, TimeoutError):
                raise
            await self._process.out(f"error: WATCH {path}: {error}\n")
            await self._process.clock.sleep(self._resync)


def _owns(owner: Obj, deployment: Obj) -> bool:
    references = deployment["metadata"].get("ownerReferences") or ()
    return any(ref.get("controller") and ref["uid"] == owner["metadata"]["uid"] for ref in references)


def _deployment(owner: Obj, size: int, image: str) -> Obj:
    meta = owner["metadata"]
    labels = {"app": meta["name"], "app.kubernetes.io/managed-by": "kuard-operator"}
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"],
                 "controller": True, "blockOwnerDeletion": True}  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [reference],
        },
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": {"app": meta["name"]}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "kuard", "image": image}]}},
        },
    }


async def operator(process: Process) -> int:
    """Work until told to stop."""
    try:
        app = Operator(process)
        process.listen(int(process.env.get("PORT", "8080")), server(app.handle))
    except (OSError, ValueError) as error:
        await process.err(f"operator: {error}\n")
        return 1
    stop = process.signals("TERM", "INT")
    await process.out(f"operator: watching {app.what}\n")
    process.background(app.run())
    await stop.get()
    return 0
