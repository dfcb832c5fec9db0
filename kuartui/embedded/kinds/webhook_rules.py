"""What admission webhooks must fulfil (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from kuartui.embedded.kinds.checks import dns_subdomain, label_selector, one_of, port_number
from kuartui.embedded.meta.fielderr import FieldError, Path, invalid, not_supported, required

Obj = dict[str, Any]

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_LISTS = (("apiGroups", "API groups"), ("apiVersions", "API versions"), ("resources", "resources"))


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
    if not webhook.get("admissionReviewVersions"):
        text = "must specify one of v1, v1beta1"
        errors.append(required(path / "admissionReviewVersions", text))
    return errors + _client(webhook.get("clientConfig") or {}, path / "clientConfig")


def _qualified(name: str, path: Path) -> list[FieldError]:
    if not name:
        return [required(path)]
    errors = dns_subdomain(name, path)
    if not errors and len(name.split(".")) < 3:
        errors.append(invalid(path, name, "should be a domain with at least three segments separated by dots"))
    return errors


def _client(config: Obj, path: Path) -> list[FieldError]:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if service is not None:
        errors = [required(path / "service" / f) for f in ("name", "namespace") if not service.get(f)]
        return errors + port_number(service.get("port", 443), path / "service" / "port")
    parts = urlsplit(url or "")
    if parts.scheme != "https":
        text = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        return [invalid(path / "url", parts.scheme, text)]
    if not parts.netloc:
        text = "host must be specified; desired format: https://host[/path]"
        return [invalid(path / "url", parts.netloc, text)]
    return []


def rule_errors(rule: Obj, path: Path) -> list[FieldError]:
    """A RuleWithOperations; admission policies have them too."""
    errors: list[FieldError] = []
    for field, noun in _LISTS:
        values = rule.get(field) or []
        if not values:
            errors.append(required(path / field))
        if len(values) > 1 and "*" in values:
            errors.append(invalid(path / field, values, f"if '*' is present, must not specify other {noun}"))
    operations = rule.get("operations") or []
    if not operations:
        errors.append(required(path / "operations"))
    if len(operations) > 1 and "*" in operations:
        text = "if '*' is present, must not specify other operations"
        errors.append(invalid(path / "operations", operations, text))
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            errors.append(not_supported((path / "operations").index(index), operation, _OPERATIONS))
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        errors.append(not_supported(path / "scope", scope, _SCOPES))
    return errors
