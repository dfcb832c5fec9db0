"""Nobody grants what they do not have: escalation and bind checks on roles and bindings.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping. In
kube-apiserver this is the RBAC registry's own policy; as a check on every write it belongs here.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.admission.base import Attributes, Plugin
from kuartui.embedded.auth import rbac
from kuartui.embedded.auth.rbac import MASTERS, Action, Authorizer
from kuartui.embedded.meta import errors

Obj = dict[str, Any]

ROLES = (rbac.ROLES, rbac.CLUSTER_ROLES)
BINDINGS = (rbac.BINDINGS, rbac.CLUSTER_BINDINGS)
EVERYTHING = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]
COLLECTOR = ("ownerReferences", "finalizers", "managedFields")
"""What of metadata may change without a question, so that the garbage collector can do its work."""


class Escalation(Plugin):
    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        new = attributes.obj
        if new is None or attributes.resource not in (*ROLES, *BINDINGS) or MASTERS in attributes.user.groups:
            return
        if attributes.old and _bare(attributes.old) == _bare(new):
            return
        if attributes.resource in ROLES:
            self._check_role(attributes, new)
        else:
            self._check_binding(attributes, new["roleRef"])

    def _check_role(self, attributes: Attributes, new: Obj) -> None:
        if self._may(attributes, "escalate", attributes.endpoint.resource.plural, attributes.name):
            return
        why = self._lacking(attributes, new.get("rules") or [])
        gathers = any((one or {}).get("aggregationRule") for one in (new, attributes.old))
        if not why and gathers and self._lacking(attributes, EVERYTHING):
            why = "must have cluster-admin privileges to use the aggregationRule"
        if why:
            raise errors.forbidden(attributes.resource, attributes.name, why)

    def _check_binding(self, attributes: Attributes, reference: Obj) -> None:
        plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        if self._may(attributes, "bind", plural, reference["name"]):
            return
        rules = self._authorizer.role_rules(reference, attributes.namespace)
        if rules is None:
            raise errors.not_found(f"{reference['kind'].lower()}.{rbac.GROUP}", reference["name"])
        why = self._lacking(attributes, rules)
        if why:
            raise errors.forbidden(attributes.resource, attributes.name, why)

    def _may(self, attributes: Attributes, verb: str, plural: str, name: str) -> bool:
        action = Action(verb, rbac.GROUP, plural, namespace=attributes.namespace, name=name)
        return self._authorizer.allows(attributes.user, action)

    def _lacking(self, attributes: Attributes, wanted: list[Obj]) -> str:
        """What a user wants to give without having it, in words; empty if there is nothing."""
        user, namespace = attributes.user, attributes.namespace
        held = [rule for rule, _ in self._authorizer.rules(user, namespace)]
        lacking = rbac.missing(held, wanted)
        if not lacking:
            return ""
        groups = " ".join(f'"{group}"' for group in user.groups)
        rules = "\n".join(sorted(rbac.rule_text(rule) for rule in rbac.compact(lacking)))
        lost = self._authorizer.lost(user, namespace)
        return (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            f"{rules}" + (f"; resolution errors: [{lost}]" if lost else "")
        )


def _bare(obj: Obj) -> Obj:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in COLLECTOR}
    return {**obj, "metadata": metadata}
