"""What Deployments, ReplicaSets, StatefulSets, DaemonSets and ReplicationControllers have in common."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.pod_defaults import default_template

Obj = dict[str, Any]


def default_workload(obj: Obj) -> Obj:
    """Default the pod template; the spec, for more."""
    spec: Obj = obj.setdefault("spec", {})
    spec.setdefault("template", {})
    default_template(spec["template"])
    return spec


def replicas(spec: Obj) -> int:
    """How many are asked for: one, unless said."""
    asked = spec.get("replicas")
    return 1 if asked is None else int(asked)
