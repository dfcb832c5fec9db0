"""Nodes: taints, addresses, the row with roles and versions (pkg/registry/core/node, printNode)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.kinds.checks import cidr
from kuartui.embedded.kinds.pod_resources import amount
from kuartui.embedded.kinds.pod_scheduling import taints
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


@register("nodes")
class Nodes(Strategy):
    generation = False
    created_with_status = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {})
        status = obj.get("status") or {}
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = taints(spec.get("taints") or [], Path("metadata.taints"))  # the path is Kubernetes' own slip
        for index, value in enumerate(spec.get("podCIDRs") or []):
            errors += cidr(value, (path / "podCIDRs").index(index))
        return errors + _amounts(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        spec, before, path = new.get("spec") or {}, old.get("spec") or {}, Path("spec")
        errors = []
        if before.get("podCIDRs") and before["podCIDRs"] != spec.get("podCIDRs"):
            text = 'node updates may not change podCIDR except from "" to valid'
            errors.append(forbidden(path / "podCIDRs", text))
        if before.get("providerID") and before["providerID"] != spec.get("providerID"):
            text = 'node updates may not change providerID except from "" to valid'
            errors.append(forbidden(path / "providerID", text))
        return errors + taints(spec.get("taints") or [], Path("metadata.taints")) + _amounts(new)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return _amounts(new)

    def fields(self, obj: Obj) -> dict[str, str]:
        return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        status = obj.get("status") or {}
        info = status.get("nodeInfo") or {}
        return [
            cells.name(obj),
            _status(obj),
            ",".join(roles(obj)) or cells.NONE,
            cells.age(obj, now),
            info.get("kubeletVersion", ""),
            _address(status, "InternalIP"),
            _address(status, "ExternalIP"),
            info.get("osImage") or "<unknown>",
            info.get("kernelVersion") or "<unknown>",
            info.get("containerRuntimeVersion") or "<unknown>",
        ]


def roles(node: Obj) -> list[str]:
    """Roles that the labels tell, sorted."""
    found = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(_ROLE_PREFIX) and len(key) > len(_ROLE_PREFIX):
            found.add(key[len(_ROLE_PREFIX) :])
        elif key == _ROLE_LABEL and value:
            found.add(value)
    return sorted(found)


def _amounts(node: Obj) -> list[FieldError]:
    status = node.get("status") or {}
    return [
        error
        for field in ("capacity", "allocatable")
        for name, text in (status.get(field) or {}).items()
        for error in amount(name, text, Path("status") / field / name)
    ]


def _status(node: Obj) -> str:
    ready = "Unknown"
    for condition in (node.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Ready":
            ready = "Ready" if condition.get("status") == "True" else "NotReady"
    return ready + (",SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else "")


def _address(status: Obj, kind: str) -> str:
    for address in status.get("addresses") or []:
        if address.get("type") == kind:
            return str(address.get("address", ""))
    return cells.NONE
