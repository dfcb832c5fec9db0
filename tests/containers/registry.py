"""A registry on loopback, as much of the distribution protocol as an engine needs to pull: what it has can be moved and
taken away. Docker talks plain HTTP to 127.0.0.0/8."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

from aiohttp import web

from tests.containers.standin import add

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Registry:
    """`handle` answers requests; `asked` are the manifests that were asked for."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.asked: list[str] = []
        self.salt = ""  # in all contents

    def push(self, tag: str, text: str, *platforms: str) -> str:
        """An image with one file for each of these platforms (linux/amd64), by one index; its digest."""
        listed = []
        for platform in platforms:
            system, _, architecture = platform.partition("/")
            manifest = self._manifest(f"{text} for {platform} {self.salt}", system, architecture)
            listed.append({**manifest, "platform": {"os": system, "architecture": architecture}})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        self.tags[tag] = self._store(json.dumps(index).encode(), INDEX)["digest"]
        return self.tags[tag]

    def _manifest(self, text: str, system: str, architecture: str) -> dict[str, Any]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            add(archive, "text", text.encode(), 0o644)
        layer = buffer.getvalue()
        inside = {"type": "layers", "diff_ids": [_digest(layer)]}
        config = {"os": system, "architecture": architecture, "config": {}, "rootfs": inside}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._store(json.dumps(config).encode(), CONFIG),
            "layers": [self._store(gzip.compress(layer, mtime=0), LAYER)],
        }
        return self._store(json.dumps(manifest).encode(), MANIFEST)

    def _store(self, data: bytes, kind: str) -> dict[str, Any]:
        digest = _digest(data)
        self.blobs[digest], self.types[digest] = data, kind
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    async def handle(self, request: web.Request) -> web.Response:
        if request.path == "/v2/":
            return web.json_response({})
        _, what, reference = request.path.rsplit("/", 2)
        digest = self.tags.get(reference, reference)
        if what == "manifests":  # Docker's containerd image store asks by HEAD first
            self.asked.append(reference)
        if digest not in self.blobs:
            code = "MANIFEST_UNKNOWN" if what == "manifests" else "BLOB_UNKNOWN"
            return web.json_response({"errors": [{"code": code, "message": f"{what[:-1]} unknown"}]}, status=404)
        return web.Response(
            body=self.blobs[digest], content_type=self.types[digest], headers={"Docker-Content-Digest": digest}
        )


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
