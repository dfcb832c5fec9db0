"""What a `state` check would say without a cluster: over the level's manifests as they are written, and over nothing.

For lint only, and careful: where the manifests do not tell (pods that a controller makes, fields that the API server
fills in) there is no answer, and the proof will tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuartui.game.cel import CelError, compile_cel
from kuartui.game.level import Level, Ref
from kuartui.game.selectors import label_selector
from kuartui.game.spec import ResourceQuery, StateSpec

Obj = dict[str, Any]
Stages = Iterable[tuple[list[Obj], tuple[Ref, ...]]]  # what each applies, then deletes
ALWAYS_THERE = ("Node", "Namespace")


def true_of_manifests(level: Level, spec: StateSpec, stages: Stages) -> bool:
    """Whether the check holds over what the stages apply (and delete), before any player has come."""
    objects = _applied(level, stages)
    kinds = {obj["kind"] for obj in objects}
    if any(query.kind not in kinds or query.field_selector for query in spec.resources.values()):
        return False
    return _holds(spec, {name: _found(level, query, objects) for name, query in spec.resources.items()})


def true_of_nothing(spec: StateSpec) -> bool:
    """Whether the check holds when none of its objects exists: then deleting them would be a way to solve it."""
    if any(query.kind in ALWAYS_THERE for query in spec.resources.values()):
        return False
    return _holds(spec, {name: None if query.name else [] for name, query in spec.resources.items()})


def names_nothing(level: Level, kind: str, name: str, namespace: str, stages: Stages) -> bool:
    """Whether an object is meant that the manifests do not make, though they make others of its kind.

    What lives in kube-system comes with the cluster.
    """
    if namespace == "kube-system":
        return False
    alike = [obj for obj in _applied(level, stages) if obj["kind"] == kind]
    there = any(
        obj["metadata"]["name"] == name and _namespace(level, obj) == (namespace or level.namespace) for obj in alike
    )
    return bool(alike and name and not there)


def elsewhere(level: Level, kind: str, name: str, stages: Stages) -> str:
    """The namespace into which the manifests put an object of this kind and name; "" when they make none."""
    found = [obj for obj in _applied(level, stages) if (obj["kind"], obj["metadata"]["name"]) == (kind, name)]
    return _namespace(level, found[0]) if found else ""


def _holds(spec: StateSpec, values: dict[str, Any]) -> bool:
    try:
        return compile_cel(spec.cel, tuple(spec.resources)).test(values)
    except CelError:
        return False


def _applied(level: Level, stages: Stages) -> list[Obj]:
    found: dict[tuple[str, str, str], Obj] = {}
    for applied, deleted in stages:
        for obj in applied:
            found[obj["kind"], _namespace(level, obj), obj["metadata"]["name"]] = obj
        for ref in deleted:
            found.pop((ref.kind, ref.namespace or level.namespace, ref.name), None)
    return list(found.values())


def _namespace(level: Level, obj: Obj) -> str:
    return str(obj["metadata"].get("namespace") or level.namespace)


def _found(level: Level, query: ResourceQuery, objects: list[Obj]) -> Obj | list[Obj] | None:
    namespace = query.namespace or level.namespace
    test = label_selector(query.selector)
    matching = [
        obj
        for obj in objects
        if obj["kind"] == query.kind
        and (namespace == "*" or _namespace(level, obj) == namespace)
        and query.name in ("", obj["metadata"]["name"])
        and test(obj["metadata"].get("labels") or {})
    ]
    return next(iter(matching), None) if query.name else matching
