"""What objects count for in a ResourceQuota: the evaluators that admission and the quota controller share.

kubernetes/pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims}.go and generic object counts.
"""

from __future__ import annotations

from typing import Any

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
#: names that count what containers ask, and where they ask it
COMPUTE = {
    "cpu": ("requests", "cpu"),
    "requests.cpu": ("requests", "cpu"),
    "limits.cpu": ("limits", "cpu"),
    "memory": ("requests", "memory"),
    "requests.memory": ("requests", "memory"),
    "limits.memory": ("limits", "memory"),
    "requests.ephemeral-storage": ("requests", "ephemeral-storage"),
    "limits.ephemeral-storage": ("limits", "ephemeral-storage"),
}


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
    return found


def _pod(pod: Obj, counts: Amounts) -> Amounts:
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return {"count/pods": ONE}  # a finished pod uses nothing any more, but is still there
    spec = pod["spec"]
    for name, (field, resource) in {**COMPUTE, **_extended(spec)}.items():
        running = _total(spec["containers"], field, resource)
        first = [_ask(c, field, resource) for c in spec.get("initContainers") or ()]
        most = max([running, *first])
        overhead = (spec.get("overhead") or {}).get(resource)
        counts[name] = most + parse(overhead) if overhead else most
    return counts


def _extended(spec: Obj) -> dict[str, tuple[str, str]]:
    """The names that count what a pod asks for beyond COMPUTE: devices and huge pages."""
    containers = [*spec["containers"], *(spec.get("initContainers") or ())]
    asked = {name for one in containers for name in (one.get("resources") or {}).get("requests") or ()}
    found: dict[str, tuple[str, str]] = {}
    for name in sorted(asked):
        if name.startswith("hugepages-"):
            found[name] = ("requests", name)
        if name.startswith("hugepages-") or ("/" in name and "kubernetes.io/" not in name):
            found[f"requests.{name}"] = ("requests", name)
    return found


def _total(containers: list[Obj], field: str, resource: str) -> Quantity:
    total = ZERO
    for container in containers:
        total = total + _ask(container, field, resource)
    return total


def _ask(container: Obj, field: str, resource: str) -> Quantity:
    return parse(((container.get("resources") or {}).get(field) or {}).get(resource, "0"))


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
        "BestEffort": _best_effort(pod),
        "NotBestEffort": not _best_effort(pod),
        "Terminating": pod["spec"].get("activeDeadlineSeconds") is not None,
        "NotTerminating": pod["spec"].get("activeDeadlineSeconds") is None,
    }
    return found.get(name, False)


def _best_effort(pod: Obj) -> bool:
    containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    return not any(
        (c.get("resources") or {}).get(field, {}).get(name)
        for c in containers
        for field in ("requests", "limits")
        for name in ("cpu", "memory")
    )
