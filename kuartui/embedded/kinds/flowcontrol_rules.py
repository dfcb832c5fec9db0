"""What FlowSchemas and PriorityLevelConfigurations may say, after pkg/apis/flowcontrol/validation."""

from __future__ import annotations

import math
from typing import Any

from kuartui.embedded.kinds.base import Obj
from kuartui.embedded.kinds.checks import errors_of
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
MAX_PRECEDENCE = 10_000
MAX_QUEUES = 10_000_000
MAX_HASH_BITS = 60
EACH_NAMESPACE = "each member of this list must be '*' or a DNS-1123 label; "


def flow_schema(obj: Obj) -> list[FieldError]:
    """What is wrong with a FlowSchema."""
    name, spec, path = obj["metadata"].get("name", ""), obj.get("spec") or {}, Path("spec")
    errors: list[FieldError] = []
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        errors.append(invalid(path / "matchingPrecedence", precedence, "must be a positive value"))
    if precedence > MAX_PRECEDENCE:
        errors.append(invalid(path / "matchingPrecedence", precedence, f"must not be greater than {MAX_PRECEDENCE}"))
    if precedence == 1 and name != "exempt":
        text = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(invalid(path / "matchingPrecedence", precedence, text))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = {"Type": method.get("type", "")}
        errors.append(not_supported(path / "distinguisherMethod" / "type", shown, ("ByNamespace", "ByUser")))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    where = path / "priorityLevelConfiguration" / "name"
    if level:
        errors += errors_of(where, level, names.dns1123_subdomain(level))
    else:
        errors.append(required(where, "must reference a priority level"))
    for index, rule in enumerate(spec.get("rules") or ()):
        errors += _rule(rule, (path / "rules").index(index))
    return errors


