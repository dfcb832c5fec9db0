"""What somebody wants to do, and whether a PolicyRule permits it (kubernetes/plugin/pkg/auth/authorizer/rbac)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

Obj = dict[str, Any]


class Action(Struct, frozen=True):
    """What somebody wants to do: to a resource, or (with `path`) to a non-resource URL."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: str = ""
    """The field selector of a list or watch."""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def covers(rule: Obj, action: Action) -> bool:
    """Whether a PolicyRule permits an action."""
    if not allows_any(rule.get("verbs"), action.verb):
        return False
    if action.path:
        return any(path_matches(pattern, action.path) for pattern in rule.get("nonResourceURLs") or ())
    if not allows_any(rule.get("apiGroups"), action.group) or not resource_matches(rule, action):
        return False
    names = rule.get("resourceNames")
    return not names or action.name in names


def resource_matches(rule: Obj, action: Action) -> bool:
    for pattern in rule.get("resources") or ():
        if pattern in ("*", action.full_resource):
            return True
        if action.subresource and pattern == f"*/{action.subresource}":
            return True
    return False


def allows_any(allowed: Sequence[str] | None, wanted: str) -> bool:
    return allowed is not None and ("*" in allowed or wanted in allowed)


def path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1].rstrip("*")))
