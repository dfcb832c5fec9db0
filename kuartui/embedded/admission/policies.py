"""ValidatingAdmissionPolicies: rules in CEL, bound to what they are for.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/ and
k8s.io/apiserver/pkg/admission/plugin/policy/validating.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.admission.matching import GROUP, all_true, exempt, matches, request_of
from kuartui.embedded.api.objects import from_storage
from kuartui.embedded.api.resources import Resources
from kuartui.embedded.auth.rbac import Action, Authorizer
from kuartui.embedded.cel import AUTHORIZE, CelError, compile_cel
from kuartui.embedded.kinds.admissionpolicy_rules import VARIABLES
from kuartui.embedded.meta import errors, labels
from kuartui.embedded.store import Store

Obj = dict[str, Any]

POLICIES, BINDINGS = f"validatingadmissionpolicies.{GROUP}", f"validatingadmissionpolicybindings.{GROUP}"

_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


class _Denial(Struct, frozen=True):
    policy: str
    binding: str
    message: str
    reason: str
    always: bool = False
    """Whatever the binding's validationActions are."""

    def text(self) -> str:
        return f"ValidatingAdmissionPolicy '{self.policy}' with binding '{self.binding}' denied request: {self.message}"


class PolicyFailure(Exception):
    """A policy that could not be asked; the text says why."""


class BoundPolicies(Plugin):
    """What both kinds of policies share: whom they concern, what they are given."""

    def __init__(self, store: Store, resources: Resources, authorizer: Authorizer) -> None:
        self._store, self._resources, self._authorizer = store, resources, authorizer

    def _concerns(self, policy: Obj, binding: Obj, attributes: Attributes) -> bool:
        constraints = policy["spec"].get("matchConstraints") or {}
        bound = binding["spec"].get("matchResources") or {}
        return matches(constraints, attributes, self._store, "resourceRules") and matches(
            bound, attributes, self._store, "resourceRules"
        )

    def _wanted(self, spec: Obj, values: Obj) -> bool:
        """matchConditions: all must be true. One that is false settles it, even if another one cannot be told.

        Raises PolicyFailure.
        """
        try:
            return all_true(spec.get("matchConditions") or (), VARIABLES, values)
        except CelError as error:
            raise PolicyFailure(str(error)) from error

    def _values(self, attributes: Attributes, params: Obj | None) -> Obj:
        endpoint = attributes.endpoint
        namespace = self._store.get("namespaces", "", attributes.namespace) if attributes.namespace else None
        return {
            "object": from_storage(endpoint, attributes.obj) if attributes.obj is not None else None,
            "oldObject": from_storage(endpoint, attributes.old) if attributes.old is not None else None,
            "request": request_of(attributes),
            "params": params,
            "namespaceObject": namespace.data if namespace else None,
            "authorizer": {},
            "variables": {},
        }

    def _allows(self, asked: Obj, attributes: Attributes) -> bool:
        user = attributes.user
        if asked.get("serviceAccount"):
            from kuartui.embedded.api.request import User

            namespace, name = asked["serviceAccount"]
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            user = User(f"system:serviceaccount:{namespace}:{name}", groups)
        if "path" in asked:
            return self._authorizer.allows(user, Action(asked["verb"], path=asked["path"]))
        return self._authorizer.allows(
            user,
            Action(
                asked["verb"],
                asked.get("group", ""),
                asked.get("resource", ""),
                asked.get("subresource", ""),
                asked.get("namespace", ""),
                asked.get("name", ""),
            ),
        )

    def _params(self, policy: Obj, binding: Obj, attributes: Attributes) -> list[Obj | None]:
        """The objects that the binding gives the policy, one round for each."""
        kind, reference = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
        if kind is None or reference is None:
            return [None]
        endpoint = self._resources.by_kind(kind["apiVersion"], kind["kind"])
        if endpoint is None:
            raise PolicyFailure(
                f"failed to configure binding: failed to find resource referenced by paramKind: "
                f"'{kind['apiVersion']}, Kind={kind['kind']}'"
            )
        namespace = ""
        if endpoint.resource.namespaced:
            namespace = reference.get("namespace") or attributes.namespace
            if not namespace:
                raise PolicyFailure(
                    "failed to configure binding: cannot use namespaced paramRef in policy binding that matches "
                    "cluster-scoped resources"
                )
        found: list[Obj | None] = []
        if reference.get("name"):
            stored = self._store.get(endpoint.resource.stored, namespace, reference["name"])
            found = [stored.data] if stored else []
        else:
            wanted = labels.from_object(reference.get("selector"))
            found = [
                stored.data
                for stored in self._store.list(endpoint.resource.stored, namespace)
                if wanted.matches(stored.data["metadata"].get("labels") or {})
            ]
        if not found:
            if reference.get("parameterNotFoundAction") == "Allow":
                return []
            raise PolicyFailure(
                "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
            )
        return found


