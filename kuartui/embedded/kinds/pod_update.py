"""What may change in a pod: little (ValidatePodUpdate and its relatives in pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds import go_structs
from kuartui.embedded.kinds.checks import MAX_INT32
from kuartui.embedded.kinds.pod_annotations import MIRROR
from kuartui.embedded.kinds.pod_resources import qos_class
from kuartui.embedded.kinds.pod_scheduling import tolerations
from kuartui.embedded.meta import quantity
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid

Obj = dict[str, Any]

_UPDATABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)


def update_errors(new: Obj, old: Obj) -> list[FieldError]:
    """A change of a pod itself."""
    spec, before, path = new.get("spec") or {}, old.get("spec") or {}, Path("spec")
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or []) != len(before.get(field) or []):
            return [forbidden(path / field, "pod updates may not add or remove containers")]
    errors, fatal = _deadline(spec, before, path / "activeDeadlineSeconds")
    if fatal:
        return errors
    errors += _tolerations(spec, before, path / "tolerations")
    errors += _gates(spec, before, path / "schedulingGates")
    if spec == before:
        return errors
    munged = _munged(spec, before)
    if before.get("schedulingGates"):
        errors += _gated(munged, before, path)
    if munged != before:
        diff = go_structs.difference(go_structs.render_pod_spec(before), go_structs.render_pod_spec(munged))
        errors.append(forbidden(path, f"pod updates may not change fields other than {_UPDATABLE}\n{diff}"))
    return errors


def _deadline(spec: Obj, before: Obj, path: Path) -> tuple[list[FieldError], bool]:
    """(errors, whether nothing else is looked at)."""
    deadline, previous = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if deadline is None:
        if previous is None:
            return [], False
        return [invalid(path, None, "must not update from a positive integer to nil value")], False
    if not 0 <= deadline <= MAX_INT32:
        return [invalid(path, deadline, f"must be between 0 and {MAX_INT32}, inclusive")], True
    if previous is not None and previous < deadline:
        return [invalid(path, deadline, "must be less than or equal to previous value")], True
    return [], False


def _tolerations(spec: Obj, before: Obj, path: Path) -> list[FieldError]:
    def without_seconds(toleration: Obj) -> Obj:
        return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}

    given = spec.get("tolerations") or []
    kept = [without_seconds(toleration) for toleration in given]
    if any(without_seconds(toleration) not in kept for toleration in before.get("tolerations") or []):
        return [forbidden(path, "existing toleration can not be modified except its tolerationSeconds")]
    return tolerations(given, path)


def _gates(spec: Obj, before: Obj, path: Path) -> list[FieldError]:
    known = {gate.get("name") for gate in before.get("schedulingGates") or []}
    return [
        forbidden(
            path.index(index) / "name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'",
        )
        for index, gate in enumerate(spec.get("schedulingGates") or [])
        if gate.get("name") not in known
    ]


def _munged(spec: Obj, before: Obj) -> Obj:
    """The new spec with all that may change put back."""
    munged = dict(spec)
    for field in ("containers", "initContainers"):
        if field in munged:
            pairs = zip(munged[field] or [], before.get(field) or [], strict=True)
            munged[field] = [{**container, "image": old.get("image", "")} for container, old in pairs]
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _copy(munged, before, field)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _copy(target: Obj, source: Obj, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


def _gated(munged: Obj, before: Obj, path: Path) -> list[FieldError]:
    """While a pod is held back by gates, where it may run can be narrowed."""
    errors: list[FieldError] = []
    wanted, had = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(wanted.get(key) != value for key, value in had.items()):
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(invalid(path / "nodeSelector", wanted, text))
    _copy(munged, before, "nodeSelector")
    node = (munged.get("affinity") or {}).get("nodeAffinity")
    old = (before.get("affinity") or {}).get("nodeAffinity")
    if node != old:
        errors += _narrowed(node or {}, old or {}, path / "affinity" / "nodeAffinity")
        affinity = dict(munged.get("affinity") or {})
        affinity.pop("nodeAffinity", None)
        if old is not None:
            affinity["nodeAffinity"] = old
        munged["affinity"] = affinity
        if not affinity and "affinity" not in before:
            del munged["affinity"]
    return errors


def _narrowed(node: Obj, old: Obj, path: Path) -> list[FieldError]:
    field = "requiredDuringSchedulingIgnoredDuringExecution"
    before = (old.get(field) or {}).get("nodeSelectorTerms") or []
    after = (node.get(field) or {}).get("nodeSelectorTerms") or []
    at = path / field / "nodeSelectorTerms"
    if before and len(before) != len(after):
        shown = go_structs.render("NodeSelector", {"nodeSelectorTerms": after})["NodeSelectorTerms"]
        return [invalid(at, shown, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    errors = []
    for index, (term, was) in enumerate(zip(after, before, strict=False)):
        for part in ("matchExpressions", "matchFields"):
            had = was.get(part) or []
            if (term.get(part) or [])[: len(had)] != had:
                text = "only additions are allowed (no mutations or deletions)"
                errors.append(invalid(at.index(index), go_structs.render("NodeTerm", term), text))
                break
    return errors


def ephemeral_errors(new: Obj, old: Obj) -> list[FieldError]:
    """A change through pods/ephemeralcontainers: containers may come, never change or go."""
    path = Path("spec.ephemeralContainers")
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("[]", "static pods do not support ephemeral containers")]  # an empty path, as Go prints it
    given = {c.get("name", ""): c for c in (new.get("spec") or {}).get("ephemeralContainers") or []}
    errors = []
    for container in (old.get("spec") or {}).get("ephemeralContainers") or []:
        name = container.get("name", "")
        if name not in given:
            errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif given[name] != container:
            sides = (go_structs.render("EphemeralContainer", one) for one in (container, given[name]))
            diff = go_structs.difference(*sides)
            errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n{diff}'))
    return errors


def resize_errors(new: Obj, old: Obj) -> list[FieldError]:
    """A change through pods/resize: CPU and memory of the pod and its containers."""
    path, errors = Path("spec"), []
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("[]", "static pods cannot be resized")]
    if qos_class(new) != qos_class(old):
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid(path, (new.get("status") or {}).get("qosClass", ""), text))
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    others = _other_containers(spec, before, path)
    if others:
        return errors + others
    errors += _pod_level(spec, before, path)
    pairs = [
        (field, index, (spec.get(field) or [])[index], container)
        for field in ("initContainers", "containers")
        for index, container in enumerate(before.get(field) or [])
    ]
    for field, index, now, was in pairs:
        at = (path / field).index(index) / "resources"
        errors += _taken_away(now.get("resources") or {}, was.get("resources") or {}, at, "resource")
    for field, _, now, was in pairs:
        if field == "containers" and _fixed(now.get("resources")) != _fixed(was.get("resources")):
            errors.append(forbidden(path, "only cpu and memory resources are mutable"))
    for field, index, now, was in pairs:
        if field == "initContainers":
            errors += _resized_first(now, was, (path / field).index(index))
    return errors


def _resized_first(now: Obj, was: Obj, path: Path) -> list[FieldError]:
    errors = []
    if _fixed(now.get("resources")) != _fixed(was.get("resources")):
        text = "only cpu and memory resources for init or sidecar containers are mutable"
        errors.append(forbidden(path, text))
    if now != was and now.get("restartPolicy") != "Always":
        text = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
        policies = now.get("resizePolicy") or []
        errors += [forbidden(path, text) for policy in policies if policy.get("restartPolicy") == "RestartContainer"]
    return errors


def _pod_level(spec: Obj, before: Obj, path: Path) -> list[FieldError]:
    now, was = spec.get("resources"), before.get("resources")
    if was is not None and now is None:
        return [forbidden(path / "resources", "pod-level resources cannot be removed")]
    errors = _taken_away(now or {}, was or {}, path / "resources", "pod-level resource")
    if _fixed(now) != _fixed(was):
        errors.append(forbidden(path, "only cpu and memory resources are mutable at pod-level"))
    return errors


def _other_containers(spec: Obj, before: Obj, path: Path) -> list[FieldError]:
    errors = []
    for field in ("containers", "initContainers"):
        now, was = spec.get(field) or [], before.get(field) or []
        if len(now) != len(was):
            errors.append(forbidden(path / field, f"{field} may not be added or removed on resize"))
            continue
        text = f"{field} may not be renamed or reordered on resize"
        errors += [
            forbidden((path / field).index(index) / "name", text)
            for index, (container, old) in enumerate(zip(now, was, strict=True))
            if container.get("name") != old.get("name")
        ]
    return errors


def _taken_away(now: Obj, was: Obj, path: Path, noun: str) -> list[FieldError]:
    return [
        forbidden(path / field, f"{noun} {field} cannot be removed")
        for field in ("requests", "limits")
        if set(was.get(field) or {}) - set(now.get(field) or {})
    ]


def _fixed(resources: Obj | None) -> Obj:
    """What no resize changes of resources."""
    given = resources or {}
    return {**given, **{field: _others(given.get(field)) for field in ("limits", "requests")}}


def _others(amounts: Obj | None) -> dict[str, quantity.Quantity]:
    return {name: quantity.parse(text) for name, text in (amounts or {}).items() if name not in ("cpu", "memory")}
