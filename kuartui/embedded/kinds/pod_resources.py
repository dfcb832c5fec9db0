"""Resources of pods and containers: the QoS class, what a pod asks for in all, and the rules for requests and limits.

pkg/apis/core/helper/qos, k8s.io/component-helpers/resource, ValidateResourceRequirements in pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from kuartui.embedded.kinds.checks import NEGATIVE, dns_label, errors_of
from kuartui.embedded.meta import names, quantity
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

Obj = dict[str, Any]
N = TypeVar("N", int, Decimal, quantity.Quantity)


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort."""
    spec = pod.get("spec") or {}
    if says_for_all({"spec": spec}):
        parts = [spec["resources"]]
    else:
        parts = [c.get("resources") or {} for field in ("containers", "initContainers") for c in spec.get(field) or []]
    requests: dict[str, quantity.Quantity] = {}
    limits: dict[str, quantity.Quantity] = {}
    guaranteed = True
    for resources in parts:
        for total, given in ((requests, resources.get("requests")), (limits, resources.get("limits"))):
            for name in ("cpu", "memory"):
                amount = quantity.parse(given[name]) if given and name in given else quantity.ZERO
                if amount > quantity.ZERO:
                    total[name] = total.get(name, quantity.ZERO) + amount
        given = resources.get("limits") or {}
        if not all(name in given and quantity.parse(given[name]) > quantity.ZERO for name in ("cpu", "memory")):
            guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    if guaranteed and requests == limits:
        return "Guaranteed"
    return "Burstable"


def pod_total(
    pod: Obj,
    field: str,
    numbers: Callable[[Mapping[str, Any] | None], dict[str, N]],
    least: Mapping[str, N] | None = None,
) -> dict[str, N]:
    """What a pod asks for in all: sidecars beside the rest, init containers one after the other, overhead on top; what
    is said of the pod as a whole goes before what its containers say. After PodRequests and PodLimits.

    `field` is requests or limits, `numbers` reads a resource list, `least` stands in where a container says nothing.
    """
    spec = pod["spec"]

    def own(container: Obj) -> dict[str, N]:
        return {**(least or {}), **numbers((container.get("resources") or {}).get(field))}

    total: dict[str, N] = {}
    for container in spec["containers"]:
        _add(total, own(container))
    sidecars: dict[str, N] = {}
    peak: dict[str, N] = {}
    for container in spec.get("initContainers") or ():
        together = dict(sidecars)
        _add(together, own(container))
        if container.get("restartPolicy") == "Always":
            sidecars = together
        _raise(peak, together)
    _add(total, sidecars)
    _raise(total, peak)
    total |= numbers((spec.get("resources") or {}).get(field))
    overhead = numbers(spec.get("overhead"))
    _add(total, overhead if field == "requests" else {name: more for name, more in overhead.items() if total.get(name)})
    return total


def allocation(pod: Obj) -> tuple[dict[str, Obj], Obj]:
    """The requests that a pod's node has granted, as its status tells them: by container, and of the pod as a whole."""
    status = pod.get("status") or {}
    told = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    return {one["name"]: one.get("allocatedResources") or {} for one in told}, status.get("allocatedResources") or {}


def as_allocated(pod: Obj) -> Obj:
    """The pod with the requests that its node has granted in place of those that its spec asks for."""
    granted, whole = allocation(pod)
    spec = dict(pod["spec"])

    def with_requests(owner: Obj, granted: Obj) -> Obj:
        resources = owner.get("resources") or {}
        return {**owner, "resources": {**resources, "requests": {**(resources.get("requests") or {}), **granted}}}

    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [with_requests(one, granted.get(one["name"]) or {}) for one in spec[field]]
    asked = (spec.get("resources") or {}).get("requests") or {}
    return {**pod, "spec": with_requests(spec, {name: whole[name] for name in asked if name in whole})}


def resize_infeasible(pod: Obj) -> bool:
    """Whether the pod's node can never grant what its spec asks for."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "PodResizePending" and one.get("reason") == "Infeasible" for one in conditions)


def says_for_all(pod: Obj) -> bool:
    """Whether a pod has requests or limits as a whole, beside or instead of those of its containers."""
    resources = pod["spec"].get("resources") or {}
    return bool(resources.get("requests") or resources.get("limits"))


def _add(total: dict[str, N], more: Mapping[str, N]) -> None:
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value


def _raise(total: dict[str, N], floor: Mapping[str, N]) -> None:
    for name, value in floor.items():
        total[name] = max(total[name], value) if name in total else value


_STANDARD_FOR_CONTAINERS = ("cpu", "ephemeral-storage", "memory")
_STANDARD = {
    *_STANDARD_FOR_CONTAINERS,
    "storage",
    "requests.storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
}
_INTEGER = {
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
}
HUGE_PAGES = "hugepages-"


def is_native(name: str) -> bool:
    """Kubernetes' own resources: without a prefix, or in its domain."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Fully qualified resources of others, such as example.com/gpu."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{name}")


def resource_name(name: str, path: Path) -> list[FieldError]:
    """A resource name of any use."""
    errors = errors_of(path, name, names.qualified_name(name))
    if not errors and "/" not in name and not _is_standard(name):
        errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))
    return errors


def _is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith((HUGE_PAGES, "requests." + HUGE_PAGES))


