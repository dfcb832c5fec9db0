"""What pods of Windows may have, and others may not (validateWindows... in pkg/apis/core/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.kinds.checks import dns_subdomain
from kuartui.embedded.meta.fielderr import FieldError, Path, forbidden, invalid

Obj = dict[str, Any]

_SPEC_KIB, _DOMAIN, _USER = 64, 256, 104
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DNS_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_BAD_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')

_LINUX_OF_POD = (  # what a Windows pod may not have; what is false counts as not set
    ("securityContext", "appArmorProfile"),
    ("securityContext", "seLinuxOptions"),
    ("hostUsers",),
    ("hostPID",),
    ("hostIPC",),
    ("securityContext", "seccompProfile"),
    ("securityContext", "fsGroup"),
    ("securityContext", "fsGroupChangePolicy"),
    ("securityContext", "sysctls"),
    ("shareProcessNamespace",),
    ("securityContext", "runAsUser"),
    ("securityContext", "runAsGroup"),
    ("securityContext", "supplementalGroups"),
    ("securityContext", "supplementalGroupsPolicy"),
    ("securityContext", "seLinuxChangePolicy"),
)
_UNSET_IF_EMPTY = ("hostPID", "hostIPC", "sysctls")
_LINUX_OF_CONTAINER = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def windows_options(options: Obj | None, path: Path) -> list[FieldError]:
    """windowsOptions of a pod's or a container's security context."""
    if options is None:
        return []
    errors: list[FieldError] = []
    name, spec, user = (options.get(key) for key in ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName"))
    if name is not None:
        errors += dns_subdomain(name, path / "gmsaCredentialSpecName")
    if spec is not None and not spec:
        errors.append(invalid(path / "gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string"))
    elif spec is not None and len(spec.encode()) > _SPEC_KIB * 1024:
        text = f"gmsaCredentialSpec size must be under {_SPEC_KIB} KiB"
        errors.append(invalid(path / "gmsaCredentialSpec", spec, text))
    if user is not None:
        errors += [invalid(path / "runAsUserName", user, f"runAsUserName{text}") for text in _user_name(user)]
    return errors


def _user_name(name: str) -> Iterator[str]:
    if not name:
        yield " cannot be an empty string"
        return
    if _CONTROLS.search(name):
        yield " cannot contain control characters"
        return
    *domains, user = name.split("\\")
    if len(domains) > 1:
        yield " cannot contain more than one backslash"
        return
    for domain in domains:
        if len(domain) >= _DOMAIN:
            yield f"'s Domain length must be under {_DOMAIN} characters"
        if not (_NETBIOS.fullmatch(domain) or _DNS.fullmatch(domain)):
            yield "'s Domain doesn't match the NetBios nor the DNS format"
    if not user:
        yield "'s User cannot be empty"
    elif len(user) > _USER:
        yield f"'s User length must not be longer than {_USER} characters"
    if user and not user.strip(". "):
        yield "'s User cannot contain only periods or spaces"
    if _BAD_USER.search(user):
        yield "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def host_process(spec: Obj, path: Path) -> list[FieldError]:
    """hostProcess: all containers or none, and on the host's network."""
    mine = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    errors: list[FieldError] = []
    host: list[bool] = []
    for container, at in _containers(spec, path):
        own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if None not in (mine, own) and mine != own:
            text = f"pod hostProcess value must be identical if both are specified, was {str(mine).lower()}"
            errors.append(invalid(at / "securityContext" / "windowsOptions" / "hostProcess", own, text))
        host.append(bool(mine if own is None else own))
    if any(host):
        if not all(host):
            text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
            errors.append(invalid(path, "", text))
        if not spec.get("hostNetwork"):
            text = "hostNetwork must be true if pod contains any hostProcess containers"
            errors.append(invalid(path / "hostNetwork", False, text))
    return errors


def foreign_fields(system: str, spec: Obj, path: Path) -> list[FieldError]:
    """Fields for another operating system than the one that `spec.os` names."""
    contexts = [(spec.get("securityContext") or {}, path / "securityContext")]
    contexts += [(c.get("securityContext") or {}, at / "securityContext") for c, at in _containers(spec, path)]
    if system == "linux":
        text = "windows options cannot be set for a linux pod"
        return [
            forbidden(at / "windowsOptions", text)
            for context, at in contexts
            if context.get("windowsOptions") is not None
        ]
    text, errors = "cannot be set for a windows pod", []
    for *outer, key in _LINUX_OF_POD:
        holder, at = (contexts[0][0], contexts[0][1] / key) if outer else (spec, path / key)
        if holder.get(key) if key in _UNSET_IF_EMPTY else holder.get(key) is not None:
            errors.append(forbidden(at, text))
    for context, at in contexts[1:]:
        errors += [forbidden(at / key, text) for key in _LINUX_OF_CONTAINER if context.get(key) is not None]
    return errors


def _containers(spec: Obj, path: Path) -> Iterator[tuple[Obj, Path]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or []):
            yield container, (path / kind).index(index)
