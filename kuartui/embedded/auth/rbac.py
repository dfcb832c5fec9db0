"""Role-based access control: who may do what, by the roles and bindings in the store.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and kubernetes/plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kuartui.embedded.api.request import User
from kuartui.embedded.auth.actions import Action as Action  # what an Authorizer is asked
from kuartui.embedded.auth.actions import allows_any, covers, path_matches, resource_matches
from kuartui.embedded.auth.nodes import NodeAuthorizer
from kuartui.embedded.store import Store

Obj = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
MASTERS = "system:masters"
KNOWN_USERS = 256  # and namespaces, whose rules are remembered until a role or a binding changes


class Authorizer:
    """Answers from the objects in the store, as they are now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nodes = NodeAuthorizer(store)
        self._known: dict[tuple[str, tuple[str, ...], str], list[tuple[Obj, str]]] = {}
        for resource in (ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS):
            store.listen(resource, lambda _: self._known.clear())

    def allows(self, user: User, action: Action) -> bool:
        """Whether any rule permits it."""
        return self.reason(user, action) is not None

    def reason(self, user: User, action: Action) -> str | None:
        """Which binding permits it, in RBAC's words; None if none does."""
        if MASTERS in user.groups:
            return ""
        if self._nodes.decide(user, action)[0]:
            return ""
        for rule, why in self.rules(user, action.namespace):
            if covers(rule, action):
                return why
        return None

    def complaint(self, user: User, action: Action) -> str:
        """What is said beside of an action that nothing permits: why not, as far as anybody knows."""
        lost = self.lost(user, action.namespace)
        rbac = f"RBAC: {lost}" if lost else ""
        return "\n".join(filter(None, [self._nodes.decide(user, action)[1], rbac]))

    def lost(self, user: User, namespace: str) -> str:
        """Which roles a user is bound to in vain, in words."""
        found = list(dict.fromkeys(self._lost(user, namespace)))
        return found[0] if len(found) == 1 else f"[{', '.join(found)}]" if found else ""

    def _lost(self, user: User, namespace: str) -> Iterator[str]:
        """Roles that the user's bindings name, but that are not there."""
        bindings = [(one.data, "") for one in self._store.list(CLUSTER_BINDINGS)]
        if namespace:
            bindings += [(one.data, namespace) for one in self._store.list(BINDINGS, namespace)]
        for binding, space in bindings:
            if any(is_subject(subject, user, space) for subject in binding.get("subjects") or ()):
                reference = binding["roleRef"]
                role = reference["kind"] == "Role"
                place = (ROLES, space) if role else (CLUSTER_ROLES, "")
                if self._store.get(*place, reference["name"]) is None:
                    yield f'{reference["kind"].lower()}.{GROUP} "{reference["name"]}" not found'

    def rules(self, user: User, namespace: str) -> list[tuple[Obj, str]]:
        """Every rule that applies to a user (in a namespace), with the words for why."""
        key = (user.name, tuple(user.groups), namespace)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= KNOWN_USERS:
                self._known.clear()
            found = self._known[key] = list(self._find(user, namespace))
        return found

    def _find(self, user: User, namespace: str) -> Iterator[tuple[Obj, str]]:
        for binding in self._store.list(CLUSTER_BINDINGS):
            yield from self._bound(binding.data, user, "", "ClusterRoleBinding")
        if namespace:
            for binding in self._store.list(BINDINGS, namespace):
                yield from self._bound(binding.data, user, namespace, "RoleBinding")

    def _bound(self, binding: Obj, user: User, namespace: str, kind: str) -> Iterator[tuple[Obj, str]]:
        subject = next((s for s in binding.get("subjects") or () if is_subject(s, user, namespace)), None)
        if subject is None:
            return
        where = f"{binding['metadata']['name']}/{namespace}" if namespace else binding["metadata"]["name"]
        reference = binding["roleRef"]
        why = (
            f'RBAC: allowed by {kind} "{where}" of {reference["kind"]} "{reference["name"]}" to '
            f"{_subject_text(subject, namespace)}"
        )
        for rule in self.role_rules(reference, namespace) or ():
            yield rule, why

    def role_rules(self, reference: Obj, namespace: str) -> list[Obj] | None:
        """The rules behind a roleRef; None if the role does not exist."""
        if reference["kind"] == "Role":
            found = self._store.get(ROLES, namespace, reference["name"])
        else:
            found = self._store.get(CLUSTER_ROLES, "", reference["name"])
        return (found.data.get("rules") or []) if found else None


