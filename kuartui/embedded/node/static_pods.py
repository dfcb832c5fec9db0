"""Static pods: manifests in a directory of the node, and their mirrors in the API.

After pkg/kubelet/config/file.go and pkg/kubelet/pod/mirror_client.go. The containers belong to the file: who deletes the
mirror gets another one, who takes the file away ends the pod. The directory is looked at while somebody could change it,
that is, while a pod mounts that part of the node's disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from kuartui.embedded.meta.decode import parse_yaml
from kuartui.embedded.meta.errors import StatusError, not_found
from kuartui.embedded.node.volumes.disks import absolute

if TYPE_CHECKING:
    from kuartui.embedded.node.kubelet import Kubelet
    from kuartui.embedded.node.worker import PodWorker

Obj = dict[str, Any]
Name = tuple[str, str]  # namespace and name

log = logging.getLogger(__name__)

DIRECTORY = "/etc/kubernetes/manifests"  # staticPodPath of kubeadm
RETRY_SECONDS = 10.0  # after what the API refused
LOOK_SECONDS = 1.0  # inotify tells a real kubelet at once; a list every 20 seconds is its second way
HASH, MIRROR = "kubernetes.io/config.hash", "kubernetes.io/config.mirror"
SEEN, SOURCE = "kubernetes.io/config.seen", "kubernetes.io/config.source"


class Manifest(Struct, frozen=True):
    """A pod that a file describes; `hash` tells its versions apart."""

    pod: Obj
    hash: str


class BadManifest(Exception):
    """A file that is no manifest of a pod; the text is what the kubelet logs."""


def is_mirror(pod: Obj) -> bool:
    """Whether a pod of the API stands for a static one."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def shows_manifests(pod: Obj) -> bool:
    """Whether a pod mounts a part of the node's disk with the manifests in it."""
    paths = (absolute(v["hostPath"]["path"]) for v in pod["spec"].get("volumes") or () if "hostPath" in v)
    return any(path == "/" or f"{DIRECTORY}/".startswith(f"{path}/") for path in paths)


def manifest_of(text: bytes, node: str) -> Manifest:
    """What a file says, for this node. Raises BadManifest."""
    try:
        found = parse_yaml(text)
    except StatusError as error:
        raise BadManifest(str(error).splitlines()[0]) from None
    if not isinstance(found, dict) or found.get("kind") != "Pod" or found.get("apiVersion") != "v1":
        raise BadManifest("couldn't parse as pod(Object 'Kind' is missing or not a v1 Pod), please check config file")
    meta, spec = found.get("metadata"), found.get("spec")
    if not isinstance(meta, dict) or not meta.get("name") or not isinstance(spec, dict):
        raise BadManifest("invalid pod: metadata.name and spec are required")
    digest = hashlib.md5(f"host:{node}".encode() + text, usedforsecurity=False).hexdigest()
    annotations = {**(meta.get("annotations") or {}), HASH: digest, MIRROR: digest, SOURCE: "file"}
    kept = {key: value for key, value in meta.items() if key in ("labels", "finalizers")}
    tolerations = [*(spec.get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            "name": f"{meta['name']}-{node}",
            "namespace": meta.get("namespace") or "default",
            "annotations": annotations,
        },
        "spec": {**spec, "nodeName": node, "tolerations": tolerations},
    }
    return Manifest(pod, digest)


