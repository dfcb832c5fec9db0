"""Which pods go from a node to let in one that it needs: a static one, or one of critical priority.

After pkg/kubelet/preemption. The scheduler makes room of its own, before; this is for pods that did not ask it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kuartui.embedded.kinds.pod_resources import qos_class
from kuartui.embedded.node.resources import Amounts, pod_requests

Obj = dict[str, Any]

REASON, MESSAGE = "Preempting", "Preempted in order to admit critical pod"


class NoVictims(Exception):
    """There is not enough to take; the text is the reason of a refusal."""


def victims(pods: Iterable[Obj], missing: Amounts) -> list[Obj]:
    """The pods to end so that there is as much as is `missing`: of each class of service only what the worse ones
    cannot give. Raises NoVictims.
    """
    classes: dict[str, list[Obj]] = {"BestEffort": [], "Burstable": [], "Guaranteed": []}
    for pod in pods:
        classes[qos_class(pod)].append(pod)
    worst, middle, best = classes.values()
    if short := _without(missing, worst + middle + best):
        raise NoVictims(_told(short))
    chosen = _nearest(best, _without(missing, worst + middle))
    chosen = _nearest(middle, _without(missing, worst + chosen)) + chosen
    return _nearest(worst, _without(missing, chosen)) + chosen


def _gives(pod: Obj, name: str) -> Decimal:
    return Decimal(1) if name == "pods" else pod_requests(pod).get(name, Decimal(0))


def _without(missing: Amounts, pods: Iterable[Obj]) -> Amounts:
    """What is still missing once these pods are gone."""
    pods = list(pods)
    left = {name: amount - sum(_gives(pod, name) for pod in pods) for name, amount in missing.items()}
    return {name: amount for name, amount in left.items() if amount > 0}


def _nearest(pods: list[Obj], missing: Amounts) -> list[Obj]:
    """Pods that give what is missing, each time the one that leaves the least of it; of like ones the smallest."""
    left, chosen = list(pods), []
    while missing:
        one = min(left, key=lambda pod: (_distance(pod, missing), _gives(pod, "memory"), _gives(pod, "cpu")))
        left.remove(one)
        chosen.append(one)
        missing = _without(missing, [one])
    return chosen


def _distance(pod: Obj, missing: Amounts) -> float:
    shares = [max(Decimal(0), amount - _gives(pod, name)) / amount for name, amount in missing.items()]
    return float(sum(share * share for share in shares))


def _told(missing: Amounts) -> str:
    amounts = (int(amount * 1000 if name == "cpu" else amount) for name, amount in missing.items())
    listed = "".join(f"(res: {name}, q: {amount}), " for name, amount in zip(missing, amounts, strict=True))
    return (
        "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods "
        f"to preempt: no set of running pods found to reclaim resources: [{listed}]"
    )
