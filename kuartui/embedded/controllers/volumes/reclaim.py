"""What becomes of a volume whose claim is gone.

Volumes of external provisioners and CSI drivers are left to them. Of those that people made, the controller manager itself can delete
none but hostPaths below /tmp: it says so, and the volume is Failed. It can recycle hostPaths and NFS: a pod empties them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects, pods
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.quantity import parse

Obj = dict[str, Any]
Tell = Callable[[Obj, str, str, str], None]

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
RECYCLER = "recycler-for-"
RECYCLER_NAMESPACE = "default"
RECYCLER_IMAGE = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
SCRUB = 'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'
SHORTEST = {"hostPath": 60, "nfs": 300}  # seconds: --pv-recycler-minimum-timeout-…
SECONDS_PER_GIBIBYTE = 30


class Reclaimer:
    """Follows persistentVolumeReclaimPolicy. `free` makes a volume available again."""

    def __init__(self, client: Client, tell: Tell, free: Callable[[Obj], Awaitable[None]]) -> None:
        self._client = client
        self._tell = tell
        self._free = free

    async def reclaim(self, volume: Obj) -> str:
        """Reclaim a released volume; gives the message of a failure, "" if all is well."""
        policy = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
        if policy == "Retain" or PROVISIONED_BY in objects.annotations_of(volume):
            return ""
        if policy == "Recycle":
            return await self._recycle(volume)
        path = (volume["spec"].get("hostPath") or {}).get("path")
        name = objects.name_of(volume)
        if "csi" in volume["spec"]:
            return ""
        if path is None:
            text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
            return self._fail(volume, "VolumeFailedDelete", text)
        if not path.startswith("/tmp/"):  # noqa: S108  a path on a virtual node
            text = f"host_path deleter only supports /tmp/.+ but received provided {path}"
            return self._fail(volume, "VolumeFailedDelete", text)
        try:
            await self._client.delete("persistentvolumes", "", name)
        except StatusError as error:
            if error.code != 404:
                raise
        return ""

    async def _recycle(self, volume: Obj) -> str:
        """Start the pod that empties the volume, or do what follows from its end."""
        source = next((kind for kind in SHORTEST if kind in volume["spec"]), None)
        if source is None:
            return self._fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
        if volume.get("status", {}).get("phase") == "Failed":
            return ""
        pod = self._client.get("pods", RECYCLER_NAMESPACE, f"{RECYCLER}{objects.name_of(volume)}")
        if pod is None:
            await self._client.create("pods", _recycler(volume, source))
            return ""
        if not pods.finished(pod) or objects.being_deleted(pod):
            return ""
        for message in self._told(pod):
            self._tell(volume, "Normal", "RecyclerPod", f"Recycler pod: {message}")
        try:
            await self._client.delete("pods", RECYCLER_NAMESPACE, objects.name_of(pod), uid=objects.uid_of(pod))
        except StatusError as error:
            if error.code != 404:
                raise
        if pods.phase(pod) == "Failed":
            why = pod["status"].get("message") or "pod failed, pod.Status.Message unknown"
            return self._fail(volume, "VolumeFailedRecycle", f"Recycle failed: {why}")
        self._tell(volume, "Normal", "VolumeRecycled", "Volume recycled")
        await self._free(volume)
        return ""

    def _told(self, pod: Obj) -> list[str]:
        """What events say of a pod."""
        uid = objects.uid_of(pod)
        found = self._client.list("events", RECYCLER_NAMESPACE)
        return [event.get("message", "") for event in found if (event.get("involvedObject") or {}).get("uid") == uid]

    def _fail(self, volume: Obj, reason: str, text: str) -> str:
        if volume.get("status", {}).get("phase") != "Failed":
            self._tell(volume, "Warning", reason, text)
        return text


def _recycler(volume: Obj, source: str) -> Obj:
    """The pod that empties a volume."""
    size = parse((volume["spec"].get("capacity") or {}).get("storage", "0"))
    seconds = max(SHORTEST[source], size.milli // 1000 // (1 << 30) * SECONDS_PER_GIBIBYTE)
    container = {
        "name": "pv-recycler",
        "image": RECYCLER_IMAGE,
        "command": ["/bin/sh"],
        "args": ["-c", SCRUB],
        "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{RECYCLER}{objects.name_of(volume)}", "namespace": RECYCLER_NAMESPACE},
        "spec": {
            "activeDeadlineSeconds": seconds,
            "restartPolicy": "Never",
            "volumes": [{"name": "vol", source: volume["spec"][source]}],
            "containers": [container],
        },
    }
