"""Where a pod may run: affinity, tolerations, topology spread (validateAffinity and others in core/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import NOT_POSITIVE, dns_label, errors_of, label_key, label_selector
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

Obj = dict[str, Any]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_BAD_OPERATOR = "not a valid selector operator"
_BAD_WEIGHT = "must be in the range 1-100"


def affinity(given: Obj | None, path: Path) -> list[FieldError]:
    if given is None:
        return []
    errors: list[FieldError] = []
    node = given.get("nodeAffinity")
    if node is not None:
        at = path / "nodeAffinity"
        if node.get(_REQUIRED) is not None:
            errors += node_selector(node[_REQUIRED], at / _REQUIRED)
        for index, term in enumerate(node.get(_PREFERRED) or []):
            place = (at / _PREFERRED).index(index)
            errors += _weight(term, place)
            errors += _node_term(term.get("preference") or {}, place / "preference", check_values=False)
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = given.get(kind)
        if rules is not None:
            for index, term in enumerate(rules.get(_REQUIRED) or []):
                errors += _pod_term(term, (path / kind / _REQUIRED).index(index))
            for index, term in enumerate(rules.get(_PREFERRED) or []):
                place = (path / kind / _PREFERRED).index(index)
                errors += _weight(term, place)
                errors += _pod_term(term.get("podAffinityTerm") or {}, place / "podAffinityTerm")
    return errors


def _weight(term: Obj, path: Path) -> list[FieldError]:
    weight = term.get("weight", 0)
    return [] if 0 < weight <= 100 else [invalid(path / "weight", weight, _BAD_WEIGHT)]


def node_selector(selector: Obj, path: Path) -> list[FieldError]:
    """A core NodeSelector; persistent volumes have one too."""
    terms = selector.get("nodeSelectorTerms") or []
    at = path / "nodeSelectorTerms"
    if not terms:
        return [required(at, "must have at least one node selector term")]
    errors: list[FieldError] = []
    for index, term in enumerate(terms):
        errors += _node_term(term, at.index(index), check_values=True)
    return errors


def _node_term(term: Obj, path: Path, check_values: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(term.get("matchExpressions") or []):
        errors += _node_rule(rule, (path / "matchExpressions").index(index), check_values)
    for index, rule in enumerate(term.get("matchFields") or []):
        errors += _field_rule(rule, (path / "matchFields").index(index))
    return errors


def _node_rule(rule: Obj, path: Path, check_values: bool) -> list[FieldError]:
    values = rule.get("values") or []
    errors: list[FieldError] = []
    match rule.get("operator", ""):
        case "In" | "NotIn":
            if not values:
                errors.append(required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'"))
        case "Exists" | "DoesNotExist":
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden(path / "values", text))
        case "Gt" | "Lt":
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.append(required(path / "values", text))
        case operator:
            errors.append(invalid(path / "operator", operator, _BAD_OPERATOR))
    errors += label_key(rule.get("key", ""), path / "key")
    if check_values:
        for index, value in enumerate(values):
            errors += errors_of((path / "values").index(index), value, names.label_value(value))
    return errors


def _field_rule(rule: Obj, path: Path) -> list[FieldError]:
    values = rule.get("values") or []
    errors: list[FieldError] = []
    if rule.get("operator") in ("In", "NotIn"):
        if len(values) != 1:
            text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.append(required(path / "values", text))
    else:
        errors.append(invalid(path / "operator", rule.get("operator", ""), _BAD_OPERATOR))
    if rule.get("key") != "metadata.name":
        errors.append(invalid(path / "key", rule.get("key", ""), "not a valid field selector key"))
    else:
        for index, value in enumerate(values):
            errors += errors_of((path / "values").index(index), value, names.dns1123_subdomain(value))
    return errors


def _pod_term(term: Obj, path: Path) -> list[FieldError]:
    errors = label_selector(term.get("labelSelector"), path / "labelSelector")
    errors += label_selector(term.get("namespaceSelector"), path / "namespaceSelector")
    for name in term.get("namespaces") or []:
        errors += dns_label(name, path / "namespace")
    errors += _label_keys(term, path)
    key = term.get("topologyKey", "")
    if not key:
        errors.append(required(path / "topologyKey", "can not be empty"))
    return errors + label_key(key, path / "topologyKey")


def _label_keys(term: Obj, path: Path) -> list[FieldError]:
    """matchLabelKeys and mismatchLabelKeys of an affinity term or a spread constraint.

    A pod's are a part of its selector by now, so what is there twice was said twice; a template's are not, and pass.
    """
    errors: list[FieldError] = []
    selector = term.get("labelSelector")
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(field) or []
        if keys and selector is None:
            errors.append(forbidden(path / field, "must not be specified when labelSelector is not set"))
            continue
        for index, key in enumerate(keys):
            errors += label_key(key, (path / field).index(index))
    places = {key: index for index, key in enumerate(term.get("matchLabelKeys") or [])}
    used = set((selector or {}).get("matchLabels") or ())
    for rule in (selector or {}).get("matchExpressions") or []:
        key = rule.get("key", "")
        if key in places and key in used:  # the path is Kubernetes' own slip
            errors.append(invalid(path.index(places[key]), key, "exists in both matchLabelKeys and labelSelector"))
        used.add(key)
    for index, key in enumerate(term.get("matchLabelKeys") or []):
        if key in (term.get("mismatchLabelKeys") or []):
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid((path / "matchLabelKeys").index(index), key, text))
    return errors


def tolerations(listed: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, toleration in enumerate(listed):
        errors += _toleration(toleration, path.index(index))
    return errors


def _toleration(toleration: Obj, path: Path) -> list[FieldError]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    errors = label_key(key, path / "key") if key else []
    if not key and operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(path / "operator", operator, text))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        errors.append(invalid(path / "effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("", "Equal"):
        problems = names.label_value(value)
        if problems:
            errors.append(invalid(path / "operator", value, ";".join(problems)))
    elif operator == "Exists":
        if value:
            errors.append(invalid(path / "operator", value, "value must be empty when `operator` is 'Exists'"))
    else:  # Lt and Gt are known, but off in 1.36
        known = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
        errors.append(not_supported(path / "operator", operator, known))
    if effect and effect not in EFFECTS:
        errors.append(not_supported(path / "effect", effect, EFFECTS))
    return errors


def taints(listed: list[Obj], path: Path) -> list[FieldError]:
    """Taints of a node."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(listed):
        at = path.index(index)
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        errors += label_key(key, at / "key")
        problems = names.label_value(value)
        if problems:
            errors.append(invalid(at / "value", value, ";".join(problems)))
        if not effect:
            errors.append(required(at / "effect"))
        elif effect not in EFFECTS:
            errors.append(not_supported(at / "effect", effect, EFFECTS))
        if (key, effect) in seen:
            shown = duplicate(at, {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")})
            detail = "taints must be unique by key and effect pair"
            errors.append(FieldError(shown.type, shown.field, shown.value, detail))
        seen.add((key, effect))
    return errors


def topology_spread(listed: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: dict[tuple[str, str], Path] = {}
    for index, constraint in enumerate(listed):
        at = path.index(index)
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if constraint.get("maxSkew", 0) <= 0:
            errors.append(invalid(at / "maxSkew", constraint.get("maxSkew", 0), NOT_POSITIVE))
        if not key:
            errors.append(required(at / "topologyKey", "can not be empty"))
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            errors.append(not_supported(at / "whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway")))
        if (key, action) in seen:  # told at the earlier one of the two
            first = seen[key, action]
            errors.append(duplicate(first / "{topologyKey, whenUnsatisfiable}", f"{{{key}, {action}}}"))
        seen[key, action] = at
        errors += _min_domains(constraint, action, at / "minDomains")
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(field) not in (None, "Honor", "Ignore"):
                errors.append(not_supported(at / field, constraint[field], ("Honor", "Ignore")))
        errors += _label_keys({**constraint, "mismatchLabelKeys": None}, at)
        errors += label_selector(constraint.get("labelSelector"), at / "labelSelector")
    return errors


def _min_domains(constraint: Obj, action: str, path: Path) -> list[FieldError]:
    least = constraint.get("minDomains")
    if least is None:
        return []
    errors = [invalid(path, least, NOT_POSITIVE)] if least <= 0 else []
    if action != "DoNotSchedule":
        text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        errors.append(invalid(path, least, text))
    return errors
