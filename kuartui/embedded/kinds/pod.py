"""Pods as objects of the API (pkg/registry/core/pod); what is in them is in the `pod_*` modules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import pod_annotations, pod_label_keys, pod_row, pod_status, pod_update
from kuartui.embedded.kinds.base import OWN_METADATA, Obj, Strategy, WriteContext, register
from kuartui.embedded.kinds.pod_defaults import default_pod
from kuartui.embedded.kinds.pod_resources import qos_class
from kuartui.embedded.kinds.pod_spec import pod_errors
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden
from kuartui.embedded.meta.time import format_time

_NAME_WARNING = (
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
    "a DNS label is recommended"
)
_CONTAINERS = ("containers", "initContainers")
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "lastProbeTime": None,
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


@register("pods")
class Pods(Strategy):
    returns_deleted = True
    status_keeps = ("ownerReferences",)

    def at(self, subresource: str) -> Strategy:
        return {"ephemeralcontainers": _EPHEMERAL, "resize": _RESIZE, "binding": _BINDING}.get(subresource, self)

    def default(self, obj: Obj) -> None:
        default_pod(obj)

    def prepare_create(self, obj: Obj, ctx: WriteContext) -> None:
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj)}
        if (obj.get("spec") or {}).get("schedulingGates"):
            since = format_time(ctx.now) if ctx.now else None
            obj["status"]["conditions"] = [{**_GATED, "lastTransitionTime": since}]
        pod_label_keys.merge(obj)
        ctx.warnings += pod_annotations.confine(obj)

    def prepare_status_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        status, before = new.setdefault("status", {}), old.get("status") or {}
        if not status.get("qosClass") and before.get("qosClass"):
            status["qosClass"] = before["qosClass"]

    def canonicalize(self, obj: Obj) -> None:
        status = obj.get("status") or {}
        if "qosClass" in status:  # admission may have set requests since it was computed
            status["qosClass"] = qos_class(obj)

    def validate(self, obj: Obj) -> list[FieldError]:
        errors, spec, path = pod_errors(obj), obj.get("spec") or {}, Path("spec")
        if spec.get("ephemeralContainers"):
            errors.append(forbidden(path / "ephemeralContainers", "cannot be set on create"))
        if spec.get("nodeName") and spec.get("schedulingGates"):
            text = "cannot be set until all schedulingGates have been cleared"
            errors.append(forbidden(path / "nodeName", text))
        return errors + pod_annotations.contradictions(obj, path)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return pod_errors(new) + pod_annotations.changes(new, old) + pod_update.update_errors(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return pod_annotations.changes(new, old) + pod_status.update_errors(new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        from kuartui.embedded.kinds import pod_warnings

        if old is not None:  # updates of pods come from machines
            return []
        problems = names.dns1123_label(obj["metadata"].get("name", ""))
        found = [f"{_NAME_WARNING}: [{' '.join(problems)}]"] if problems else []
        return found + pod_warnings.warnings(obj, Path(), is_template=False)

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


class _EphemeralContainers(Pods):
    """pods/ephemeralcontainers: nothing else changes."""

    owned_fields = (("spec", "ephemeralContainers"),)

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        given = (new.get("spec") or {}).get("ephemeralContainers")
        new["spec"] = {field: value for field, value in old["spec"].items() if field != "ephemeralContainers"}
        if given:
            new["spec"]["ephemeralContainers"] = given
        new["status"] = old.get("status") or {}

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return pod_errors(new) + pod_annotations.changes(new, old) + pod_update.ephemeral_errors(new, old)


class _Binding(Pods):
    """pods/binding: the scheduler's decision, which no update of the pod may take back. It is no new generation."""

    generation = False

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return []


class _Resize(Pods):
    """pods/resize: resources of the pod and its containers, and what happens when they change."""

    owned_fields = (
        ("spec", "containers", "*", "resources"),
        ("spec", "containers", "*", "resizePolicy"),
        ("spec", "initContainers", "*", "resources"),
        ("spec", "initContainers", "*", "resizePolicy"),
        ("spec", "resources"),
    )

    def prepare_update(self, new: Obj, old: Obj, ctx: WriteContext) -> None:
        given, before = new.get("spec") or {}, old["spec"]
        if any(len(given.get(field) or []) != len(before.get(field) or []) for field in _CONTAINERS):
            return  # validation refuses it
        spec = dict(before)
        for field in _CONTAINERS:
            if field in before:
                spec[field] = _all_resized(before[field], given[field])
        _keep(spec, given, "resources")
        new["spec"] = spec
        new["status"] = old.get("status") or {}
        for name in OWN_METADATA:
            _keep(new["metadata"], old["metadata"], name)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        return pod_errors(new) + pod_update.resize_errors(new, old)


def _all_resized(containers: list[Obj], asked: list[Obj]) -> list[Obj]:
    """With the resources that are asked for; as they are asked for where others are meant, for validation to refuse."""
    if [container.get("name") for container in containers] != [container.get("name") for container in asked]:
        return asked
    return [_resized(container, wanted) for container, wanted in zip(containers, asked, strict=True)]


def _resized(container: Obj, asked: Obj) -> Obj:
    result = dict(container)
    for field in ("resources", "resizePolicy"):
        _keep(result, asked, field)
    return result


def _keep(target: Obj, source: Obj, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


_EPHEMERAL = _EphemeralContainers()
_RESIZE = _Resize()
_BINDING = _Binding()
