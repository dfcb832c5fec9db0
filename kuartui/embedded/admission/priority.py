"""Priority: PriorityClass names become numbers on pods; one class at most is the default.

kubernetes/plugin/pkg/admission/priority.
"""

from __future__ import annotations

from kuartui.embedded.admission.base import Attributes, Obj, Plugin
from kuartui.embedded.meta import errors
from kuartui.embedded.store import Store, Stored

CLASSES = "priorityclasses.scheduling.k8s.io"


class Priority(Plugin):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if attributes.resource != "pods" or attributes.subresource or pod is None:
            return
        spec = pod["spec"]
        if attributes.operation == "UPDATE":
            _keep(spec, (attributes.old or {}).get("spec") or {})
        if attributes.operation != "CREATE":
            return
        name = spec.get("priorityClassName", "")
        found = self._store.get(CLASSES, "", name) if name else self._default()
        if name and found is None:
            raise errors.forbidden("pods", attributes.name, f"no PriorityClass with name {name} was found")
        value = found.data["value"] if found else 0
        policy = (found.data.get("preemptionPolicy") if found else None) or "PreemptLowerPriority"
        if found and not name:
            spec["priorityClassName"] = found.key.name
        given = spec.get("priority")
        if given is not None and given != value:
            why = (
                f"the integer value of priority ({given}) must not be provided in pod spec; priority admission "
                f"controller computed {value} from the given PriorityClass name"
            )
            raise errors.forbidden("pods", attributes.name, why)
        asked = spec.get("preemptionPolicy")
        if asked is not None and asked != policy:
            why = (
                f"the string value of PreemptionPolicy ({asked}) must not be provided in pod spec; priority admission "
                f"controller computed {policy} from the given PriorityClass name"
            )
            raise errors.forbidden("pods", attributes.name, why)
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _default(self) -> Stored | None:
        candidates = [stored for stored in self._store.list(CLASSES) if stored.data.get("globalDefault")]
        return min(candidates, key=lambda stored: int(stored.data["value"]), default=None)

    async def validate(self, attributes: Attributes) -> None:
        new = attributes.obj
        if attributes.resource != CLASSES or new is None or not new.get("globalDefault"):
            return
        current = self._default()
        if current is not None and current.key.name != new["metadata"]["name"]:
            why = f"PriorityClass {current.key.name} is already marked as default. Only one default can exist"
            raise errors.forbidden(CLASSES, attributes.name, why)


def _keep(spec: Obj, before: Obj) -> None:
    """What this plugin gave at creation stays when an update leaves it out."""
    for field in ("priority", "preemptionPolicy"):
        if spec.get(field) is None and before.get(field) is not None:
            spec[field] = before[field]