class StaticPods:
    """The static pods of one node. Nothing runs until somebody could have written a manifest."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._wanted: dict[Name, Manifest] = {}
        self._read: dict[str, tuple[bytes, Manifest | None]] = {}
        """Files as they were at the last look."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at the directory, now and while it is shown to a pod."""
        if self._task is None and self._kubelet.running:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._wake.set()

    def stop(self) -> None:
        """The kubelet stops."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def changed(self) -> None:
        """A mirror in the API, or a pod of this node, came, changed or went."""
        if self._task is not None:
            self._wake.set()

    # --- the loop ---

    async def _run(self) -> None:
        clock = self._kubelet.services.clock
        while True:
            self._wake.clear()
            self._look()
            complete = await self._reconcile()
            watched = any(shows_manifests(worker.pod) for worker in self._kubelet.workers.values())
            seconds = LOOK_SECONDS if watched else None if complete else RETRY_SECONDS
            timer = clock.call_later(seconds, self._wake.set) if seconds is not None else None
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _look(self) -> None:
        """Read the files that changed."""
        read: dict[str, tuple[bytes, Manifest | None]] = {}
        for path, text in self._files():
            known = self._read.get(path)
            if known is not None and known[0] == text:
                read[path] = known
                continue
            try:
                read[path] = text, manifest_of(text, self._kubelet.name)
            except BadManifest as error:
                read[path] = text, None
                message = "Could not process manifest file"
                self._kubelet.journal("E", "file.go:187", message, path=path, err=f"{path}: {error}")
        self._read = read
        manifests = [manifest for _, manifest in read.values() if manifest is not None]
        self._wanted = {(m.pod["metadata"]["namespace"], m.pod["metadata"]["name"]): m for m in manifests}

    def _files(self) -> Iterable[tuple[str, bytes]]:
        tree = self._kubelet.services.disks.tree(self._kubelet.name)
        for name in tree.listdir(DIRECTORY) if tree.is_dir(DIRECTORY) else ():
            path = posixpath.join(DIRECTORY, name)
            if not name.startswith(".") and tree.is_file(path):
                yield path, tree.read(path)

    # --- files, containers and mirrors, brought together ---

    async def _reconcile(self) -> bool:
        """Whether all of it could be done."""
        complete = True
        mirrors = {_name(pod): pod for pod in self._kubelet.mirrors()}
        workers = {_name(worker.pod): worker for worker in self._kubelet.workers.values() if is_mirror(worker.pod)}
        for name in {*self._wanted, *mirrors, *workers}:
            try:
                await self._one(self._wanted.get(name), mirrors.get(name), workers.get(name))
            except StatusError as error:
                pod = f"{name[0]}/{name[1]}"
                self._kubelet.journal("E", "kubelet.go:1752", "Failed creating a mirror pod", pod=pod, err=str(error))
                complete = False
        return complete

    async def _one(self, wanted: Manifest | None, mirror: Obj | None, worker: PodWorker | None) -> None:
        if worker is not None and (wanted is None or _hash(worker.pod) != wanted.hash):
            if not worker.gone:
                worker.removed()
            return  # it tells when it has ended
        if mirror is not None and (wanted is None or _hash(mirror) != wanted.hash or _leaving(mirror)):
            await self._delete(mirror)
            mirror = None
        if wanted is None:
            return
        if mirror is None:
            mirror = await self._create(wanted)
        if worker is None:
            self._kubelet.take(mirror)
        elif worker.uid != mirror["metadata"]["uid"]:
            self._kubelet.adopt(worker, mirror)

    async def _create(self, wanted: Manifest) -> Obj:
        services = self._kubelet.services
        found = services.node()
        if not found:  # somebody has deleted it; a mirror belongs to its node
            raise not_found("nodes", self._kubelet.name)
        node = found["metadata"]
        meta = dict(wanted.pod["metadata"])
        meta["annotations"] = {**meta["annotations"], SEEN: services.clock.now().isoformat().replace("+00:00", "Z")}
        owner = {"apiVersion": "v1", "kind": "Node", "name": node["name"], "uid": node["uid"], "controller": True}
        meta["ownerReferences"] = [owner]
        return await services.client.create("pods", {**wanted.pod, "metadata": meta})

    async def _delete(self, mirror: Obj) -> None:
        meta = mirror["metadata"]
        try:
            client = self._kubelet.services.client
            await client.delete("pods", meta["namespace"], meta["name"], uid=meta["uid"], grace=0)
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _name(pod: Obj) -> Name:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _hash(pod: Obj) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(MIRROR, ""))


def _leaving(pod: Obj) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