def container_resource_name(name: str, path: Path) -> list[FieldError]:
    """A resource that containers may ask for."""
    errors = resource_name(name, path)
    if "/" not in name:
        if name not in _STANDARD_FOR_CONTAINERS and not name.startswith(HUGE_PAGES):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def pod_resource_name(name: str, path: Path) -> list[FieldError]:
    """A resource that a pod as a whole may ask for."""
    errors = resource_name(name, path)
    if not errors and name not in ("cpu", "memory") and not name.startswith(HUGE_PAGES):
        errors.append(not_supported(path, name, ("cpu", "hugepages-", "memory")))
    return errors


def amount(name: str, text: str, path: Path) -> list[FieldError]:
    """An amount of a resource: not negative, and whole where only whole ones exist."""
    value = quantity.parse(text)
    errors = [invalid(path, str(value), NEGATIVE)] if value < quantity.ZERO else []
    if (name in _INTEGER or is_extended(name)) and value.milli % 1000:
        errors.append(invalid(path, str(value), "must be an integer"))
    return errors


def requirements(
    resources: Obj | None,
    path: Path,
    claims: Collection[str] = (),
    name_check: Callable[[str, Path], list[FieldError]] = container_resource_name,
) -> list[FieldError]:
    """A ResourceRequirements."""
    resources = resources or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    errors: list[FieldError] = []
    for name, text in limits.items():
        at = (path / "limits").key(name)
        errors += name_check(name, at) + amount(name, text, at) + _huge_pages(name, text, at)
    for name, text in requests.items():
        at = (path / "requests").key(name)
        errors += name_check(name, at) + amount(name, text, at)
        errors += _against_limit(name, text, limits.get(name), path) + _huge_pages(name, text, at)
    used = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in used) and not used & {"cpu", "memory"}:
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    return errors + _claims(resources.get("claims") or [], claims, path / "claims")


def _against_limit(name: str, text: str, limit: str | None, path: Path) -> list[FieldError]:
    asked = quantity.parse(text)
    overcommit = is_native(name) and not name.startswith(HUGE_PAGES)
    if limit is None:
        if overcommit:
            return []
        return [required(path / "limits", "Limit must be set for non overcommitable resources")]
    most = quantity.parse(limit)
    if not overcommit and asked != most:
        return [invalid(path / "requests", str(asked), f"must be equal to {name} limit of {most}")]
    if most < asked:
        return [invalid(path / "requests", str(asked), f"must be less than or equal to {name} limit of {most}")]
    return []


def _huge_pages(name: str, text: str, path: Path) -> list[FieldError]:
    if not name.startswith(HUGE_PAGES):
        return []
    try:
        page = quantity.parse(name.removeprefix(HUGE_PAGES))
    except quantity.QuantityError:
        return []
    value = quantity.parse(text)
    if page and value.value % page.value == 0 and value > quantity.ZERO:
        return []
    return [invalid(path, str(value), f"{value} is not positive integer multiple of {name}")]


def _claims(listed: list[Obj], known: Collection[str], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, claim in enumerate(listed):
        name, request, at = claim.get("name", ""), claim.get("request"), path.index(index)
        if not name:
            errors.append(required(at))
            continue
        if name in seen:  # with all its requests
            errors.append(duplicate(at, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                errors += dns_label(request, at / "request")
            if key in seen:
                errors.append(duplicate(at, key))
            elif not request:
                errors += [duplicate(at, name) for other in seen if other.startswith(f"{name}/")]
            seen.add(key)
        if name not in known:
            detail = "must be one of the names in pod.spec.resourceClaims"
            detail += ": " + ", ".join(sorted(known)) if known else " which is empty"
            errors.append(FieldError("Not found", str(at), f'"{name}"', detail))
    return errors


def parsed(amounts: Mapping[str, Any] | None) -> dict[str, quantity.Quantity]:
    """A resource list, read."""
    return {name: quantity.parse(text) for name, text in (amounts or {}).items()}


def pod_requirements(spec: Obj, path: Path, claims: Collection[str]) -> list[FieldError]:
    """Resources of the pod as a whole, which bound those of its containers."""
    resources = spec.get("resources")
    if not resources:
        return []
    if (spec.get("os") or {}).get("name") == "windows":
        return [forbidden(path, "may not be set for a windows pod")]
    errors = []
    if resources.get("claims") is not None:
        errors.append(forbidden(path / "claims", "claims may not be set for Resources at pod-level"))
    errors += requirements(resources, path, claims, pod_resource_name)
    limits = resources.get("limits") or {}
    containers = {"spec": {field: spec.get(field) or [] for field in ("containers", "initContainers")}}
    for field in ("requests", "limits"):
        for name, total in pod_total(containers, field, parsed).items():
            text = (resources.get(field) or {}).get(name)
            if text is None or (field == "limits" and not name.startswith(HUGE_PAGES)):
                continue
            if quantity.parse(text) < total:
                detail = f"must be greater than or equal to aggregate container {field} of {total}"
                errors.append(invalid((path / field).key(name), str(quantity.parse(text)), detail))
    for index, container in enumerate(spec.get("containers") or []):
        for name, text in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and quantity.parse(limits[name]) < quantity.parse(text):
                at = (path / "containers").index(index).key(name) / "limits"
                most = quantity.parse(limits[name])
                shown = str(quantity.parse(text))
                errors.append(invalid(at, shown, f"must be less than or equal to pod limits of {most}"))
    return errors
