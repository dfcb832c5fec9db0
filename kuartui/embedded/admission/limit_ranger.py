"""LimitRanger: default requests and limits for containers, and bounds for what is asked.

kubernetes/plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.kinds.pod_resources import pod_total
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.quantity import Quantity, parse
from kuartui.embedded.store import Store

Obj = dict[str, Any]

ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    def _limits(self, attributes: Attributes) -> list[list[Obj]]:
        """What each LimitRange of the namespace says."""
        return [stored.data["spec"]["limits"] for stored in self._store.list("limitranges", attributes.namespace)]

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if attributes.resource != "pods" or attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        for items in self._limits(attributes):
            for item in items:
                if item["type"] == "Container":
                    _set_defaults(pod, item)

    async def validate(self, attributes: Attributes) -> None:
        """The first LimitRange that an object breaks says so. Of updates of pods, only a resize can break one."""
        obj, action = attributes.obj, (attributes.operation, attributes.subresource)
        if obj is None:
            return
        if attributes.resource == "pods" and action in (("CREATE", ""), ("UPDATE", "resize")):
            problems_of: Callable[[Obj, Obj], Iterable[str]] = _pod_problems
        elif attributes.resource == "persistentvolumeclaims" and action in (("CREATE", ""), ("UPDATE", "")):
            problems_of = _claim_problems
        else:
            return
        for items in self._limits(attributes):
            problems = list(dict.fromkeys(text for item in items for text in problems_of(obj, item)))
            if problems:
                why = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise errors.forbidden(attributes.resource, attributes.name, why)


def _set_defaults(pod: Obj, item: Obj) -> None:
    requests, limits = item.get("defaultRequest") or {}, item.get("default") or {}
    notes: list[str] = []
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(field) or ():
            resources = container.setdefault("resources", {})
            had_limits = dict(resources.get("limits") or {})
            # as in Kubernetes, a default request does not overrule the limit's own default, which has been set by now
            set_requests = _fill(resources, "requests", requests)
            set_limits = _fill(resources, "limits", {k: v for k, v in limits.items() if k not in had_limits})
            if set_requests:
                notes.append(f"{', '.join(set_requests)} request for {word} {container['name']}")
            if set_limits:
                notes.append(f"{', '.join(set_limits)} limit for {word} {container['name']}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _fill(resources: Obj, field: str, defaults: Obj) -> list[str]:
    missing = sorted(name for name in defaults if name not in (resources.get(field) or {}))
    if missing:
        resources[field] = {**(resources.get(field) or {}), **{name: defaults[name] for name in missing}}
    return missing


def _pod_problems(pod: Obj, item: Obj) -> Iterable[str]:
    kind = item["type"]
    if kind == "Container":
        for container in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]:
            resources = container.get("resources") or {}
            yield from _problems(item, kind, resources.get("requests") or {}, resources.get("limits") or {})
    elif kind == "Pod":
        yield from _problems(item, kind, _sum(pod, "requests"), _sum(pod, "limits"))


def _sum(pod: Obj, field: str) -> Obj:
    """What the pod asks for in all, but for its overhead."""
    spec = {name: value for name, value in pod["spec"].items() if name != "overhead"}
    return {name: str(value) for name, value in pod_total({"spec": spec}, field, _quantities).items()}


def _quantities(amounts: Mapping[str, Any] | None) -> dict[str, Quantity]:
    return {name: parse(value) for name, value in (amounts or {}).items()}


def _problems(item: Obj, kind: str, requests: Obj, limits: Obj) -> Iterable[str]:
    for name, least in sorted((item.get("min") or {}).items()):
        if name in requests and parse(requests[name]) < parse(least):
            yield f"minimum {name} usage per {kind} is {least}, but request is {requests[name]}"
        elif name not in requests:
            yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
        elif name in limits and parse(limits[name]) < parse(least):
            yield f"minimum {name} usage per {kind} is {least}, but limit is {limits[name]}"
    for name, most in sorted((item.get("max") or {}).items()):
        if name not in limits:
            yield f"maximum {name} usage per {kind} is {most}.  No limit is specified"
        elif parse(most) < parse(limits[name]):
            yield f"maximum {name} usage per {kind} is {most}, but limit is {limits[name]}"
        elif name in requests and parse(most) < parse(requests[name]):
            yield f"maximum {name} usage per {kind} is {most}, but request is {requests[name]}"
    for name, ratio in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        if name not in requests or not parse(requests[name]):
            yield f"{name} max limit to request ratio per {kind} is {ratio}, but no request is specified or request is 0"
        elif name not in limits or not parse(limits[name]):
            yield f"{name} max limit to request ratio per {kind} is {ratio}, but no limit is specified or limit is 0"
        else:
            actual = float(parse(limits[name]) / parse(requests[name]))
            if actual > float(parse(ratio)):
                yield f"{name} max limit to request ratio per {kind} is {ratio}, but provided ratio is {actual:f}"


def _claim_problems(claim: Obj, item: Obj) -> Iterable[str]:
    if item["type"] != "PersistentVolumeClaim":
        return
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    asked = requests.get("storage", "0")
    least, most = (item.get("min") or {}).get("storage"), (item.get("max") or {}).get("storage")
    if least and parse(asked) < parse(least):
        yield f"minimum storage usage per PersistentVolumeClaim is {least}, but request is {asked}"
    if most and parse(most) < parse(asked):
        yield f"maximum storage usage per PersistentVolumeClaim is {most}, but request is {asked}"
