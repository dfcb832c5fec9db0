"""The Pod Security Standards: what each profile forbids, and the words in which it says so.

Rules and texts after k8s.io/pod-security-admission/policy (`check_*.go`). An older version of a standard does without
the rules that came later; those that are there are judged as in "latest":
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct

Obj = dict[str, Any]

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
LATEST = float("inf")

DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    }
)


class Violation(Struct, frozen=True):
    """`reason` names the rule, `detail` where it is broken; together "reason (detail)"."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def violations(spec: Obj, level: str, minor: float = LATEST) -> list[Violation]:
    """What in a pod's (or template's) spec this level forbids, in the order in which Kubernetes lists it. `minor` is the
    version of the standard, 22 for v1.22."""
    if level == PRIVILEGED:
        return []
    checks = [check for check in CHECKS if check.since <= minor and (level == RESTRICTED or check.level == BASELINE)]
    stricter = {check.overrides for check in checks}
    found = []
    for check in checks:
        if check.id not in stricter:
            violation = check.run(spec)
            if violation:
                found.append(violation)
    return found


def _containers(spec: Obj) -> Iterator[Obj]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _security(container: Obj) -> Obj:
    context: Obj = container.get("securityContext") or {}
    return context


def _pod_security(spec: Obj) -> Obj:
    context: Obj = spec.get("securityContext") or {}
    return context


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _plural(word: str, names: list[str]) -> str:
    """container "a", containers "a", "b"."""
    return f"{word}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _named(spec: Obj, bad: Callable[[Obj], bool]) -> list[str]:
    return [container["name"] for container in _containers(spec) if bad(container)]


# Baseline


def host_namespaces(spec: Obj) -> Violation | None:
    used = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(used)) if used else None


def privileged(spec: Obj) -> Violation | None:
    bad = _named(spec, lambda c: bool(_security(c).get("privileged")))
    return (
        Violation("privileged", f"{_plural('container', bad)} must not set securityContext.privileged=true")
        if bad
        else None
    )


def capabilities_baseline(spec: Obj) -> Violation | None:
    bad: list[str] = []
    forbidden: set[str] = set()
    for container in _containers(spec):
        added = set((_security(container).get("capabilities") or {}).get("add") or ()) - DEFAULT_CAPABILITIES
        if added:
            bad.append(container["name"])
            forbidden |= added
    if not bad:
        return None
    detail = f"{_plural('container', bad)} must not include {_quoted(sorted(forbidden))}"
    return Violation("non-default capabilities", f"{detail} in securityContext.capabilities.add")


def host_path(spec: Obj) -> Violation | None:
    bad = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", _plural("volume", bad)) if bad else None


