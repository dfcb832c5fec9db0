"""Which daemon pods a rolling update may delete or add now. Pure functions.

After rollingUpdate of pkg/controller/daemon/update.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.daemonset.placement import HASH
from kuartui.embedded.meta.intorstring import scaled

Obj = dict[str, Any]
Available = Callable[[Obj], bool]


class Step(Struct):
    """Pods to delete and nodes to get a new pod beside their old one."""

    delete: list[Obj] = field(default_factory=list)
    add: list[str] = field(default_factory=list)


def limits(daemonset: Obj, desired: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers; never both zero."""
    rolling = (daemonset["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge") or 0, desired, True)
    wish = rolling.get("maxUnavailable")
    unavailable = scaled(1 if wish is None else wish, desired, True)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def step(daemonset: Obj, by_node: dict[str, list[Obj]], desired: int, digest: str, available: Available) -> Step:
    """What may be done now. `by_node` has the nodes that should run a pod, with what they have."""
    surge, unavailable = limits(daemonset, desired)
    pairs = {node: _pair(pods, digest) for node, pods in by_node.items()}
    return _surge(pairs, surge, available) if surge else _replace(pairs, unavailable, available)


Pair = tuple[Obj | None, Obj | None] | None  # the new pod and the old one; None: too many of a kind, to be cleaned up


def _pair(pods: list[Obj], digest: str) -> Pair:
    alive = [pod for pod in pods if not objects.being_deleted(pod)]
    new = [pod for pod in alive if objects.labels_of(pod).get(HASH) == digest]
    old = [pod for pod in alive if objects.labels_of(pod).get(HASH) != digest]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None, old[0] if old else None)


def _replace(pairs: dict[str, Pair], most: int, available: Available) -> Step:
    """Old pods go first, so many at a time; those that don't work go at once."""
    missing = 0
    broken: list[Obj] = []
    working: list[Obj] = []
    for pair in pairs.values():
        new, old = pair or (None, None)
        if new is not None:
            missing += not available(new)
        elif old is None:
            missing += 1
        elif available(old):
            working.append(old)
        else:
            missing += 1
            broken.append(old)
    return Step(delete=broken + working[: max(0, most - missing)])


def _surge(pairs: dict[str, Pair], most: int, available: Available) -> Step:
    """New pods come first, so many at a time, and old ones go when the new one works."""
    made = Step()
    surging = 0
    candidates: list[str] = []
    for node, pair in pairs.items():
        if pair is None:
            surging += 1
            continue
        new, old = pair
        if old is None:
            continue
        if new is None:
            (candidates if available(old) else made.add).append(node)
        elif available(new):
            made.delete.append(old)
        else:
            surging += 1
    made.add += candidates[: max(0, most - surging)]
    return made