def _subject_text(subject: Obj, namespace: str) -> str:
    if subject["kind"] == "ServiceAccount":
        return f'ServiceAccount "{subject["name"]}/{subject.get("namespace") or namespace}"'
    return f'{subject["kind"]} "{subject["name"]}"'


def is_subject(subject: Obj, user: User, namespace: str) -> bool:
    """Whether a binding's subject is this user."""
    match subject.get("kind"):
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            space = subject.get("namespace") or namespace
            return bool(space) and user.name == f"system:serviceaccount:{space}:{subject['name']}"
    return False


def forbidden_text(user: User, action: Action) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "y"`."""
    if action.path:
        return f'User "{user.name}" cannot {action.verb} path "{action.path}"'
    text = f'User "{user.name}" cannot {action.verb} resource "{action.full_resource}" in API group "{action.group}"'
    if action.namespace:
        return f'{text} in the namespace "{action.namespace}"'
    return f"{text} at the cluster scope"


# Escalation: nobody may give what they do not have


def missing(held: Iterable[Obj], wanted: Iterable[Obj]) -> list[Obj]:
    """Those simple rules of `wanted` that `held` does not cover, one (verb, group, resource, name) each."""
    owned = list(held)
    return [rule for rule in _broken_down(wanted) if not any(_covers_rule(own, rule) for own in owned)]


def _broken_down(rules: Iterable[Obj]) -> Iterator[Obj]:
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for path in rule.get("nonResourceURLs") or ():
                yield {"verbs": [verb], "nonResourceURLs": [path]}
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    simple = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                    if rule.get("resourceNames"):
                        for name in rule["resourceNames"]:
                            yield {**simple, "resourceNames": [name]}
                    else:
                        yield simple


def _covers_rule(own: Obj, rule: Obj) -> bool:
    if not allows_any(own.get("verbs"), rule["verbs"][0]):
        return False
    if "nonResourceURLs" in rule:
        return any(path_matches(pattern, rule["nonResourceURLs"][0]) for pattern in own.get("nonResourceURLs") or ())
    if not allows_any(own.get("apiGroups"), rule["apiGroups"][0]):
        return False
    resource, _, subresource = rule["resources"][0].partition("/")
    if not resource_matches(own, Action("", resource=resource, subresource=subresource)):
        return False
    names = own.get("resourceNames")
    return not names or (bool(rule.get("resourceNames")) and rule["resourceNames"][0] in names)


def compact(rules: Iterable[Obj]) -> list[Obj]:
    """Rules of one verb each, put together where all else is the same; in a stable order."""
    found: dict[tuple[Any, ...], Obj] = {}
    for rule in rules:
        key = tuple((name, tuple(values)) for name, values in sorted(rule.items()) if name != "verbs")
        kept = found.setdefault(key, {**rule, "verbs": []})
        kept["verbs"] += [verb for verb in rule["verbs"] if verb not in kept["verbs"]]
    return [found[key] for key in sorted(found)]


def rule_text(rule: Obj) -> str:
    """As escalation messages show it: {APIGroups:[""], Resources:["pods"], Verbs:["get"]}."""
    parts = []
    for key, title in (
        ("nonResourceURLs", "NonResourceURLs"),
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("resourceNames", "ResourceNames"),
        ("verbs", "Verbs"),
    ):
        if rule.get(key):
            parts.append(f"{title}:[{' '.join(chr(34) + item + chr(34) for item in rule[key])}]")
    return "{" + ", ".join(parts) + "}"
