"""RuntimeClasses of pods: what a runtime costs, and where it is.

kubernetes/plugin/pkg/admission/runtimeclass.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.quantity import parse
from kuartui.embedded.store import Store

Obj = dict[str, Any]

CLASSES = "runtimeclasses.node.k8s.io"


class RuntimeClass(Plugin):
    """Adds the overhead, the node selector and the tolerations of its class to a new pod."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> None:
        if not _new_pod(attributes) or attributes.obj is None:
            return
        spec, found = attributes.obj["spec"], self._class(attributes)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and not _same(spec["overhead"], overhead):
                raise _rejected(attributes, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                text = (
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {selector[key]}"
                )
                raise errors.forbidden("pods", attributes.name, text)
            spec["nodeSelector"] = selector = {**selector, key: value}
        tolerations = spec.get("tolerations") or []
        more = [one for one in scheduling.get("tolerations") or () if one not in tolerations]
        if more:
            spec["tolerations"] = [*tolerations, *more]

    async def validate(self, attributes: Attributes) -> None:
        if not _new_pod(attributes) or attributes.obj is None:
            return
        found, given = self._class(attributes), attributes.obj["spec"].get("overhead")
        fixed = ((found or {}).get("overhead") or {}).get("podFixed")
        if fixed and not _same(given or {}, fixed):
            raise _rejected(attributes, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        if given and not fixed:
            raise _rejected(attributes, "Pod Overhead set without corresponding RuntimeClass defined Overhead")

    def _class(self, attributes: Attributes) -> Obj | None:
        """The class that a pod names. Raises StatusError if there is none."""
        name = (attributes.obj or {})["spec"].get("runtimeClassName")
        if not name:
            return None
        found = self._store.get(CLASSES, "", name)
        if found is None:
            raise _rejected(attributes, f'RuntimeClass "{name}" not found')
        return found.data


def _new_pod(attributes: Attributes) -> bool:
    return attributes.resource == "pods" and attributes.operation == "CREATE" and not attributes.subresource


def _same(one: Obj, other: Obj) -> bool:
    return one.keys() == other.keys() and all(parse(one[key]) == parse(other[key]) for key in one)


def _rejected(attributes: Attributes, why: str) -> errors.StatusError:
    return errors.forbidden("pods", attributes.name, f"pod rejected: {why}")
