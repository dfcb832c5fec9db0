"""Role-based access control: who may do what, by the roles and bindings in the store.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and kubernetes/plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from kuartui.embedded.api.request import User
from kuartui.embedded.store import Store

Obj = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
MASTERS = "system:masters"
KNOWN_USERS = 256  # and namespaces, whose rules are remembered until a role or a binding changes


class Action(Struct, frozen=True):
    """What somebody wants to do: to a resource, or (with `path`) to a non-resource URL."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Answers from the objects in the store, as they are now."""

    def __init__(self, store: Store) -> None:
        self._store = store
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
        for rule, why in self.rules(user, action.namespace):
            if covers(rule, action):
                return why
        return None

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
        for rule in self.role_rules(reference, namespace):
            yield rule, why

    def role_rules(self, reference: Obj, namespace: str) -> list[Obj]:
        """The rules behind a roleRef; none if the role does not exist."""
        if reference["kind"] == "Role":
            found = self._store.get(ROLES, namespace, reference["name"])
        else:
            found = self._store.get(CLUSTER_ROLES, "", reference["name"])
        return (found.data.get("rules") or []) if found else []


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


def covers(rule: Obj, action: Action) -> bool:
    """Whether a PolicyRule permits an action."""
    if not _any(rule.get("verbs"), action.verb):
        return False
    if action.path:
        return any(_path_matches(pattern, action.path) for pattern in rule.get("nonResourceURLs") or ())
    if not _any(rule.get("apiGroups"), action.group) or not _resource_matches(rule, action):
        return False
    names = rule.get("resourceNames")
    return not names or action.name in names


def _resource_matches(rule: Obj, action: Action) -> bool:
    for pattern in rule.get("resources") or ():
        if pattern in ("*", action.full_resource):
            return True
        if action.subresource and pattern == f"*/{action.subresource}":
            return True
    return False


def _any(allowed: Sequence[str] | None, wanted: str) -> bool:
    return allowed is not None and ("*" in allowed or wanted in allowed)


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1].rstrip("*")))


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
    if not _any(own.get("verbs"), rule["verbs"][0]):
        return False
    if "nonResourceURLs" in rule:
        return any(_path_matches(pattern, rule["nonResourceURLs"][0]) for pattern in own.get("nonResourceURLs") or ())
    if not _any(own.get("apiGroups"), rule["apiGroups"][0]):
        return False
    resource, _, subresource = rule["resources"][0].partition("/")
    if not _resource_matches(own, Action("", resource=resource, subresource=subresource)):
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
