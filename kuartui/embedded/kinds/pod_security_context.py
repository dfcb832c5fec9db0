"""Security contexts of pods and containers (ValidateSecurityContext in pkg/apis/core/validation)."""

from __future__ import annotations

import re
from typing import Any

from kuartui.embedded.kinds.checks import MAX_INT32
from kuartui.embedded.kinds.pod_volumes import descending_path
from kuartui.embedded.kinds.pod_windows import windows_options
from kuartui.embedded.meta.fielderr import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

Obj = dict[str, Any]

_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_SEGMENT}[\./])*{_SEGMENT}$"
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
_LONGEST_PROFILE = 4095  # of a path on Linux
_NO_HOST_USERS = "when `hostUsers` is false"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")


def container_context(context: Obj | None, path: Path, host_users: bool) -> list[FieldError]:
    """A container's securityContext."""
    if context is None:
        return []
    errors = _ids(context, path, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            errors.append(not_supported(path / "procMount", mount, ("Default", "Unmasked")))
        if host_users and mount == "Unmasked":
            errors.append(invalid(path / "procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    errors += seccomp_profile(context.get("seccompProfile"), path / "seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        text = "cannot set `allowPrivilegeEscalation` to false and "
        if context.get("privileged"):
            errors.append(invalid(path, _shown(context), text + "`privileged` to true"))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or []):
            errors.append(invalid(path, _shown(context), text + "`capabilities.Add` CAP_SYS_ADMIN"))
    errors += windows_options(context.get("windowsOptions"), path / "windowsOptions")
    return errors + _app_armor(context.get("appArmorProfile"), path / "appArmorProfile")


def _shown(context: Obj) -> Obj:
    """The internal struct, as errors show it."""
    from kuartui.embedded.kinds import go_structs

    shown: Obj = go_structs.render("SecurityContext", context)
    return shown


def pod_context(spec: Obj, path: Path) -> list[FieldError]:
    """A pod's securityContext."""
    context = spec.get("securityContext")
    if context is None:
        return []
    errors = _ids(context, path, "fsGroup", "runAsUser", "runAsGroup")
    for index, group in enumerate(context.get("supplementalGroups") or []):
        if not 0 <= group <= MAX_INT32:
            errors.append(invalid((path / "supplementalGroups").index(index), group, _RANGE))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(path / "shareProcessNamespace", True, text))
    errors += _sysctls(context.get("sysctls") or [], spec, path / "sysctls")
    errors += _policy(context, "fsGroupChangePolicy", path, ("Always", "OnRootMismatch"))
    errors += seccomp_profile(context.get("seccompProfile"), path / "seccompProfile")
    errors += windows_options(context.get("windowsOptions"), path / "windowsOptions")
    errors += _app_armor(context.get("appArmorProfile"), path / "appArmorProfile")
    errors += _policy(context, "supplementalGroupsPolicy", path, ("Merge", "Strict"))
    return errors + _policy(context, "seLinuxChangePolicy", path, ("MountOption", "Recursive"))


def _policy(context: Obj, field: str, path: Path, allowed: tuple[str, ...]) -> list[FieldError]:
    value = context.get(field)
    return [] if value is None or value in allowed else [not_supported(path / field, value, allowed)]


_RANGE = f"must be between 0 and {MAX_INT32}, inclusive"


def _ids(context: Obj, path: Path, *fields: str) -> list[FieldError]:
    return [
        invalid(path / field, context[field], _RANGE)
        for field in fields
        if context.get(field) is not None and not 0 <= context[field] <= MAX_INT32
    ]


def seccomp_profile(profile: Obj | None, path: Path) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    errors = []
    if not kind:
        errors.append(required(path / "type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILES:
        errors.append(not_supported(path / "type", kind, _PROFILES))
    if kind == "Localhost":
        if local is None:
            errors.append(required(path / "localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            errors += descending_path(local, path / "localhostProfile")
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        errors.append(invalid(path / "localhostProfile", shown, "can only be set when seccomp type is Localhost"))
    return errors


def _app_armor(profile: Obj | None, path: Path) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if kind == "Localhost":
        if not local:
            return [required(path / "localhostProfile", "must be set when AppArmor type is Localhost")]
        errors = []
        if local != local.strip():
            errors.append(invalid(path / "localhostProfile", local, "must not be padded with whitespace"))
        if len(local) > _LONGEST_PROFILE:
            errors.append(too_long(path / "localhostProfile", _LONGEST_PROFILE))
        return errors
    if not kind:
        return [required(path / "type", "type is required when appArmorProfile is set")]
    if kind not in _PROFILES:
        return [not_supported(path / "type", kind, _PROFILES)]
    if local is not None:
        return [invalid(path / "localhostProfile", local, "can only be set when AppArmor type is Localhost")]
    return []


def _sysctls(listed: list[Obj], spec: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, sysctl in enumerate(listed):
        name, at = sysctl.get("name", ""), path.index(index) / "name"
        if not name:
            errors.append(required(at))
        elif len(name) > 253 or not re.fullmatch(_SYSCTL, name):
            errors.append(invalid(at, name, f"must have at most 253 characters and match regex {_SYSCTL}"))
        elif name in seen:
            errors.append(duplicate(at, name))
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.append(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and dotted.startswith(_IPC_SYSCTLS):
            errors.append(invalid(at, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)
    return errors


def host_users(spec: Obj, path: Path) -> list[FieldError]:
    """User namespaces and the host's other namespaces do not go together."""
    if spec.get("hostUsers") is not False:
        return []
    shown = {"hostNetwork": "hostNetwork", "hostPID": "HostPID", "hostIPC": "HostIPC"}
    errors = [forbidden(path / name, _NO_HOST_USERS) for field, name in shown.items() if spec.get(field)]
    return errors + [
        forbidden((path / kind).index(index) / "volumeDevices", _NO_HOST_USERS)
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for index, container in enumerate(spec.get(kind) or [])
        if container.get("volumeDevices")
    ]
