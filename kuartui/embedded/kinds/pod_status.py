"""Changes of a pod's status that make no sense (ValidatePodStatusUpdate in pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds.checks import immutable, ip_address, label_key
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid

Obj = dict[str, Any]

_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")


def update_errors(new: Obj, old: Obj) -> list[FieldError]:
    path = Path("status")
    status, before = new.get("status") or {}, old.get("status") or {}
    spec = old.get("spec") or {}
    errors: list[FieldError] = []
    for index, condition in enumerate(status.get("conditions") or []):
        if condition.get("type") not in _SYSTEM_CONDITIONS:
            at = Path("metadata.conditions").index(index) / "Type"  # the path is Kubernetes' own slip
            errors += label_key(condition.get("type", ""), at)
    errors += immutable(status.get("qosClass", ""), before.get("qosClass", ""), path / "qosClass")
    policy = spec.get("restartPolicy", "")
    sidecars = {c.get("name") for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"}
    for field, rule in (
        ("containerStatuses", policy),
        ("initContainerStatuses", policy),
        ("ephemeralContainerStatuses", "Never"),
    ):
        errors += _revived(status.get(field) or [], before.get(field) or [], path / field, rule, spec, sidecars)
    return errors + _addresses(status, path)


def _restarts(container: Obj, policy: str, exit_code: int) -> bool:
    """podutil.ContainerShouldRestart: the first rule that knows the exit code, else the policy."""
    for rule in container.get("restartPolicyRules") or []:
        codes = rule.get("exitCodes") or {}
        if (exit_code in (codes.get("values") or [])) == (codes.get("operator") == "In"):
            return rule.get("action") in ("Restart", "RestartAllContainers")
    policy = container.get("restartPolicy") or policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _revived(
    new: list[Obj], old: list[Obj], path: Path, policy: str, spec: Obj, sidecars: set[str | None]
) -> list[FieldError]:
    """Terminated containers that run again although they must not."""
    if policy == "Always":
        return []
    own = {c.get("name"): c for c in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]}
    rules = [rule for container in own.values() for rule in container.get("restartPolicyRules") or []]
    if any(rule.get("action") == "RestartAllContainers" for rule in rules):
        return []
    errors = []
    now = {status.get("name"): status.get("state") or {} for status in new}
    for index, status in enumerate(old):
        name, ended = status.get("name"), (status.get("state") or {}).get("terminated")
        if ended is None or name in sidecars or _restarts(own.get(name) or {}, policy, ended.get("exitCode", 0)):
            continue
        if name in now and now[name].get("terminated") is None:
            text = "may not be transitioned to non-terminated state"
            errors.append(forbidden(path.index(index) / "state", text))
    return errors


def _addresses(status: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("podIPs", "hostIPs"):
        listed = [item.get("ip", "") for item in status.get(field) or []]
        for index, address in enumerate(listed):
            errors += ip_address(address, (path / field).index(index))
            if address in listed[:index]:
                errors.append(duplicate((path / field).index(index), {"IP": address}))
    hosts = status.get("hostIPs") or []
    if hosts and hosts[0].get("ip") != status.get("hostIP"):
        at = (path / "hostIPs").index(0) / "ip"
        errors.append(invalid(at, hosts[0].get("ip", ""), "must be equal to `hostIP`"))
    return errors
