"""Probes and lifecycle hooks (validateProbe, validateHandler in pkg/apis/core/validation)."""

from __future__ import annotations

import re
from typing import Any

from kuartui.embedded.kinds.checks import non_negative, port_number, port_or_name
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid, not_supported, required

Obj = dict[str, Any]

_KINDS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_HEADER = r"[-A-Za-z0-9]+"


def probe(kind: str, given: Obj | None, path: Path) -> list[FieldError]:
    """A livenessProbe, readinessProbe or startupProbe."""
    if given is None:
        return []
    errors = handlers(given, path, None)
    errors += non_negative(
        given,
        path,
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )
    grace = given.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid(path / "terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if kind == "readinessProbe":
        if grace is not None:
            text = "must not be set for readinessProbes"
            errors.append(invalid(path / "terminationGracePeriodSeconds", grace, text))
    elif given.get("successThreshold") != 1:
        errors.append(invalid(path / "successThreshold", given.get("successThreshold", 0), "must be 1"))
    return errors


def handlers(given: Obj, path: Path, grace: int | None) -> list[FieldError]:
    """Exactly one thing to do."""
    errors: list[FieldError] = []
    count = 0
    for kind in _KINDS:
        action = given.get(kind)
        if action is None:
            continue
        if count:
            errors.append(forbidden(path / kind, "may not specify more than 1 handler type"))
            continue
        count += 1
        errors += _action(kind, action, path / kind, grace)
    if not count:
        errors.append(required(path, "must specify a handler type"))
    return errors


def _action(kind: str, action: Obj, path: Path, grace: int | None) -> list[FieldError]:
    match kind:
        case "exec":
            return [] if action.get("command") else [required(path / "command")]
        case "httpGet":
            return _http_get(action, path)
        case "tcpSocket":
            return port_or_name(action.get("port"), path / "port")
        case "grpc":
            return port_number(action.get("port"), path / "port")
    seconds = action.get("seconds", 0)
    if grace is not None and not 0 <= seconds <= grace:
        text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        return [invalid(path, seconds, text)]
    return []


def _http_get(action: Obj, path: Path) -> list[FieldError]:
    errors = [] if action.get("path") else [required(path / "path")]
    errors += port_or_name(action.get("port"), path / "port")
    if action.get("scheme") not in ("HTTP", "HTTPS"):
        errors.append(not_supported(path / "scheme", action.get("scheme", ""), ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or []:
        name = header.get("name", "")
        if not re.fullmatch(_HEADER, name):
            text = (
                "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
                f"regex used for validation is '{_HEADER}')"
            )
            errors.append(invalid(path / "httpHeaders", name, text))
    return errors
