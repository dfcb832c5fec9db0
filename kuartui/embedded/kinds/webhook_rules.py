"""What admission webhooks must fulfil (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from kuartui.embedded.cel import CelError, Program, compile_cel
from kuartui.embedded.kinds.checks import dns_subdomain, errors_of, label_selector, one_of
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, invalid, not_supported, required, too_many

Obj = dict[str, Any]

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
WEBHOOK_VARIABLES = ("object", "oldObject", "request", "authorizer")
_MOST_CONDITIONS = 64
_STRUCTS = re.compile(r"LIST<(?:DYN|MAP)")
_TYPES = {"BOOL": "bool", "STRING": "string", "NULL": "null_type", "PATCHES": "list(JSONPatch)", "OBJECT": "Object"}
_GO_TYPES = {
    "NULL": "null_type",
    "TIMESTAMP": "google.protobuf.Timestamp",
    "DURATION": "google.protobuf.Duration",
    "<": "(",
    ">": ")",
}
_TYPE_PARTS = re.compile(r"[A-Z]+|[<>]")
_PLAIN_FIELD = re.compile(r"(?:object|oldObject|params)(?:\.\w+)*")
_SCOPES = ("*", "Cluster", "Namespaced")
_LISTS = (("apiGroups", "API groups"), ("apiVersions", "API versions"))
_REVIEWS = ("v1", "v1beta1")


def webhook_errors(webhook: Obj, path: Path) -> list[FieldError]:
    """One webhook of a configuration."""
    errors = _qualified(webhook.get("name", ""), path / "name")
    for index, rule in enumerate(webhook.get("rules") or []):
        errors += rule_errors(rule, (path / "rules").index(index))
    errors += one_of(webhook.get("failurePolicy"), path / "failurePolicy", ("Fail", "Ignore"))
    errors += one_of(webhook.get("matchPolicy"), path / "matchPolicy", ("Equivalent", "Exact"))
    effects = webhook.get("sideEffects")
    if effects is None:
        errors.append(required(path / "sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in ("None", "NoneOnDryRun"):
        errors.append(not_supported(path / "sideEffects", effects, ("None", "NoneOnDryRun")))
    seconds = webhook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(path / "timeoutSeconds", seconds, text))
    for field in ("namespaceSelector", "objectSelector"):
        errors += label_selector(webhook.get(field), path / field)
    policy = webhook.get("reinvocationPolicy")
    if policy is not None and policy not in ("IfNeeded", "Never"):
        errors.append(not_supported(path / "reinvocationPolicy", policy, ("IfNeeded", "Never")))
    errors += client(webhook.get("clientConfig") or {}, path / "clientConfig")
    errors += match_conditions(webhook.get("matchConditions") or [], path / "matchConditions", WEBHOOK_VARIABLES)
    versions, place = webhook.get("admissionReviewVersions") or [], path / "admissionReviewVersions"
    return errors + reviews(versions, place, f"must specify one of {', '.join(_REVIEWS)}")


def reviews(versions: list[str], path: Path, none: str = "") -> list[FieldError]:
    """The versions of a review that a webhook takes; it must know one of ours. `none` is said if it names none."""
    if not versions:
        return [required(path, none)]
    errors: list[FieldError] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.append(invalid(path.index(index), version, "duplicate version"))
        else:
            errors += errors_of(path.index(index), version, names.dns1035_label(version))
    if not set(versions) & set(_REVIEWS):
        errors.append(invalid(path, versions, f"must include at least one of {', '.join(_REVIEWS)}"))
    return errors


def _qualified(name: str, path: Path) -> list[FieldError]:
    if not name:
        return [required(path)]
    errors = dns_subdomain(name, path)
    if not errors and len(name.split(".")) < 3:
        errors.append(invalid(path, name, "should be a domain with at least three segments separated by dots"))
    return errors


def client(config: Obj, path: Path) -> list[FieldError]:
    """Where a webhook is."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if service is not None:
        return _service(service, path / "service")
    parts, form = urlsplit(url or ""), "; desired format: https://host[/path]"
    person = parts.netloc.rpartition("@")[0]
    wrong = {
        f"'https' is the only allowed URL scheme{form}": (parts.scheme != "https", parts.scheme),
        f"host must be specified{form}": (not parts.netloc, parts.netloc),
        "user information is not permitted in the URL": (bool(person), person),
        "fragments are not permitted in the URL": (bool(parts.fragment), parts.fragment),
        "query parameters are not permitted in the URL": (bool(parts.query), parts.query),
    }
    return [invalid(path / "url", value, text) for text, (holds, value) in wrong.items() if holds]