class ValidatingPolicies(BoundPolicies):
    """Asks every bound policy."""

    async def validate(self, attributes: Attributes) -> None:
        bindings = self._store.list(BINDINGS)
        if not bindings or exempt(attributes):
            return
        denials: list[_Denial] = []
        for stored in bindings:
            policy = self._store.get(POLICIES, "", stored.data["spec"].get("policyName", ""))
            if policy is None or not self._concerns(policy.data, stored.data, attributes):
                continue
            actions = stored.data["spec"].get("validationActions") or ()
            for denial in self._ask(policy.data, stored.data, attributes):
                if denial.always or "Deny" in actions:
                    denials.append(denial)
                elif "Warn" in actions:
                    attributes.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{denial.policy}' with binding "
                        f"'{denial.binding}': {denial.message}"
                    )
        if denials:
            raise refusal(attributes, denials[0].text(), denials[0].reason)

    def _ask(self, policy: Obj, binding: Obj, attributes: Attributes) -> list[_Denial]:
        name, bound = policy["metadata"]["name"], binding["metadata"]["name"]
        fails = policy["spec"].get("failurePolicy", "Fail") == "Fail"
        found: list[_Denial] = []
        token = AUTHORIZE.set(lambda asked: self._allows(asked, attributes))
        try:
            for params in self._params(policy, binding, attributes):
                found += [
                    _Denial(name, bound, message, reason)
                    for message, reason, failed in self._judge(policy["spec"], attributes, params)
                    if fails or not failed
                ]
                if fails:
                    texts = self._unannotated(policy["spec"], attributes, params)
                    found += [_Denial(name, bound, text, "Invalid", always=True) for text in texts]
        except PolicyFailure as failure:
            if fails:
                found.append(_Denial(name, bound, str(failure), "Invalid"))
        finally:
            AUTHORIZE.reset(token)
        return found

    def _judge(self, spec: Obj, attributes: Attributes, params: Obj | None) -> Iterator[tuple[str, str, bool]]:
        """(message, reason, whether it could not be told) of each validation that does not hold."""
        values = self._values(attributes, params)
        if not self._wanted(spec, values):
            return
        for validation in spec.get("validations") or ():
            expression = validation["expression"]
            try:
                holds = evaluate(expression, spec, values)
            except CelError as error:
                yield f"expression '{expression}' resulted in error: {error}", "Invalid", True
                continue
            if holds is not True:
                yield _message(validation, spec, values), validation.get("reason") or "Invalid", False

    def _unannotated(self, spec: Obj, attributes: Attributes, params: Obj | None) -> Iterator[str]:
        """Why audit annotations cannot be told; nobody reads those that can."""
        values = self._values(attributes, params)
        if not spec.get("auditAnnotations") or not self._wanted(spec, values):
            return
        for annotation in spec["auditAnnotations"]:
            expression = annotation["valueExpression"]
            try:
                evaluate(expression, spec, values)
            except CelError as error:
                yield f"expression '{expression}' resulted in error: {error}"


def evaluate(expression: str, spec: Obj, values: Obj) -> Any:
    """Evaluate an expression with the variables that the expression, or one that it uses, names.

    A variable that cannot be told matters only where its value does.
    """
    needed = _variables(expression, spec)
    composed: Obj = {}
    failed: dict[str, CelError] = {}
    for variable in spec.get("variables") or ():
        name = variable["name"]
        if name in needed:
            try:
                composed[name] = _evaluate(variable["expression"], values, composed, failed)
            except CelError as error:
                failed[name] = error
    return _evaluate(expression, values, composed, failed)


def _evaluate(expression: str, values: Obj, composed: Obj, failed: dict[str, CelError]) -> Any:
    try:
        return compile_cel(expression, VARIABLES).evaluate({**values, "variables": composed})
    except CelError as error:
        name = str(error).removeprefix("no such key: ")
        if name not in failed:
            raise
        raise CelError(f'composited variable "{name}" fails to evaluate: {failed[name]}') from error


def _variables(expression: str, spec: Obj) -> set[str]:
    texts = {variable["name"]: variable["expression"] for variable in spec.get("variables") or ()}
    found: set[str] = set()
    waiting = [expression]
    while waiting:
        for name in re.findall(r"\bvariables\.(\w+)", waiting.pop()):
            if name not in found and name in texts:
                found.add(name)
                waiting.append(texts[name])
    return found


def _message(validation: Obj, spec: Obj, values: Obj) -> str:
    expression = validation.get("messageExpression")
    if expression:
        try:
            text = evaluate(expression, spec, values)
        except CelError:
            text = ""
        if isinstance(text, str) and text.strip() and "\n" not in text.strip():
            return text.strip()
    return str(validation.get("message") or "").strip() or f"failed expression: {validation['expression'].strip()}"


def refusal(attributes: Attributes, text: str, reason: str = "Invalid") -> errors.StatusError:
    """The answer to a request that a policy denies."""
    error = errors.forbidden(attributes.resource, attributes.name, text)
    error.code, error.reason = _CODES.get(reason, 422), reason
    error.details["causes"] = [{"message": text}]
    return error
