"""Containers: ports, environment, mounts, probes, hooks (validateContainers in pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct

from kuartui.embedded.kinds import pod_mounts, pod_resources
from kuartui.embedded.kinds.checks import PROTOCOLS, dns_label, errors_of, one_of, port_number
from kuartui.embedded.kinds.pod_env import environment
from kuartui.embedded.kinds.pod_probes import handlers, probe
from kuartui.embedded.kinds.pod_security_context import container_context
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)

Obj = dict[str, Any]

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MOST_RULES, _MOST_CODES = 20, 255  # of a container that restarts by rules
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"
_NO_POLICY = "must specify restartPolicy when restart rules are used"
_NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"
_FORBIDDEN_IN_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)


class PodFacts(Struct, frozen=True):
    """What containers must know of their pod."""

    volumes: dict[str, Obj]
    claims: Collection[str]
    grace: int | None
    restart_policy: str
    host_users: bool
    is_pod: bool


def main_containers(listed: list[Obj], pod: PodFacts, path: Path) -> list[FieldError]:
    if not listed:
        return [required(path)]
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, container in enumerate(listed):
        at = path.index(index)
        errors += _common(container, pod, at)
        errors += _unique(container, taken, at)
        errors += _running_parts(container, pod, at)
        errors += _restart_rules(container, at)
    return errors + host_port_conflicts(listed, path)


def init_containers(listed: list[Obj], main: list[Obj], pod: PodFacts, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    taken = {container.get("name", "") for container in main}
    for index, container in enumerate(listed):
        at = path.index(index)
        errors += _common(container, pod, at)
        if container.get("restartPolicy") is None and container.get("restartPolicyRules"):
            errors.append(required(at / "restartPolicy", _NO_POLICY))
        else:
            errors += _restart_rules(container, at)
        if container.get("name"):
            errors += _unique(container, taken, at)
        errors += host_port_conflicts([container], path)
        if container.get("restartPolicy") == "Always":
            errors += _running_parts(container, pod, at)
        else:
            errors += [
                forbidden(at / field, _NOT_FOR_INIT)
                for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
                if container.get(field) is not None
            ]
            errors += _resized_without_restart(container, at / "resizePolicy")
    return errors


def _resized_without_restart(container: Obj, path: Path) -> list[FieldError]:
    """What an init container has begun is not to be done twice."""
    text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
    return [
        invalid(path.index(index) / "restartPolicy", "RestartContainer", text)
        for index, policy in enumerate(container.get("resizePolicy") or [])
        if policy.get("restartPolicy") == "RestartContainer"
    ]


def ephemeral_containers(listed: list[Obj], others: list[Obj], pod: PodFacts, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    targets = {container.get("name", "") for container in others}
    taken = set(targets)
    for index, container in enumerate(listed):
        at = path.index(index)
        errors += _common(container, pod, at) + image_space(container, at) + _unique(container, taken, at)
        target = container.get("targetContainerName", "")
        if target and target not in targets:
            errors.append(not_found(at / "targetContainerName", target))
        errors += [forbidden(at / f, _NOT_FOR_EPHEMERAL) for f in _FORBIDDEN_IN_EPHEMERAL if container.get(f)]
        for place, mount in enumerate(container.get("volumeMounts") or []):
            where = (at / "volumeMounts").index(place)
            errors += [forbidden(where / f, _NOT_FOR_EPHEMERAL) for f in ("subPath", "subPathExpr") if mount.get(f)]
    return errors


def image_space(container: Obj, path: Path) -> list[FieldError]:
    """Pods (not templates) take no blanks around an image."""
    image = container.get("image", "")
    if image == image.strip():
        return []
    return [invalid(path / "image", image, "must not have leading or trailing whitespace")]


def host_port_conflicts(listed: list[Obj], path: Path) -> list[FieldError]:
    errors = []
    taken: set[str] = set()
    for index, container in enumerate(listed):
        for place, port in enumerate(container.get("ports") or []):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in taken:
                errors.append(duplicate((path.index(index) / "ports").index(place) / "hostPort", key))
            taken.add(key)
    return errors


def _common(container: Obj, pod: PodFacts, path: Path) -> list[FieldError]:
    name = container.get("name", "")
    errors = dns_label(name, path / "name") if name else [required(path / "name")]
    if not container.get("image"):
        errors.append(required(path / "image"))
    errors += one_of(
        container.get("terminationMessagePolicy"),
        path / "terminationMessagePolicy",
        ("File", "FallbackToLogsOnError"),
    )
    errors += _ports(container.get("ports") or [], path / "ports")
    errors += environment(container, path)
    errors += pod_mounts.mounts(container, pod.volumes, path / "volumeMounts")
    errors += pod_mounts.devices(container, pod.volumes, path / "volumeDevices")
    errors += one_of(container.get("imagePullPolicy"), path / "imagePullPolicy", PULL_POLICIES)
    errors += pod_resources.requirements(container.get("resources"), path / "resources", pod.claims)
    errors += _resize_policy(container.get("resizePolicy") or [], pod, path / "resizePolicy")
    return errors + container_context(container.get("securityContext"), path / "securityContext", pod.host_users)


def _unique(container: Obj, taken: set[str], path: Path) -> list[FieldError]:
    name = container.get("name", "")
    if name in taken:
        return [duplicate(path / "name", name)]
    taken.add(name)
    return []


def _running_parts(container: Obj, pod: PodFacts, path: Path) -> list[FieldError]:
    """Hooks and probes."""
    errors: list[FieldError] = []
    hooks = container.get("lifecycle") or {}
    for hook in ("postStart", "preStop"):
        if hooks.get(hook) is not None:
            errors += handlers(hooks[hook], path / "lifecycle" / hook, pod.grace)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        errors += probe(kind, container.get(kind), path / kind)
    return errors


def _restart_rules(container: Obj, path: Path) -> list[FieldError]:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    errors = _known(policy, path / "restartPolicy", _RESTART_POLICIES) if policy is not None else []
    if policy is None and rules:
        errors.append(required(path / "restartPolicy", _NO_POLICY))
    if len(rules) > _MOST_RULES:
        errors.append(too_many(path / "restartPolicyRules", len(rules), _MOST_RULES))
    for index, rule in enumerate(rules):
        at = (path / "restartPolicyRules").index(index)
        errors += _known(rule.get("action", ""), at / "action", ("Restart", "RestartAllContainers"))
        if rule.get("exitCodes") is None:
            errors.append(required(at / "exitCodes", "must be specified"))
        else:
            errors += _known(rule["exitCodes"].get("operator", ""), at / "exitCodes" / "operator", ("In", "NotIn"))
            codes = len(rule["exitCodes"].get("values") or ())
            if codes > _MOST_CODES:
                errors.append(too_many(at / "exitCodes" / "values", codes, _MOST_CODES))
    return errors


def _known(value: str, path: Path, allowed: Collection[str]) -> list[FieldError]:
    return [] if value in allowed else [not_supported(path, value, allowed)]


def _ports(listed: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, port in enumerate(listed):
        at = path.index(index)
        name = port.get("name", "")
        if name:
            problems = names.port_name(name)
            errors += errors_of(at / "name", name, problems)
            if not problems and name in taken:
                errors.append(duplicate(at / "name", name))
            taken.add(name)
        if not port.get("containerPort"):
            errors.append(required(at / "containerPort"))
        else:
            errors += port_number(port["containerPort"], at / "containerPort")
        if port.get("hostPort"):
            errors += port_number(port["hostPort"], at / "hostPort")
        errors += one_of(port.get("protocol"), at / "protocol", PROTOCOLS)
    return errors


def _resize_policy(listed: list[Obj], pod: PodFacts, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, policy in enumerate(listed):
        name, action = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in taken:
            errors.append(duplicate(path.index(index), name))
        taken.add(name)
        errors += one_of(name, path, ("cpu", "memory"))
        errors += one_of(action, path, ("NotRequired", "RestartContainer"))
        if pod.restart_policy == "Never" and action != "NotRequired":
            errors.append(invalid(path, action, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return errors
