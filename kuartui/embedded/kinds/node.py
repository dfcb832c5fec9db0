"""Nodes: taints, addresses, the row with roles and versions (pkg/registry/core/node, printNode)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.checks import cidr
from kuartui.embedded.kinds.pod_resources import amount
from kuartui.embedded.kinds.pod_scheduling import taints
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


@register("nodes")
class Nodes(Strategy):
    generation = False
    created_with_status = True

    def default(self, obj: Obj) -> None:
        _same_cidrs(obj.setdefault("spec", {}))
        status = obj.get("status") or {}
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        if obj["spec"].pop("configSource", None) is not None:
            ctx.warnings.append("spec.configSource: the feature is no longer supported")

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        self.prepare_create(new, ctx)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        if not (obj.get("spec") or {}).get("externalID"):
            return []
        return ["spec.externalID: this field is deprecated, and is unused by Kubernetes"]

    def validate(self, obj: Obj) -> list[FieldError]:
        spec, path = obj.get("spec") or {}, Path("spec")
        errors = taints(spec.get("taints") or [], Path("metadata.taints"))  # the path is Kubernetes' own slip
        cidrs = spec.get("podCIDRs") or []
        for index, value in enumerate(cidrs):
            errors += cidr(value, (path / "podCIDRs").index(index))
        families = [":" in value for value in cidrs]
        if len(set(families)) < len(families):
            text = "may specify no more than one CIDR for each IP family"
            errors.append(invalid(path / "podCIDRs", cidrs, text))
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
        errors = _amounts(new) + _doubles(new) + errors + taints(spec.get("taints") or [], Path("metadata.taints"))
        if before.get("externalID", "") != spec.get("externalID", ""):
            errors.append(forbidden(path / "externalID", "may not be updated"))
        return errors

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return _amounts(new) + _doubles(new)

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
            _kernel(info),
            info.get("containerRuntimeVersion") or "<unknown>",
        ]


def _kernel(info: Obj) -> str:
    """The kernel, and for which processors it is: "6.8.0-100-generic (amd64)"."""
    version, architecture = info.get("kernelVersion") or "<unknown>", info.get("architecture")
    return f"{version} ({architecture})" if architecture else version


def roles(node: Obj) -> list[str]:
    """Roles that the labels tell, sorted."""
    found = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(_ROLE_PREFIX) and len(key) > len(_ROLE_PREFIX):
            found.add(key[len(_ROLE_PREFIX) :])
        elif key == _ROLE_LABEL and value:
            found.add(value)
    return sorted(found)


def _same_cidrs(spec: Obj) -> None:
    """podCIDR is what podCIDRs begins with (pkg/apis/core/v1/conversion.go): who sets one, sets both."""
    one, all_ = spec.get("podCIDR"), spec.get("podCIDRs")
    if one and (not all_ or all_[0] != one):
        spec["podCIDRs"] = [one]
    elif all_ and not one:
        spec["podCIDR"] = all_[0]


def _doubles(node: Obj) -> list[FieldError]:
    addresses = (node.get("status") or {}).get("addresses") or []
    return [
        duplicate(Path("status.addresses").index(index), {"Type": one.get("type", ""), "Address": one["address"]})
        for index, one in enumerate(addresses)
        if one in addresses[:index]
    ]


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