def _rule(rule: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, subject in enumerate(rule.get("subjects") or ()):
        errors += _subject(subject, (path / "subjects").index(index))
    if not rule.get("subjects"):
        errors.append(required(path / "subjects", "subjects must contain at least one value"))
    resources, others = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not others:
        errors.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for index, one in enumerate(resources):
        errors += _resource_rule(one, (path / "resourceRules").index(index))
    for index, one in enumerate(others):
        errors += _url_rule(one, (path / "nonResourceRules").index(index))
    return errors


def _subject(subject: Obj, path: Path) -> list[FieldError]:
    kind = subject.get("kind", "")
    if kind not in SUBJECTS:
        return [not_supported(path / "kind", kind, SUBJECTS)]
    own = SUBJECTS[kind]
    given, where = subject.get(own), path / own
    errors: list[FieldError] = []
    if given is None:
        errors.append(required(where, f"{own} is required when subject kind is '{kind}'"))
    else:
        name = given.get("name", "")
        if not name:
            errors.append(required(where / "name"))
        if kind == "ServiceAccount":
            if name not in ("", "*"):
                errors += errors_of(where / "name", name, names.dns1123_subdomain(name))
            namespace = given.get("namespace", "")
            if namespace:
                errors += errors_of(where / "namespace", namespace, names.dns1123_label(namespace))
            else:
                errors.append(required(where / "namespace", "must specify namespace for service account"))
    for other in ("ServiceAccount", "User", "Group"):
        field = SUBJECTS[other]
        if other != kind and subject.get(field) is not None:
            errors.append(forbidden(path / field, f"{field} is forbidden when subject kind is not '{other}'"))
    return errors


def _verbs(rule: Obj, path: Path) -> list[FieldError]:
    verbs = rule.get("verbs") or []
    if not verbs:
        return [required(path / "verbs", "verbs must contain at least one value")]
    if "*" in verbs:
        return _alone(verbs, path / "verbs", "verbs")
    return [] if set(verbs) <= set(VERBS) else [not_supported(path / "verbs", verbs, VERBS)]


def _alone(values: list[Any], path: Path, noun: str) -> list[FieldError]:
    if "*" not in values or len(values) == 1:
        return []
    return [invalid(path, values, f"if '*' is present, must not specify other {noun}")]


def _resource_rule(rule: Obj, path: Path) -> list[FieldError]:
    errors = _verbs(rule, path)
    for field, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        values = rule.get(field) or []
        if not values:
            errors.append(required(path / field, f"resource rules must supply at least one {one}"))
        errors += _alone(values, path / field, many)
    namespaces = rule.get("namespaces") or []
    where = path / "namespaces"
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(required(where, text))
    elif "*" in namespaces:
        errors += _alone(namespaces, where, "namespaces")
    else:
        for index, name in enumerate(namespaces):
            errors += errors_of(where.index(index), name, [EACH_NAMESPACE + text for text in names.dns1123_label(name)])
    return errors


def _url_rule(rule: Obj, path: Path) -> list[FieldError]:
    errors = _verbs(rule, path)
    urls, where = rule.get("nonResourceURLs") or [], path / "nonResourceURLs"
    if not urls:
        errors.append(required(where, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        errors += _alone(urls, where, "non-resource URLs")
    else:
        for index, url in enumerate(urls):
            if complaint := _url(url):
                errors.append(invalid(where.index(index), url, complaint))
    return errors


def _url(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not url.endswith("/*")) else ""


def priority_level(obj: Obj) -> list[FieldError]:
    """What is wrong with a PriorityLevelConfiguration."""
    name, spec, path = obj["metadata"].get("name", ""), obj.get("spec") or {}, Path("spec")
    kind, limited = spec.get("type", ""), spec.get("limited")
    errors: list[FieldError] = []
    if (name == "exempt") != (kind == "Exempt"):
        errors.append(invalid(path / "type", kind, "type must be 'Exempt' if and only if name is 'exempt'"))
    match kind:
        case "Exempt":
            if limited is not None:
                errors.append(forbidden(path / "limited", "must be nil if the type is not Limited"))
        case "Limited":
            if spec.get("exempt") is not None:
                errors.append(forbidden(path / "exempt", "must be nil if the type is Limited"))
            if limited is None:
                errors.append(required(path / "limited", "must not be empty when type is Limited"))
            else:
                errors += _limited(limited, path / "limited")
        case _:
            errors.append(not_supported(path / "type", kind, ("Exempt", "Limited")))
    return errors


def _limited(limited: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    shares = limited.get("nominalConcurrencyShares", 0)
    if shares < 0:
        errors.append(invalid(path / "nominalConcurrencyShares", shares, "must be a non-negative integer"))
    response, where = limited.get("limitResponse") or {}, path / "limitResponse"
    queuing = response.get("queuing")
    match response.get("type", ""):
        case "Reject":
            if queuing is not None:
                text = "must be nil if limited.limitResponse.type is not Limited"
                errors.append(forbidden(where / "queuing", text))
        case "Queue":
            if queuing is None:
                text = "must not be empty if limited.limitResponse.type is Limited"
                errors.append(required(where / "queuing", text))
            else:
                errors += _queuing(queuing, where / "queuing")
        case other:
            errors.append(not_supported(where / "type", other, ("Queue", "Reject")))
    lendable, borrowing = limited.get("lendablePercent"), limited.get("borrowingLimitPercent")
    if lendable is not None and not 0 <= lendable <= 100:
        errors.append(invalid(path / "lendablePercent", lendable, "must be between 0 and 100, inclusive"))
    if borrowing is not None and borrowing < 0:
        text = "if specified, must be a non-negative integer"
        errors.append(invalid(path / "borrowingLimitPercent", borrowing, text))
    return errors


def _queuing(queuing: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    queues, hand, length = (queuing.get(field, 0) for field in ("queues", "handSize", "queueLengthLimit"))
    if length <= 0:
        errors.append(invalid(path / "queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        errors.append(invalid(path / "queues", queues, "must be positive"))
    elif queues > MAX_QUEUES:
        errors.append(invalid(path / "queues", queues, f"must not be greater than {MAX_QUEUES}"))
    if hand <= 0:
        errors.append(invalid(path / "handSize", hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid(path / "handSize", hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(sum(math.log2(queues - card) for card in range(hand))) > MAX_HASH_BITS:
        text = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        errors.append(invalid(path / "handSize", hand, text))
    return errors
