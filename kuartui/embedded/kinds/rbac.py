"""Roles, ClusterRoles and their bindings (pkg/apis/rbac/{v1/defaults,validation})."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kuartui.embedded.kinds import cells
from kuartui.embedded.kinds.base import Obj, Strategy, register
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

GROUP = "rbac.authorization.k8s.io"


class _Rbac(Strategy):
    create_on_update = True
    has_status = False
    generation = False

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return names.path_segment(name)


class Roles(_Rbac):
    namespaced = True

    def validate(self, obj: Obj) -> list[FieldError]:
        path = Path("rules")
        errors: list[FieldError] = []
        for index, rule in enumerate(obj.get("rules") or []):
            errors += _rule(rule, self.namespaced, path.index(index))
        return errors


class ClusterRoles(Roles):
    namespaced = False

    def validate(self, obj: Obj) -> list[FieldError]:
        from kuartui.embedded.kinds.checks import label_selector

        errors = super().validate(obj)
        rule = obj.get("aggregationRule")
        if rule is not None:
            path = Path("aggregationRule").child("clusterRoleSelectors")
            selectors = rule.get("clusterRoleSelectors") or []
            if not selectors:
                errors.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
            for index, selector in enumerate(selectors):
                errors += label_selector(selector, path.index(index))
        return errors


def _rule(rule: Obj, namespaced: bool, path: Path) -> list[FieldError]:
    errors = []
    if not rule.get("verbs"):
        errors.append(required(path / "verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs") or []
    groups, resources = rule.get("apiGroups") or [], rule.get("resources") or []
    if urls:
        if namespaced:
            errors.append(invalid(path / "nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs"))
        if groups or resources or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid(path / "nonResourceURLs", urls, text))
        return errors
    if not groups:
        errors.append(required(path / "apiGroups", "resource rules must supply at least one api group"))
    if not resources:
        errors.append(required(path / "resources", "resource rules must supply at least one resource"))
    return errors


class RoleBindings(_Rbac):
    kinds: tuple[str, ...] = ("Role", "ClusterRole")
    namespaced = True

    def default(self, obj: Obj) -> None:
        ref = obj.get("roleRef")
        if ref is not None and not ref.get("apiGroup"):
            ref["apiGroup"] = GROUP
        for subject in obj.get("subjects") or []:
            if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = GROUP

    def validate(self, obj: Obj) -> list[FieldError]:
        ref, path = obj.get("roleRef") or {}, Path("roleRef")
        errors = []
        if ref.get("apiGroup", "") != GROUP:
            errors.append(not_supported(path / "apiGroup", ref.get("apiGroup", ""), [GROUP]))
        if ref.get("kind", "") not in self.kinds:
            errors.append(not_supported(path / "kind", ref.get("kind", ""), self.kinds))
        if not ref.get("name"):
            errors.append(required(path / "name"))
        else:
            errors += [invalid(path / "name", ref["name"], text) for text in names.path_segment(ref["name"])]
        for index, subject in enumerate(obj.get("subjects") or []):
            errors += _subject(subject, self.namespaced, Path("subjects").index(index))
        return errors

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = self.validate(new)
        before, after = old.get("roleRef") or {}, new.get("roleRef") or {}
        if before != after:
            shown = {
                "APIGroup": after.get("apiGroup", ""),
                "Kind": after.get("kind", ""),
                "Name": after.get("name", ""),
            }
            errors.append(invalid("roleRef", shown, "cannot change roleRef"))
        return errors

    def row(self, obj: Obj, now: datetime) -> list[Any] | None:
        ref = obj.get("roleRef") or {}
        subjects = obj.get("subjects") or []

        def called(kind: str) -> str:
            found = []
            for subject in subjects:
                if subject.get("kind") == kind:
                    space = subject.get("namespace", "") if kind == "ServiceAccount" else ""
                    found.append(f"{space}/{subject.get('name', '')}" if space else subject.get("name", ""))
            return ", ".join(found)

        return [
            cells.name(obj),
            f"{ref.get('kind', '')}/{ref.get('name', '')}",
            cells.age(obj, now),
            called("User"),
            called("Group"),
            called("ServiceAccount"),
        ]


class ClusterRoleBindings(RoleBindings):
    kinds = ("ClusterRole",)
    namespaced = False


def _subject(subject: Obj, namespaced: bool, path: Path) -> list[FieldError]:
    errors = []
    name, group, kind = subject.get("name", ""), subject.get("apiGroup", ""), subject.get("kind", "")
    if not name:
        errors.append(required(path / "name"))
    if kind == "ServiceAccount":
        if name:
            errors += [invalid(path / "name", name, text) for text in names.dns1123_subdomain(name)]
        if group:
            errors.append(not_supported(path / "apiGroup", group, [""]))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(path / "namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            errors.append(not_supported(path / "apiGroup", group, [GROUP]))
    else:
        errors.append(not_supported(path / "kind", kind, ["ServiceAccount", "User", "Group"]))
    return errors


register(f"roles.{GROUP}")(Roles)
register(f"clusterroles.{GROUP}")(ClusterRoles)
register(f"rolebindings.{GROUP}")(RoleBindings)
register(f"clusterrolebindings.{GROUP}")(ClusterRoleBindings)
