"""What becomes of a volume whose claim is gone.

Volumes of external provisioners are left to them. Of those that people made, the controller manager itself can delete
none but hostPaths below /tmp, and recycle none: it says so, and the volume is Failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.controllers import objects
from kuartui.embedded.meta.errors import StatusError

Obj = dict[str, Any]
Tell = Callable[[Obj, str, str, str], None]

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


class Reclaimer:
    """Follows persistentVolumeReclaimPolicy."""

    def __init__(self, client: Client, tell: Tell) -> None:
        self._client = client
        self._tell = tell

    async def reclaim(self, volume: Obj) -> str:
        """Reclaim a released volume; gives the message of a failure, "" if all is well."""
        policy = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
        if policy == "Retain" or PROVISIONED_BY in objects.annotations_of(volume):
            return ""
        if policy == "Recycle":
            return self._fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
        path = (volume["spec"].get("hostPath") or {}).get("path")
        name = objects.name_of(volume)
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

    def _fail(self, volume: Obj, reason: str, text: str) -> str:
        if volume.get("status", {}).get("phase") != "Failed":
            self._tell(volume, "Warning", reason, text)
        return text
