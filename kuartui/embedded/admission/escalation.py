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


class Escalation(Plugin):
    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        new = attributes.obj
        if new is None or attributes.resource not in (*ROLES, *BINDINGS) or MASTERS in attributes.user.groups:
            return
        if attributes.user.name.startswith("system:serviceaccount:kube-system:"):
            return
        if attributes.resource in ROLES:
            if attributes.old and attributes.old.get("rules") == new.get("rules"):
                return
            wanted, verb, name = new.get("rules") or [], "escalate", attributes.name
            plural = attributes.endpoint.resource.plural
        else:
            same = attributes.old and attributes.old.get("subjects") == new.get("subjects")
            if same and attributes.old and attributes.old.get("roleRef") == new.get("roleRef"):
                return
            reference = new["roleRef"]
            wanted, verb, name = self._authorizer.role_rules(reference, attributes.namespace), "bind", reference["name"]
            plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        self._check(attributes, wanted, verb, plural, name)

    def _check(self, attributes: Attributes, wanted: list[Obj], verb: str, plural: str, name: str) -> None:
        user, namespace = attributes.user, attributes.namespace
        if self._authorizer.allows(user, Action(verb, rbac.GROUP, plural, namespace=namespace, name=name)):
            return
        held = [rule for rule, _ in self._authorizer.rules(user, namespace)]
        lacking = rbac.missing(held, wanted)
        if not lacking:
            return
        groups = " ".join(f'"{group}"' for group in user.groups)
        rules = "\n".join(rbac.rule_text(rule) for rule in rbac.compact(lacking))
        why = (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            f"{rules}"
        )
        raise errors.forbidden(attributes.resource, attributes.name, why)