def _service(service: Obj, path: Path) -> list[FieldError]:
    """The service behind a webhook, and the path on it: segments that are DNS subdomains."""
    errors = [required(path / field) for field in ("name", "namespace") if not service.get(field)]
    port, where = service.get("port", 443), service.get("path") or "/"
    wrong = names.port_number(port)
    if wrong:
        errors.append(invalid(path / "port", port, f"port is not valid: {','.join(wrong)}"))
    if where == "/":
        return errors
    if where == "//":
        return [*errors, invalid(path / "path", where, "segment[0] may not be empty")]
    if not where.startswith("/"):
        errors.append(invalid(path / "path", where, "must start with a '/'"))
    steps = where[1:].removesuffix("/").split("/")
    for index, step in enumerate(steps):
        if not step:
            return [*errors, invalid(path / "path", where, f"segment[{index}] may not be empty")]
        texts = names.dns1123_subdomain(step)
        errors += errors_of(path / "path", where, [f"segment[{index}]: {text}" for text in texts])
    return errors


def rule_errors(rule: Obj, path: Path) -> list[FieldError]:
    """A RuleWithOperations; admission policies have them too."""
    errors: list[FieldError] = []
    operations = rule.get("operations") or []
    if not operations:
        errors.append(required(path / "operations"))
    if len(operations) > 1 and "*" in operations:
        text = "if '*' is present, must not specify other operations"
        errors.append(invalid(path / "operations", operations, text))
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            errors.append(not_supported((path / "operations").index(index), operation, _OPERATIONS))
    for field, noun in _LISTS:
        values = rule.get(field) or []
        if not values:
            errors.append(required(path / field))
        if len(values) > 1 and "*" in values:
            errors.append(invalid(path / field, values, f"if '*' is present, must not specify other {noun}"))
    versions = path / "apiVersions"
    errors += [required(versions.index(at)) for at, version in enumerate(rule.get("apiVersions") or []) if not version]
    errors += _resources(rule.get("resources") or [], path / "resources")
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        errors.append(not_supported(path / "scope", scope, _SCOPES))
    return errors


def _resources(resources: list[str], path: Path) -> list[FieldError]:
    """ "pods", "pods/*", "*/scale", "*/*": none may say again what a wildcard before it says."""
    if not resources:
        return [required(path)]
    errors: list[FieldError] = []
    wild: set[str] = set()
    for index, resource in enumerate(resources):
        name, slash, subresource = resource.partition("/")
        if not resource:
            errors.append(required(path.index(index)))
        if not slash:
            continue
        for wildcard in (f"{name}/*", f"*/{subresource}"):
            if wildcard in wild:
                text = f"if '{wildcard}' is present, must not specify {resource}"
                errors.append(invalid(path.index(index), resource, text))
        if "*" in (name, subresource):
            wild.add(resource)
    if len(resources) > 1 and "*/*" in resources:
        errors.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and any(resource != "*" and "/" not in resource for resource in resources):
        text = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, text))
    return errors


def match_conditions(conditions: list[Obj], path: Path, variables: Iterable[str]) -> list[FieldError]:
    """CEL conditions that a request must fulfil, of webhooks and of policies."""
    errors = [too_many(path, len(conditions), _MOST_CONDITIONS)] if len(conditions) > _MOST_CONDITIONS else []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        at, name = path.index(index), condition.get("name", "")
        expression = condition.get("expression", "").strip()
        errors += (
            compiles(expression, at / "expression", ("BOOL",), variables)
            if expression
            else [required(at / "expression")]
        )
        errors += errors_of(at / "name", name, names.qualified_name(name)) if name else [required(at / "name")]
        if name and name in seen:
            errors.append(duplicate(at / "name", name))
        seen.add(name)
    return errors


def compiles(source: str, path: Path, wanted: tuple[str, ...], variables: Iterable[str]) -> list[FieldError]:
    """Whether an expression can be read and gives what it should: one of the `wanted` types, or anything."""
    try:
        program = compile_cel(source, variables)
    except CelError as error:
        return [invalid(path, source, f"compilation failed: {error}")]
    if wanted and not _gives(program, wanted):
        types = [_TYPES[name] for name in wanted]
        text = types[0] if len(types) == 1 else f"one of [{' '.join(types)}]"
        return [invalid(path, source, f"must evaluate to {text} but got {_go_type(program.type)}")]
    return []


def _gives(program: Program, wanted: tuple[str, ...]) -> bool:
    """Whether the result may be of a wanted type.

    A field of an object is of no type that the checker knows, and so of none that is wanted. What comes of variables
    that do have types, and whose types are not kept here, may be anything; so may Object and JSONPatch, which are maps.
    """
    structs = "OBJECT" in wanted or "PATCHES" in wanted
    if program.type == "DYN":
        return structs or not _PLAIN_FIELD.fullmatch(program.source)
    return program.type in wanted or ("PATCHES" in wanted and _STRUCTS.match(program.type) is not None)


def _go_type(name: str) -> str:
    """A type as cel-go writes it: list(dyn), map(string, int)."""
    return _TYPE_PARTS.sub(lambda part: _GO_TYPES.get(part[0], part[0].lower()), name)
