"""Which requests a webhook or an admission policy is for: rules, selectors, scopes.

k8s.io/apiserver/pkg/admission/plugin/webhook/predicates and .../policy/matching.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kuartui.embedded.admission.base import Attributes
from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.meta import labels
from kuartui.embedded.store import Store

Obj = dict[str, Any]

GROUP = "admissionregistration.k8s.io"


def exempt(attributes: Attributes) -> bool:
    """Nobody may lock themselves out: configurations of admission are never intercepted."""
    return attributes.endpoint.resource.group == GROUP


def matches(match: Obj, attributes: Attributes, store: Store, rules: str = "rules") -> bool:
    """Whether a request is meant; `match` has rules, matchPolicy, namespaceSelector and objectSelector."""
    found, endpoint = match.get(rules), attributes.endpoint
    equivalent = match.get("matchPolicy", "Equivalent") != "Exact"
    versions = endpoint.resource.versions if equivalent else (endpoint.version,)
    if found is not None and not any(_rule(rule, attributes, versions) for rule in found):
        return False
    if any(_rule(rule, attributes, versions) for rule in match.get("excludeResourceRules") or ()):
        return False
    return _namespace(match.get("namespaceSelector"), attributes, store) and _object(
        match.get("objectSelector"), attributes
    )


def all_true(conditions: Iterable[Obj], variables: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Whether all matchConditions are true. One that is false settles it, even if another one cannot be told.

    Raises CelError, with what is wrong with all that cannot be told (k8s.io/apiserver/pkg/admission/plugin/webhook/
    matchconditions and its Match).
    """
    failed: dict[str, None] = {}
    for condition in conditions:
        expression = condition["expression"]
        try:
            if compile_cel(expression, variables).evaluate(values) is not True:
                return False
        except CelError as error:
            failed[f"expression '{expression.strip()}' resulted in error: {error}"] = None
    if failed:
        raise CelError(f"[{', '.join(failed)}]" if len(failed) > 1 else next(iter(failed)))
    return True


def version_for(webhook: Obj, attributes: Attributes) -> str:
    """The version in which a webhook that matches wants its objects: the request's own, or one that its rules name."""
    endpoint = attributes.endpoint
    if (attributes.obj or attributes.old or {}).get("kind", endpoint.kind) != endpoint.kind:
        return endpoint.version  # a subresource with a kind of its own
    for version in (endpoint.version, *endpoint.resource.versions):
        if any(_rule(rule, attributes, (version,)) for rule in webhook.get("rules") or ()):
            return version
    return endpoint.version


def _rule(rule: Obj, attributes: Attributes, versions: Sequence[str]) -> bool:
    resource = attributes.endpoint.resource
    names = rule.get("resourceNames")
    return (
        _one(rule.get("operations"), (attributes.operation,))
        and _one(rule.get("apiGroups"), (resource.group,))
        and _one(rule.get("apiVersions"), versions)
        and _resource(rule.get("resources") or (), resource.plural, attributes.subresource)
        and rule.get("scope", "*") in ("*", "Namespaced" if resource.namespaced else "Cluster")
        and (not names or attributes.name in names)
    )


def _one(wanted: Sequence[str] | None, given: Sequence[str]) -> bool:
    return any(item == "*" or item in given for item in wanted or ())


def _resource(wanted: Sequence[str], plural: str, subresource: str) -> bool:
    for item in wanted:
        name, _, sub = item.partition("/")
        if name in ("*", plural) and (sub == subresource or (sub == "*" and "/" in item)):
            return True
    return False


def _namespace(selector: Obj | None, attributes: Attributes, store: Store) -> bool:
    if not selector:
        return True
    if attributes.resource == "namespaces":
        given = (attributes.obj or attributes.old or {}).get("metadata", {})
    elif not attributes.namespace:
        return True
    else:
        found = store.get("namespaces", "", attributes.namespace)
        given = found.data["metadata"] if found else {}
    return labels.from_object(selector).matches(given.get("labels") or {})


def _object(selector: Obj | None, attributes: Attributes) -> bool:
    if not selector:
        return True
    wanted = labels.from_object(selector)
    objects = [obj for obj in (attributes.obj, attributes.old) if obj is not None]
    return any(wanted.matches((obj.get("metadata") or {}).get("labels") or {}) for obj in objects)


def request_of(attributes: Attributes, version: str = "") -> Obj:
    """What policies and webhooks are told of a request (admission.k8s.io/v1 AdmissionRequest).

    `version` is that of the objects they see, where it is not the request's.
    """
    resource = attributes.endpoint.resource
    kind = {"group": resource.group, "version": attributes.endpoint.version, "kind": resource.kind}
    shown = attributes.obj or attributes.old or {}
    if shown.get("kind", resource.kind) != resource.kind:  # a subresource with a kind of its own
        group, _, own = str(shown.get("apiVersion", "")).rpartition("/")
        kind = {"group": group, "version": own, "kind": shown["kind"]}
    plural = {"group": resource.group, "version": attributes.endpoint.version, "resource": resource.plural}
    user = attributes.user
    seen = {"version": version} if version else {}
    return {
        "kind": {**kind, **seen},
        "resource": {**plural, **seen},
        "subResource": attributes.subresource,
        "requestKind": kind,
        "requestResource": plural,
        "requestSubResource": attributes.subresource,
        "name": attributes.name,
        "namespace": attributes.namespace,
        "operation": attributes.operation,
        "userInfo": {
            "username": user.name,
            "groups": list(user.groups),
            **({"uid": user.uid} if user.uid else {}),
            **({"extra": {key: list(value) for key, value in user.extra.items()}} if user.extra else {}),
        },
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }
