"""What claims, classes and slices of devices must fulfil (pkg/apis/resource/validation)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.kinds.checks import dns_label, dns_subdomain, errors_of, label_key, one_of
from kuartui.embedded.kinds.pod_scheduling import node_selector
from kuartui.embedded.kinds.pod_volumes import csi_driver_name
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)

Obj = dict[str, Any]
Names = dict[str, set[str]]
"""Requests of a claim, and the subrequests of each."""

MANY, SUBREQUESTS, DEVICES, TAINTS = 32, 8, 128, 16
LONGEST_EXPRESSION, LONGEST_POOL, LONGEST_VALUE = 10 * 1024, 253, 64
MODES = ("All", "ExactCount")
_NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_VALUES = {  # as they are called in Go
    "IntValue": "int",
    "BoolValue": "bool",
    "StringValue": "string",
    "VersionValue": "version",
    "IntValues": "ints",
    "BoolValues": "bools",
    "StringValues": "strings",
    "VersionValues": "versions",
}
_PART = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-{_PART}(\.{_PART})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


def claim_errors(spec: Obj, path: Path) -> list[FieldError]:
    """The spec of a claim, in one or in a template."""
    devices, at = spec.get("devices") or {}, path / "devices"
    names: Names = {
        request.get("name", ""): {sub.get("name", "") for sub in request.get("firstAvailable") or []}
        for request in devices.get("requests") or []
    }
    errors = _each(devices.get("requests"), at / "requests", MANY, _request, unique=True)
    errors += _each(devices.get("constraints"), at / "constraints", MANY, lambda one, to: _constraint(one, to, names))
    return errors + _each(
        devices.get("config"),
        at / "config",
        MANY,
        lambda one, to: _references(one, to / "requests", names) + _config(one, to),
    )


def class_errors(spec: Obj, path: Path) -> list[FieldError]:
    """The spec of a DeviceClass."""
    errors = _each(spec.get("selectors"), path / "selectors", MANY, _selector)
    errors += _each(spec.get("config"), path / "config", MANY, _config)
    name = spec.get("extendedResourceName")
    if name is not None and ("/" not in name or "kubernetes.io/" in name or name.startswith("requests.")):
        errors.append(invalid(path / "extendedResourceName", name, "must be a valid extended resource name"))
    return errors


def slice_errors(spec: Obj, path: Path) -> list[FieldError]:
    """The spec of a ResourceSlice: its driver, pool, place and the names of its devices."""
    errors = csi_driver_name(spec.get("driver", ""), path / "driver") + _pool(spec.get("pool") or {}, path / "pool")
    given = [place for place in _PLACES if spec.get(place)]
    selector = spec.get("nodeSelector")
    if selector is not None:
        errors += node_selector(selector, path / "nodeSelector")
        terms = selector.get("nodeSelectorTerms") or []
        if len(terms) != 1:
            at = path / "nodeSelector" / "nodeSelectorTerms"
            errors.append(invalid(at, terms, "must have exactly one node selector term"))
    for flag in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(flag) is False:
            errors.append(invalid(path / flag, False, "must be either unset or set to true"))
    wanted = "exactly one of " + ", ".join(f"`{place}`" for place in _PLACES) + " is required"
    if not given:
        errors.append(required(path, wanted))
    elif len(given) > 1:
        shown = "{" + ", ".join(f"`{place}`" for place in given) + "}"
        errors.append(invalid(path, shown, f"{wanted}, but multiple fields are set"))
    return errors + _each(
        spec.get("devices"),
        path / "devices",
        DEVICES,
        lambda one, at: _device(one, at, by_itself=bool(spec.get("perDeviceNodeSelection"))),
        unique=True,
    )


def _device(device: Obj, path: Path, *, by_itself: bool) -> list[FieldError]:
    """One of a slice; `by_itself`: it says on its own which nodes have it."""
    errors = dns_label(device.get("name", ""), path / "name")
    for key, attribute in sorted((device.get("attributes") or {}).items()):
        errors += _attribute(attribute, (path / "attributes").key(key))
    for key, amount in sorted((device.get("capacity") or {}).items()):
        if amount.get("requestPolicy") is not None and not device.get("allowMultipleAllocations"):
            at = (path / "capacity").key(key) / "requestPolicy"
            errors.append(forbidden(at, "allowMultipleAllocations must be true"))
    errors += _each(device.get("taints"), path / "taints", TAINTS, _taint)
    given = [place for place in _PLACES[:3] if device.get(place) is not None]
    places = "`nodeName`, `nodeSelector`, or `allNodes`"
    if not by_itself and given:
        text = "can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        errors.append(invalid(path, None, f"`nodeName`, `nodeSelector` and `allNodes` {text}"))
    elif by_itself and len(given) != 1:
        text = f"exactly one of {places} is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        shown = "{" + ", ".join(f"`{place}`" for place in given) + "}"
        errors.append(invalid(path, shown, text) if given else required(path, text))
    return errors


def _attribute(attribute: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(attribute.get("string") or "") > LONGEST_VALUE:
        errors.append(too_long(path / "string", LONGEST_VALUE))
    version = attribute.get("version")
    if version is not None:
        if not _SEMVER.fullmatch(version):
            text = "must be a string compatible with semver.org spec 2.0.0"
            errors.append(invalid(path / "version", version, text))
        if len(version) > LONGEST_VALUE:
            errors.append(too_long(path / "version", LONGEST_VALUE))
    text = "exactly one value must be specified"
    given = sum(value is not None for value in attribute.values())
    if not given:
        errors.append(invalid(path, "", text))
    elif given > 1:
        errors.append(invalid(path, {name: attribute.get(field) for name, field in _VALUES.items()}, text))
    return errors


def _taint(taint: Obj, path: Path) -> list[FieldError]:
    errors = label_key(taint.get("key", ""), path / "key")
    errors += errors_of(path / "value", taint.get("value", ""), names.label_value(taint.get("value", "")))
    return errors + one_of(taint.get("effect"), path / "effect", _EFFECTS)


def _toleration(toleration: Obj, path: Path) -> list[FieldError]:
    errors = label_key(toleration["key"], path / "key") if toleration.get("key") else []
    operator, value = toleration.get("operator", ""), toleration.get("value", "")
    if operator == "Exists" and value:
        errors.append(invalid(path / "value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        errors += errors_of(path / "value", value, names.label_value(value))
    elif operator != "Exists":
        errors.append(not_supported(path / "operator", operator, ("Equal", "Exists")))
    return errors + (one_of(toleration["effect"], path / "effect", _EFFECTS) if toleration.get("effect") else [])


def _pool(pool: Obj, path: Path) -> list[FieldError]:
    name = pool.get("name", "")
    if not name:
        errors = [required(path / "name")]
    else:
        errors = [too_long(path / "name", LONGEST_POOL)] if len(name) > LONGEST_POOL else []
        errors += [error for part in name.split("/") for error in dns_subdomain(part, path / "name")]
    if pool.get("resourceSliceCount", 0) <= 0:
        count = pool.get("resourceSliceCount", 0)
        errors.append(invalid(path / "resourceSliceCount", count, "must be greater than zero"))
    if pool.get("generation", 0) < 0:
        errors.append(invalid(path / "generation", pool["generation"], "must be greater than or equal to zero"))
    return errors


def _each(
    listed: list[Any] | None,
    path: Path,
    most: int,
    check: Callable[[Any, Path], list[FieldError]],
    *,
    unique: bool = False,
) -> list[FieldError]:
    items = listed or []
    errors = [too_many(path, len(items), most)] if len(items) > most else []
    seen: set[str] = set()
    for index, item in enumerate(items):
        errors += check(item, path.index(index))
        name = item.get("name", "") if unique else ""
        if name and name in seen:
            errors.append(duplicate(path.index(index) / "name", name))
        seen.add(name)
    return errors


def _request(request: Obj, path: Path) -> list[FieldError]:
    errors = dns_label(request.get("name", ""), path / "name")
    exactly, ways = request.get("exactly"), request.get("firstAvailable") or []
    text = "exactly one of `exactly` or `firstAvailable` is required"
    if exactly is None and not ways:
        errors.append(required(path, text))
    elif exactly is not None and ways:
        errors.append(invalid(path, None, f"{text}, but multiple fields are set"))
    elif exactly is not None:
        errors += _wanted(exactly, path / "exactly")
    else:
        errors += _each(ways, path / "firstAvailable", SUBREQUESTS, _subrequest, unique=True)
    return errors


def _subrequest(request: Obj, path: Path) -> list[FieldError]:
    return dns_label(request.get("name", ""), path / "name") + _wanted(request, path)


def _wanted(request: Obj, path: Path) -> list[FieldError]:
    name, at = request.get("deviceClassName", ""), path / "deviceClassName"
    errors = dns_subdomain(name, at) if name else [required(at)]
    errors += _each(request.get("selectors"), path / "selectors", MANY, _selector)
    mode, count = request.get("allocationMode"), request.get("count") or 0
    errors += one_of(mode, path / "allocationMode", MODES)
    if mode == "All" and count:
        errors.append(invalid(path / "count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount" and count <= 0:
        errors.append(invalid(path / "count", count, "must be greater than zero"))
    for index, toleration in enumerate(request.get("tolerations") or []):
        errors += _toleration(toleration, (path / "tolerations").index(index))
    return errors


def _selector(selector: Obj, path: Path) -> list[FieldError]:
    if selector.get("cel") is None:
        return [required(path / "cel")]
    source, at = selector["cel"].get("expression", ""), path / "cel" / "expression"
    if len(source) > LONGEST_EXPRESSION:
        return [too_long(at, LONGEST_EXPRESSION)]
    try:
        kind = compile_cel(source, ["device"]).type
    except CelError as error:
        return [invalid(at, source, f"compilation failed: {error}")]
    if kind in ("BOOL", "DYN"):
        return []
    return [invalid(at, source, f"must evaluate to bool or the unknown type, not {kind.lower()}")]


def _constraint(constraint: Obj, path: Path, names: Names) -> list[FieldError]:
    errors = _references(constraint, path / "requests", names)
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            return errors + _qualified(constraint[field], path / field)
    text = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [*errors, required(path, text)]


def _qualified(name: str, path: Path) -> list[FieldError]:
    domain, slash, short = name.rpartition("/")
    if not name:
        return [required(path)]
    if not slash:
        return [invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash")]
    errors = dns_subdomain(domain, path)
    if not (short.isidentifier() and short.isascii()):
        text = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric"
        rule = "[A-Za-z_][A-Za-z0-9_]*"
        example = f"(e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '{rule}')"
        errors.append(invalid(path, short, f"{text} characters or '_' {example}"))
    return errors


def _references(holder: Obj, path: Path, names: Names) -> list[FieldError]:
    errors: list[FieldError] = []
    listed = holder.get("requests") or []
    for index, name in enumerate(listed):
        at, (request, *more) = path.index(index), name.split("/")
        if len(more) < 2:
            errors += [error for part in (request, *more) for error in dns_label(part, at)]
        if request not in names or len(more) > 1 or (more and more[0] not in names[request]):
            errors.append(invalid(at, name, _NO_REQUEST))
        if name in listed[:index]:
            errors.append(duplicate(at, name))
    return errors


def _config(config: Obj, path: Path) -> list[FieldError]:
    opaque, at = config.get("opaque"), path / "opaque"
    if opaque is None:
        return [required(at)]
    errors = csi_driver_name(opaque.get("driver", ""), at / "driver")
    if opaque.get("parameters") is None:
        errors.append(required(at / "parameters"))
    elif not isinstance(opaque["parameters"], dict):
        errors.append(invalid(at / "parameters", "<value omitted>", "must be a valid JSON object"))
    return errors
