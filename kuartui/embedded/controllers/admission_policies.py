"""What ValidatingAdmissionPolicies ask of objects that no such object has, told in their status.

After pkg/controller/validatingadmissionpolicystatus and apiserver's policy/validating/typechecking.go. Fields are looked
for in the schemas; what types the operators of an expression take is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from kuartui.embedded import data
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import Node, for_kind
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
MOST_TYPES = 10
_TEXTS = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
_CHAIN = re.compile(r"(?<![\w.])(object|oldObject|params)((?:\.\??[_a-zA-Z]\w*)+)(\s*\()?")
_STEP = re.compile(r"(\.\??)([_a-zA-Z]\w*)")
_ESCAPED = re.compile(r"__(\w+)__")


class PolicyStatus(Controller):
    """Keeps the status of ValidatingAdmissionPolicies."""

    name = "validatingadmissionpolicy-status-controller"

    def setup(self) -> None:
        self.watch(POLICIES, self._changed)

    def _changed(self, event: Event) -> None:
        told = (event.obj.data.get("status") or {}).get("observedGeneration")
        if event.type is not EventType.DELETED and told != event.obj.data["metadata"].get("generation"):
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        found = self.client.get(POLICIES, "", name)
        if found is None:
            return
        warnings = check(found["spec"])
        status = {
            **(found.get("status") or {}),
            "observedGeneration": found["metadata"].get("generation", 1),
            "typeChecking": {"expressionWarnings": warnings} if warnings else {},
        }
        try:
            await self.client.update_status(POLICIES, {**found, "status": status})
        except StatusError as error:
            if error.code != 404:
                raise


def check(spec: Obj) -> list[Obj]:
    """expressionWarnings: one for each expression that asks for a field that some of the matched kinds lacks."""
    kinds = list(_kinds(spec))
    parameters = _parameters(spec)
    found = []
    for reference, expression in _expressions(spec):
        texts = []
        for group_version, kind, node in kinds:
            errors = list(_undefined(expression, {"object": node, "oldObject": node, "params": parameters}))
            if errors:
                texts.append(f"{group_version}, Kind={kind}: " + "\n".join(errors))
        if texts:
            found.append({"fieldRef": reference, "warning": "\n".join(texts)})
    return found


def _expressions(spec: Obj) -> Iterator[tuple[str, str]]:
    for index, validation in enumerate(spec.get("validations") or ()):
        yield f"spec.validations[{index}].expression", validation.get("expression", "")
        if validation.get("messageExpression"):
            yield f"spec.validations[{index}].messageExpression", validation["messageExpression"]
    for index, variable in enumerate(spec.get("variables") or ()):
        yield f"spec.variables[{index}].expression", variable.get("expression", "")


def _kinds(spec: Obj) -> Iterable[tuple[str, str, Node]]:
    """The kinds that the policy names, in order; wildcards name none."""
    found: dict[tuple[str, str], Node] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        for group in rule.get("apiGroups") or ():
            for version in rule.get("apiVersions") or ():
                for resource in rule.get("resources") or ():
                    kind = _served().get((group, version, resource))
                    node = for_kind(group, version, kind) if kind else None
                    if kind and node is not None:
                        found[f"{group}/{version}" if group else f"/{version}", kind] = node
    return [(version, kind, node) for (version, kind), node in sorted(found.items())[:MOST_TYPES]]


def _parameters(spec: Obj) -> Node | None:
    kind = spec.get("paramKind")
    if kind is None:
        return None
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    return for_kind(group, version, kind.get("kind", ""))


@cache
def _served() -> dict[tuple[str, str, str], str]:
    """The kind of each built-in group, version and resource."""
    return {
        (one["group"], one["version"], resource["resource"]): resource["responseKind"]["kind"]
        for one in data.discovery()
        for resource in one["resources"]
    }


def _undefined(expression: str, variables: dict[str, Node | None]) -> Iterator[str]:
    plain = _TEXTS.sub(lambda text: " " * len(text[0]), expression)
    for chain in _CHAIN.finditer(plain):
        node = variables[chain[1]]
        steps = list(_STEP.finditer(chain[2]))
        if chain[3]:
            steps.pop()  # a function
        for step in steps:
            if node is None or node.free or not (node.properties or node.is_map):
                break  # anything may be there, or it is no object
            name = _ESCAPED.sub(r"\1", step[2])
            inner = node.field(name)
            if inner is None:
                yield _error(expression, chain.start(2) + step.start(), name)
                break
            node = inner


def _error(source: str, at: int, name: str) -> str:
    """As cel-go tells of a field that there is not; it points at the dot."""
    start = source.rfind("\n", 0, at) + 1
    line, column = source.count("\n", 0, at) + 1, at - start
    shown = source[start:].partition("\n")[0]
    return f"ERROR: <input>:{line}:{column + 1}: undefined field '{name}'\n | {shown}\n | {'.' * column}^"
