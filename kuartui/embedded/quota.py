"""What objects count for in a ResourceQuota: the evaluators that admission and the quota controller share.

kubernetes/pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims}.go and generic object counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kuartui.embedded.kinds.pod_resources import pod_total, qos_class, says_for_all
from kuartui.embedded.meta.quantity import ZERO, Quantity, parse, whole

Obj = dict[str, Any]
Amounts = dict[str, Quantity]

ONE = whole(1)

#: names that count plain objects
COUNTED = {
    "pods": "pods",
    "services": "services",
    "configmaps": "configmaps",
    "secrets": "secrets",
    "replicationcontrollers": "replicationcontrollers",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "resourcequotas": "resourcequotas",
}
#: names that count what pods ask, and what of it they count
COMPUTE = {
    "cpu": ("requests", "cpu"),
    "requests.cpu": ("requests", "cpu"),
    "limits.cpu": ("limits", "cpu"),
    "memory": ("requests", "memory"),
    "requests.memory": ("requests", "memory"),
    "limits.memory": ("limits", "memory"),
    "ephemeral-storage": ("requests", "ephemeral-storage"),
    "requests.ephemeral-storage": ("requests", "ephemeral-storage"),
    "limits.ephemeral-storage": ("limits", "ephemeral-storage"),
}
#: what quotas never count
EVENTS = ("count/events", "count/events.events.k8s.io")
#: endings of names that count what storage classes and device classes give
OF_CLASS = tuple(f".storageclass.storage.k8s.io/{what}" for what in ("requests.storage", "persistentvolumeclaims"))
DEVICES = ".deviceclass.resource.k8s.io/devices"
MOST_DEVICES = 32  # that a request for all of them may get


def usage(resource: str, obj: Obj) -> Amounts:
    """What one object uses, by quota name."""
    found: Amounts = {f"count/{resource}": ONE}
    if resource in COUNTED:
        found[COUNTED[resource]] = ONE
    if resource == "pods":
        found = _pod(obj, found)
    elif resource == "services":
        found |= _service(obj)
    elif resource == "persistentvolumeclaims":
        found |= _claim(obj)
    elif resource == "resourceclaims.resource.k8s.io":
        found |= _devices(obj)
    return found


def counted(name: str) -> bool:
    """Whether anything is counted under a name that a quota limits; Kubernetes takes others, and ignores them."""
    if name.startswith("count/"):
        return name not in EVENTS
    if "/" not in name:
        return True
    return name.startswith("requests.") or name.endswith((DEVICES, *OF_CLASS))


def _pod(pod: Obj, counts: Amounts) -> Amounts:
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return {"count/pods": ONE}  # a finished pod uses nothing any more, but is still there
    asked = {field: pod_total(pod, field, _quantities) for field in ("requests", "limits")}
    for name, (field, resource) in COMPUTE.items():
        counts[name] = asked[field].get(resource, ZERO)
    for resource, amount in asked["requests"].items():
        if resource.startswith("hugepages-"):
            counts[resource] = counts[f"requests.{resource}"] = amount
        elif "/" in resource and "kubernetes.io/" not in resource:  # devices, which have requests only
            counts[f"requests.{resource}"] = amount
    return counts


def unspecified(pod: Obj, hard: Iterable[str]) -> str:
    """What a quota counts and some container does not say: `limits.cpu for: a; requests.cpu for: a`.

    CPU and memory alone must be said, and by no container of a pod that says something for all of them.
    """
    if says_for_all(pod):
        return ""
    found = []
    for key in sorted(hard):
        field, resource = COMPUTE.get(key, ("", ""))
        if resource not in ("cpu", "memory"):
            continue
        containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
        bare = [c["name"] for c in containers if resource not in ((c.get("resources") or {}).get(field) or {})]
        if bare:
            found.append(f"{key} for: {','.join(sorted(bare))}")
    return "; ".join(found)


def _quantities(amounts: Mapping[str, str] | None) -> Amounts:
    return {name: parse(amount) for name, amount in (amounts or {}).items()}


def _service(service: Obj) -> Amounts:
    spec = service["spec"]
    ports = len(spec.get("ports") or ())
    kind = spec.get("type", "ClusterIP")
    nodeports = ports if kind == "NodePort" else 0
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True):
        nodeports = ports
    balancers = 1 if kind == "LoadBalancer" else 0
    return {"services.nodeports": whole(nodeports), "services.loadbalancers": whole(balancers)}


def _claim(claim: Obj) -> Amounts:
    asked = parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))
    found = {"requests.storage": asked}
    name = claim["spec"].get("storageClassName")
    if name:
        prefix = f"{name}.storageclass.storage.k8s.io"
        found |= {f"{prefix}/requests.storage": asked, f"{prefix}/persistentvolumeclaims": ONE}
    return found


def _devices(claim: Obj) -> Amounts:
    """Each request counts for what it may get at most."""
    found: Amounts = {}
    for request in (claim["spec"].get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for one in request.get("firstAvailable") or [request.get("exactly") or {}]:
            name = f"{one.get('deviceClassName', '')}{DEVICES}"
            number = MOST_DEVICES if one.get("allocationMode") == "All" else one.get("count", 1)
            most[name] = max(most.get(name, 0), number)
        for name, number in most.items():
            found[name] = found.get(name, ZERO) + whole(number)
    return found


def in_scope(spec: Obj, resource: str, obj: Obj) -> bool:
    """Whether a quota with scopes counts this object."""
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return all(resource == "pods" and _in(term, obj) for term in wanted)


def _in(term: Obj, pod: Obj) -> bool:
    name, operator, values = term["scopeName"], term.get("operator", "Exists"), term.get("values") or ()
    if name == "PriorityClass":
        mine = pod["spec"].get("priorityClassName", "")
        return {"In": mine in values, "NotIn": mine not in values, "Exists": bool(mine)}.get(operator, not mine)
    found = {
        "BestEffort": qos_class(pod) == "BestEffort",
        "NotBestEffort": qos_class(pod) != "BestEffort",
        "Terminating": pod["spec"].get("activeDeadlineSeconds") is not None,
        "NotTerminating": pod["spec"].get("activeDeadlineSeconds") is None,
    }
    if name == "CrossNamespacePodAffinity":
        return any(term.get("namespaces") or "namespaceSelector" in term for term in _affinity_terms(pod["spec"]))
    return found.get(name, False)


def _affinity_terms(spec: Obj) -> Iterator[Obj]:
    """The terms of a pod's affinity to other pods, and against them."""
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(kind) or {}
        yield from affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}
