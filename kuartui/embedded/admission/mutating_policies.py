"""MutatingAdmissionPolicies: changes in CEL, as applied configurations or as JSON patches.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/ and
k8s.io/apiserver/pkg/admission/plugin/policy/mutating.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuartui.embedded.admission.base import Attributes
from kuartui.embedded.admission.matching import GROUP, exempt
from kuartui.embedded.admission.policies import BoundPolicies, PolicyFailure, evaluate, refusal
from kuartui.embedded.api.objects import to_storage
from kuartui.embedded.cel import AUTHORIZE, CelError
from kuartui.embedded.cel_structs import with_maps
from kuartui.embedded.meta import apply, patch_json, typed
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import Node

Obj = dict[str, Any]

POLICIES, BINDINGS = f"mutatingadmissionpolicies.{GROUP}", f"mutatingadmissionpolicybindings.{GROUP}"
_KEPT = ("name", "namespace", "uid", "generateName", "resourceVersion", "managedFields")


class MutatingPolicies(BoundPolicies):
    """Lets every bound policy change what is written; those that ask for it have another look at what others changed."""

    async def mutate(self, attributes: Attributes) -> None:
        bindings = self._store.list(BINDINGS)
        if not bindings or attributes.obj is None or exempt(attributes):
            return
        pairs = [
            (found.data, stored.data)
            for stored in sorted(bindings, key=lambda one: one.data["spec"].get("policyName", ""))
            if (found := self._store.get(POLICIES, "", stored.data["spec"].get("policyName", ""))) is not None
        ]
        for policy, binding in pairs:
            who = f"policy {binding['metadata']['name']}"
            if attributes.again and not attributes.wants_again(who):
                continue
            if not self._concerns(policy, binding, attributes):
                continue
            token = AUTHORIZE.set(lambda asked: self._allows(asked, attributes))
            try:
                for params in self._params(policy, binding, attributes):
                    self._change(policy["spec"], attributes, params)
            except PolicyFailure as failure:
                if policy["spec"].get("failurePolicy", "Fail") == "Fail":
                    name, bound = policy["metadata"]["name"], binding["metadata"]["name"]
                    text = f"policy '{name}' with binding '{bound}' denied request: {failure}"
                    error = refusal(attributes, text)
                    error.message = text  # of these alone the answer does not say once more what was written
                    raise error from failure
            finally:
                AUTHORIZE.reset(token)
            if policy["spec"].get("reinvocationPolicy") == "IfNeeded":
                attributes.leave(who)

    def _change(self, spec: Obj, attributes: Attributes, params: Obj | None) -> None:
        if not self._wanted(spec, self._values(attributes, params)):
            return
        variables = [{**one, "expression": with_maps(one["expression"])} for one in spec.get("variables") or ()]
        spec = {**spec, "variables": variables}
        for mutation in spec.get("mutations") or ():
            values = self._values(attributes, params)
            if mutation.get("patchType") == "JSONPatch":
                changed = _patched(values["object"], self._result(mutation.get("jsonPatch"), spec, values))
            else:
                result = self._result(mutation.get("applyConfiguration"), spec, values)
                changed = _configured(values["object"], result, attributes.endpoint.node)
            _keep(values["object"], changed)
            stored = to_storage(attributes.endpoint, changed)
            assert attributes.obj is not None
            attributes.changed = attributes.changed or stored != attributes.obj
            attributes.obj.clear()
            attributes.obj.update(stored)

    def _result(self, source: Obj | None, spec: Obj, values: Obj) -> Any:
        expression = (source or {}).get("expression", "")
        try:
            return evaluate(with_maps(expression), spec, values)
        except CelError as error:
            raise PolicyFailure(f"expression '{expression}' resulted in error: {error}") from error


def _patched(obj: Obj, patch: Any) -> Obj:
    if not isinstance(patch, list) or not all(isinstance(one, dict) for one in patch):
        raise PolicyFailure("type mismatch: JSONPatchType.expression should evaluate to array")
    try:
        changed: Obj = patch_json.apply(obj, patch)
    except StatusError as error:
        cause = error.__cause__ or error
        raise PolicyFailure(f"JSON Patch: {cause}") from error
    return changed


def _configured(obj: Obj, configuration: Any, node: Node) -> Obj:
    if not isinstance(configuration, dict):
        raise PolicyFailure("unexpected evaluation result from ApplyConfiguration expression")
    problems = typed.problems(configuration, node)
    if problems:
        raise PolicyFailure(f"failed to convert patch object to typed object: {problems[0]}")
    atomic = list(_atomic(configuration, node, ""))
    if atomic:
        paths = ", ".join(atomic)
        raise PolicyFailure(f"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {paths}")
    merged: Obj = apply.merge(obj, configuration, node)
    return merged


def _atomic(value: Any, node: Node, path: str) -> Iterable[str]:
    """Where a configuration would replace a whole list or map that several may write."""
    if isinstance(value, dict):
        if path and node.atomic_map:
            yield path
            return
        for name, inner in value.items():
            yield from _atomic(inner, node.field(name) or Node({}), f"{path}.{name}")
    elif isinstance(value, list):
        if node.list_type not in ("map", "set"):
            yield path
            return
        for item in value:
            yield from _atomic(item, node.items, f"{path}[]")


def _keep(before: Obj, after: Obj) -> None:
    """What says which object it is stays as it was."""
    for field in ("apiVersion", "kind"):
        if field in before:
            after[field] = before[field]
    metadata, old = after.setdefault("metadata", {}), before.get("metadata", {})
    for field in _KEPT:
        if field in old:
            metadata[field] = old[field]
