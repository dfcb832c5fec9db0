"""DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or not reachable.

plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin

Obj = dict[str, Any]

SECONDS = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerations(Plugin):
    async def mutate(self, attributes: Attributes) -> None:
        if attributes.resource != "pods" or attributes.subresource or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        found = spec.get("tolerations") or []
        missing = [taint for taint in TAINTS if not any(_tolerates(toleration, taint) for toleration in found)]
        if missing:
            spec["tolerations"] = [*found, *map(_toleration, missing)]


def _tolerates(toleration: Obj, taint: str) -> bool:
    return toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute")


def _toleration(taint: str) -> Obj:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
