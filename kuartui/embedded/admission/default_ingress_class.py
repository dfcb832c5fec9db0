"""An Ingress that names no class gets the default one; of several the newest.

kubernetes/plugin/pkg/admission/network/defaultingressclass.
"""

from __future__ import annotations

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.store import Store

CLASSES = "ingressclasses.networking.k8s.io"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"
LEGACY_CLASS = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        ingress = attributes.obj
        if attributes.resource != "ingresses.networking.k8s.io" or attributes.operation != "CREATE" or ingress is None:
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or LEGACY_CLASS in (ingress["metadata"].get("annotations") or {}):
            return
        candidates = [
            stored
            for stored in self._store.list(CLASSES)  # by name
            if (stored.data["metadata"].get("annotations") or {}).get(DEFAULT) == "true"
        ]
        if candidates:
            spec["ingressClassName"] = max(
                candidates, key=lambda stored: stored.data["metadata"]["creationTimestamp"]
            ).key.name