def host_ports(spec: Obj) -> Violation | None:
    bad: list[str] = []
    ports: set[int] = set()
    for container in _containers(spec):
        used = {port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")}
        if used:
            bad.append(container["name"])
            ports |= used
    if not bad:
        return None
    verb = "use" if len(bad) > 1 else "uses"
    noun = "hostPorts" if len(ports) > 1 else "hostPort"
    return Violation("hostPort", f"{_plural('container', bad)} {verb} {noun} {', '.join(map(str, sorted(ports)))}")


def host_probes(spec: Obj) -> Violation | None:
    bad: list[str] = []
    hosts: set[str] = set()
    for container in _containers(spec):
        handlers = [container.get(probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [(container.get("lifecycle") or {}).get(hook) for hook in ("postStart", "preStop")]
        used = {
            handler[kind]["host"]
            for handler in handlers
            if handler
            for kind in ("httpGet", "tcpSocket")
            if (handler.get(kind) or {}).get("host")
        }
        if used - {"127.0.0.1", "::1"}:
            bad.append(container["name"])
            hosts |= used
    if not bad:
        return None
    verb = "use" if len(bad) > 1 else "uses"
    noun = "hosts" if len(hosts) > 1 else "host"
    return Violation(
        "probe or lifecycle host",
        f"{_plural('container', bad)} {verb} probe or lifecycle {noun} {_quoted(sorted(hosts))}",
    )


def app_armor(spec: Obj) -> Violation | None:
    places: list[str] = []
    values: list[str] = []
    allowed = ("RuntimeDefault", "Localhost")
    kind = (_pod_security(spec).get("appArmorProfile") or {}).get("type")
    if kind and kind not in allowed:
        places.append("pod")
        values.append(kind)
    bad = []
    for container in _containers(spec):
        own = (_security(container).get("appArmorProfile") or {}).get("type")
        if own and own not in allowed:
            bad.append(container["name"])
            values.append(own)
    if bad:
        places.append(_plural("container", bad))
    if not places:
        return None
    detail = f"{' and '.join(places)} must not set AppArmor profile type to {_quoted(sorted(set(values)))}"
    return Violation("forbidden AppArmor profile" + ("s" if len(values) > 1 else ""), detail)


def selinux(spec: Obj) -> Violation | None:
    types: set[str] = set()
    user = role = False
    places: list[str] = []
    bad: list[str] = []
    for name, context in [("", _pod_security(spec)), *((c["name"], _security(c)) for c in _containers(spec))]:
        options = context.get("seLinuxOptions") or {}
        wrong = options.get("type", "") not in SELINUX_TYPES
        if wrong:
            types.add(options["type"])
        user = user or bool(options.get("user"))
        role = role or bool(options.get("role"))
        if wrong or options.get("user") or options.get("role"):
            if name:
                bad.append(name)
            else:
                places.append("pod")
    if bad:
        places.append(_plural("container", bad))
    if not places:
        return None
    data = [f"type{'s' if len(types) > 1 else ''} {_quoted(sorted(types))}"] if types else []
    data += ["user may not be set"] if user else []
    data += ["role may not be set"] if role else []
    return Violation(
        "seLinuxOptions", f"{' and '.join(places)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    )


def proc_mount(spec: Obj) -> Violation | None:
    bad: list[str] = []
    types: set[str] = set()
    if spec.get("hostUsers") is False:
        return None  # in a user namespace /proc is its own
    for container in _containers(spec):
        kind = _security(container).get("procMount") or "Default"
        if kind != "Default":
            bad.append(container["name"])
            types.add(kind)
    if not bad:
        return None
    return Violation(
        "procMount", f"{_plural('container', bad)} must not set securityContext.procMount to {_quoted(sorted(types))}"
    )


def seccomp_baseline(spec: Obj) -> Violation | None:
    places: list[str] = []
    values: set[str] = set()
    kind = (_pod_security(spec).get("seccompProfile") or {}).get("type")
    if kind and kind not in ("RuntimeDefault", "Localhost"):
        places.append("pod")
        values.add(kind)
    bad = []
    for container in _containers(spec):
        own = (_security(container).get("seccompProfile") or {}).get("type")
        if own and own not in ("RuntimeDefault", "Localhost"):
            bad.append(container["name"])
            values.add(own)
    if bad:
        places.append(_plural("container", bad))
    if not places:
        return None
    detail = f"{' and '.join(places)} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return Violation("seccompProfile", detail)


def sysctls(spec: Obj) -> Violation | None:
    bad = [item["name"] for item in _pod_security(spec).get("sysctls") or () if item["name"] not in SAFE_SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(spec: Obj) -> Violation | None:
    places = []
    if (_pod_security(spec).get("windowsOptions") or {}).get("hostProcess"):
        places.append("pod")
    bad = _named(spec, lambda c: bool((_security(c).get("windowsOptions") or {}).get("hostProcess")))
    if bad:
        places.append(_plural("container", bad))
    if not places:
        return None
    return Violation(
        "hostProcess", f"{' and '.join(places)} must not set securityContext.windowsOptions.hostProcess=true"
    )


# Restricted


def privilege_escalation(spec: Obj) -> Violation | None:
    if _windows(spec):
        return None
    bad = _named(spec, lambda c: _security(c).get("allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    return Violation(
        "allowPrivilegeEscalation != false",
        f"{_plural('container', bad)} must set securityContext.allowPrivilegeEscalation=false",
    )


def capabilities_restricted(spec: Obj) -> Violation | None:
    if _windows(spec):
        return None
    undropped: list[str] = []
    adding: list[str] = []
    forbidden: set[str] = set()
    for container in _containers(spec):
        capabilities = _security(container).get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            undropped.append(container["name"])
        added = set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}
        if added:
            adding.append(container["name"])
            forbidden |= added
    details = []
    if undropped:
        details.append(f'{_plural("container", undropped)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        must = f"must not include {_quoted(sorted(forbidden))} in securityContext.capabilities.add"
        details.append(f"{_plural('container', adding)} {must}")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def restricted_volumes(spec: Obj) -> Violation | None:
    bad: list[str] = []
    types: set[str] = set()
    for volume in spec.get("volumes") or ():
        kinds = {field for field in volume if field != "name"}
        if kinds and not kinds & RESTRICTED_VOLUMES:
            bad.append(volume["name"])
            types |= kinds
    if not bad:
        return None
    verb = "use" if len(bad) > 1 else "uses"
    noun = "types" if len(types) > 1 else "type"
    return Violation(
        "restricted volume types", f"{_plural('volume', bad)} {verb} restricted volume {noun} {_quoted(sorted(types))}"
    )


def run_as_non_root(spec: Obj) -> Violation | None:
    if spec.get("hostUsers") is False:
        return None
    pod = _pod_security(spec).get("runAsNonRoot")
    explicit = _named(spec, lambda c: _security(c).get("runAsNonRoot") is False)
    implicit = _named(spec, lambda c: _security(c).get("runAsNonRoot") is None)
    if pod is True:
        implicit = []
    reason = "runAsNonRoot != true"
    if pod is False or explicit:
        places = ["pod"] if pod is False else []
        places += [_plural("container", explicit)] if explicit else []
        return Violation(reason, f"{' and '.join(places)} must not set securityContext.runAsNonRoot=false")
    if implicit:
        return Violation(reason, f"pod or {_plural('container', implicit)} must set securityContext.runAsNonRoot=true")
    return None


def run_as_user(spec: Obj) -> Violation | None:
    if spec.get("hostUsers") is False:
        return None
    places = ["pod"] if _pod_security(spec).get("runAsUser") == 0 else []
    bad = _named(spec, lambda c: _security(c).get("runAsUser") == 0)
    if bad:
        places.append(_plural("container", bad))
    return Violation("runAsUser=0", f"{' and '.join(places)} must not set runAsUser=0") if places else None


def seccomp_restricted(spec: Obj) -> Violation | None:
    if _windows(spec):
        return None
    pod = (_pod_security(spec).get("seccompProfile") or {}).get("type")
    explicit, implicit = [], []
    values: set[str] = set()
    for container in _containers(spec):
        own = (_security(container).get("seccompProfile") or {}).get("type")
        if own is None:
            implicit.append(container["name"])
        elif own not in ("RuntimeDefault", "Localhost"):
            explicit.append(container["name"])
            values.add(own)
    bad_pod = pod is not None and pod not in ("RuntimeDefault", "Localhost")
    if bad_pod or explicit:
        places = ["pod"] if bad_pod else []
        places += [_plural("container", explicit)] if explicit else []
        values |= {pod} if bad_pod and pod else set()
        detail = f"{' and '.join(places)} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
        return Violation("seccompProfile", detail)
    if implicit and pod is None:
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        return Violation("seccompProfile", f"pod or {_plural('container', implicit)} {must}")
    return None


def _windows(spec: Obj) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


class Check(Struct, frozen=True):
    """`since` is the minor version of Kubernetes whose standard has it first; it runs instead of the check that it
    `overrides`, being stricter."""

    id: str
    level: str
    run: Callable[[Obj], Violation | None]
    since: int = 0
    overrides: str = ""


# In the order of Kubernetes' registry: baseline by id, then restricted by id.
CHECKS: tuple[Check, ...] = (
    Check("appArmorProfile", BASELINE, app_armor),
    Check("capabilities_baseline", BASELINE, capabilities_baseline),
    Check("hostNamespaces", BASELINE, host_namespaces),
    Check("hostPathVolumes", BASELINE, host_path),
    Check("hostPorts", BASELINE, host_ports),
    Check("hostProbesAndHostLifecycle", BASELINE, host_probes, since=34),
    Check("privileged", BASELINE, privileged),
    Check("procMount", BASELINE, proc_mount),
    Check("seLinuxOptions", BASELINE, selinux),
    Check("seccompProfile_baseline", BASELINE, seccomp_baseline),
    Check("sysctls", BASELINE, sysctls),
    Check("windowsHostProcess", BASELINE, windows_host_process),
    Check("allowPrivilegeEscalation", RESTRICTED, privilege_escalation, since=8),
    Check("capabilities_restricted", RESTRICTED, capabilities_restricted, since=22, overrides="capabilities_baseline"),
    Check("restrictedVolumes", RESTRICTED, restricted_volumes, overrides="hostPathVolumes"),
    Check("runAsNonRoot", RESTRICTED, run_as_non_root),
    Check("runAsUser", RESTRICTED, run_as_user, since=23),
    Check("seccompProfile_restricted", RESTRICTED, seccomp_restricted, since=19, overrides="seccompProfile_baseline"),
)
