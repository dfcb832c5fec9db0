"""What ValidatingAdmissionPolicies ask of objects that no such object has, told in their status.

After pkg/controller/validatingadmissionpolicystatus and apiserver's policy/validating/typechecking.go. Fields are looked
for in the schemas, and plain values have the types that those say; what is in lists may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from kuartui.embedded import data
from kuartui.embedded.cel import mismatches
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.schema import INT_OR_STRING, QUANTITY, Node, for_kind
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
MOST_TYPES = 10
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")
Served = dict[tuple[str, str, str], tuple[str, Node | None]]
"""Kind and schema by group, version and resource."""
_TEXTS = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
_CHAIN = re.compile(r"(?<![\w.])(object|oldObject|params)((?:\.\??[_a-zA-Z]\w*)+)(\s*\()?")
_STEP = re.compile(r"(\.\??)([_a-zA-Z]\w*)")
_HAS = re.compile(r"\bhas\(\s*$")
_ERRORS = re.compile(r"(?m)^(?=ERROR: )")
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
        warnings = check(found["spec"], self.client.list(CRDS))
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


def check(spec: Obj, definitions: Iterable[Obj] = ()) -> list[Obj]:
    """expressionWarnings: one for each expression that does not fit some of the matched kinds.

    It asks for a field that the kind lacks, or takes a value for one of another type. `definitions` are the CRDs.
    """
    served = {**_served(), **_custom(definitions)}
    kinds = list(_kinds(spec, served))
    parameters = _parameters(spec, served)
    found = []
    for reference, expression in _expressions(spec):
        texts = []
        for group_version, kind, node in kinds:
            variables = {"object": node, "oldObject": node, "params": parameters}
            errors = list(_undefined(expression, variables)) or list(_mistyped(expression, variables))
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


def _kinds(spec: Obj, served: Served) -> Iterable[tuple[str, str, Node]]:
    """The kinds that the policy names, in order; wildcards name none."""
    found: dict[tuple[str, str], Node] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        for group in rule.get("apiGroups") or ():
            for version in rule.get("apiVersions") or ():
                for resource in rule.get("resources") or ():
                    kind, node = served.get((group, version, resource), ("", None))
                    if node is not None:
                        found[f"{group}/{version}" if group else f"/{version}", kind] = node
    return [(version, kind, node) for (version, kind), node in sorted(found.items())[:MOST_TYPES]]


def _parameters(spec: Obj, served: Served) -> Node | None:
    kind = spec.get("paramKind")
    if kind is None:
        return None
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    named = (group, version, kind.get("kind", ""))
    return next((node for (g, v, _), (name, node) in served.items() if (g, v, name) == named), None)


@cache
def _served() -> Served:
    """The kind of each built-in group, version and resource, and its schema."""
    found: Served = {}
    for one in data.discovery():
        for resource in one["resources"]:
            kind = resource["responseKind"]["kind"]
            found[one["group"], one["version"], resource["resource"]] = (
                kind,
                for_kind(one["group"], one["version"], kind),
            )
    return found


def _custom(definitions: Iterable[Obj]) -> Served:
    """The same of custom resources."""
    found: Served = {}
    for spec in (one["spec"] for one in definitions):
        for version in spec["versions"]:
            raw = (version.get("schema") or {}).get("openAPIV3Schema")
            if raw:
                common = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
                node = Node({**raw, "properties": {**(raw.get("properties") or {}), **common}})
                found[spec["group"], version["name"], spec["names"]["plural"]] = spec["names"]["kind"], node
    return found


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


def _mistyped(expression: str, variables: dict[str, Node | None]) -> Iterator[str]:
    """Operators and functions that do not take what a field is.

    A chain of fields becomes a variable of the field's type, as long as the chain, so that errors point where they should.
    """
    plain = _TEXTS.sub(lambda text: " " * len(text[0]), expression)
    types: dict[str, str] = {}
    chains: dict[str, str] = {}
    source = expression
    for chain in _CHAIN.finditer(plain):
        steps = chain[2].rpartition(".")[0] if chain[3] else chain[2]
        if not steps or "?" in steps or _HAS.search(plain, 0, chain.start()):
            continue
        node = variables[chain[1]]
        for step in _STEP.finditer(steps):
            node = node.field(_ESCAPED.sub(r"\1", step[2])) if node is not None and not node.free else None
        kind = _type(node)
        if kind:
            text = chain[1] + steps
            name = text.replace(".", "_")
            source = source[: chain.start()] + name + source[chain.start() + len(name) :]
            types[name], chains[name] = kind, text
    if not types:
        return
    told = mismatches(source, VARIABLES, types)
    for name, text in chains.items():
        told = told.replace(name, text)
    for error in _ERRORS.split(told):
        if "found no matching overload" in error:
            yield error.rstrip("\n")


def _type(node: Node | None) -> str:
    """The CEL type of a plain value, "" for what is none or may be several."""
    if node is None or node.name in (QUANTITY, INT_OR_STRING) or node.raw.get("x-kubernetes-int-or-string"):
        return ""
    if node.raw.get("format") in ("date-time", "byte"):
        return {"date-time": "TIMESTAMP", "byte": "BYTES"}[node.raw["format"]]
    return {"string": "STRING", "integer": "INT", "boolean": "BOOL", "number": "DOUBLE"}.get(node.type, "")


def _error(source: str, at: int, name: str) -> str:
    """As cel-go tells of a field that there is not; it points at the dot."""
    start = source.rfind("\n", 0, at) + 1
    line, column = source.count("\n", 0, at) + 1, at - start
    shown = source[start:].partition("\n")[0]
    return f"ERROR: <input>:{line}:{column + 1}: undefined field '{name}'\n | {shown}\n | {'.' * column}^"
