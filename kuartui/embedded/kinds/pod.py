"""Pods as objects of the API (pkg/registry/core/pod); what is in them is in the `pod_*` modules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import pod_row
from kuartui.embedded.kinds.base import Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.pod_defaults import default_pod
from kuartui.embedded.kinds.pod_resources import qos_class


@register("pods")
class Pods(Strategy):
    def default(self, obj: Obj) -> None:
        default_pod(obj)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj)}
        if (obj.get("spec") or {}).get("schedulingGates"):
            obj["status"]["conditions"] = [_GATED]

    def grace_period(self, obj: Obj, asked: int | None) -> int | None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            return 0
        seconds = asked if asked is not None else int(spec.get("terminationGracePeriodSeconds") or 0)
        return 1 if seconds < 0 else seconds

    def fields(self, obj: Obj) -> dict[str, str]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        addresses = status.get("podIPs") or [{}]
        return {
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase", ""),
            "status.podIP": addresses[0].get("ip", ""),
            "status.nominatedNodeName": status.get("nominatedNodeName", ""),
        }

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        return pod_row.row(obj, now)


_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "lastProbeTime": None,
    "lastTransitionTime": None,
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}
