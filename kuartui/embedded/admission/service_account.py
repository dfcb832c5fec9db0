"""ServiceAccount: pods run as an account, with a token mounted unless somebody declines.

kubernetes/plugin/pkg/admission/serviceaccount.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.random import suffix
from kuartui.embedded.store import Store

Obj = dict[str, Any]

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"
TOKEN_SECONDS = 3607


class ServiceAccount(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if attributes.resource != "pods" or attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        spec = pod["spec"]
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._store.get("serviceaccounts", attributes.namespace, name)
        if account is None:
            why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
            raise errors.forbidden("pods", attributes.name, why)
        if self._mounts(spec, account.data):
            _mount(spec)
        if not spec.get("imagePullSecrets") and account.data.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account.data["imagePullSecrets"]]

    def _mounts(self, spec: Obj, account: Obj) -> bool:
        for wish in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
            if wish is not None:
                return bool(wish)
        return True


def _mount(spec: Obj) -> None:
    """A projected volume, and its mount in each container that has none there."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    bare = [c for c in containers if not any(m.get("mountPath") == MOUNT_PATH for m in c.get("volumeMounts") or ())]
    if not bare:
        return
    name = next((v["name"] for v in spec.get("volumes") or () if v["name"].startswith("kube-api-access-")), "")
    if not name:
        name = f"kube-api-access-{suffix()}"
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": _projection()}]
    for container in bare:
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def _projection() -> Obj:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 420,
    }
