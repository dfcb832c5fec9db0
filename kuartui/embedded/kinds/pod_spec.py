"""Pod specs and templates as a whole (ValidatePodSpec, ValidatePodTemplateSpec in pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.kinds import pod_containers, pod_scheduling, pod_security_context, pod_windows
from kuartui.embedded.kinds.checks import (
    MAX_INT32,
    annotation_keys,
    dns_label,
    dns_subdomain,
    errors_of,
    ip_address,
    label_key,
    labels,
    one_of,
)
from kuartui.embedded.kinds.pod_annotations import annotation_errors, contradictions
from kuartui.embedded.kinds.pod_env import file_volumes
from kuartui.embedded.kinds.pod_resources import pod_requirements, requirements
from kuartui.embedded.kinds.pod_volumes import volumes
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
)

Obj = dict[str, Any]

_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_MAX_HOSTNAME = 64  # of the kernel
_MAX_NAMESERVERS, _MAX_SEARCHES, _MAX_SEARCH_CHARACTERS = 3, 32, 2048


def spec_errors(spec: Obj, path: Path, pod_name: str = "", is_pod: bool = False) -> list[FieldError]:
    """A PodSpec; `pod_name` is empty for templates."""
    grace = spec.get("terminationGracePeriodSeconds")
    errors = [] if grace is not None else [required(path / "terminationGracePeriodSeconds")]
    sound, problems = volumes(spec.get("volumes") or [], pod_name, path / "volumes", is_pod)
    errors += problems
    claims = {claim["name"] for claim in spec.get("resourceClaims") or [] if claim.get("name")}
    facts = pod_containers.PodFacts(
        volumes=sound,
        claims=claims,
        grace=grace,
        restart_policy=spec.get("restartPolicy", ""),
        host_users=spec.get("hostUsers") is not False,
        is_pod=is_pod,
    )
    errors += _resource_claims(spec.get("resourceClaims") or [], path / "resourceClaims")
    main, init = spec.get("containers") or [], spec.get("initContainers") or []
    errors += pod_containers.main_containers(main, facts, path / "containers")
    errors += pod_containers.init_containers(init, main, facts, path / "initContainers")
    errors += pod_containers.ephemeral_containers(
        spec.get("ephemeralContainers") or [], main + init, facts, path / "ephemeralContainers"
    )
    errors += pod_requirements(spec, path / "resources", claims)
    errors += _host_ports(spec, path / "containers", is_pod)
    errors += one_of(spec.get("restartPolicy"), path / "restartPolicy", _RESTART_POLICIES)
    errors += one_of(spec.get("dnsPolicy"), path / "dnsPolicy", _DNS_POLICIES)
    errors += labels(spec.get("nodeSelector"), path / "nodeSelector")
    errors += pod_security_context.pod_context(spec, path / "securityContext")
    errors += pod_scheduling.affinity(spec.get("affinity"), path / "affinity")
    errors += _dns_config(spec, path / "dnsConfig")
    for index, gate in enumerate(spec.get("readinessGates") or []):
        at = (path / "readinessGates").index(index) / "conditionType"
        errors += label_key(gate.get("conditionType", ""), at)
    errors += _gates(spec.get("schedulingGates") or [], path / "schedulingGates")
    spread = spec.get("topologySpreadConstraints") or []
    errors += pod_scheduling.topology_spread(spread, path / "topologySpreadConstraints")
    errors += pod_windows.host_process(spec, path)
    errors += pod_security_context.host_users(spec, path)
    return errors + _names(spec, path) + _rest(spec, path)


def template_errors(template: Obj, path: Path) -> list[FieldError]:
    """A PodTemplateSpec."""
    spec = template.get("spec") or {}
    errors = template_metadata_errors(template, path)
    errors += spec_errors(spec, path / "spec")
    errors += contradictions(template, path / "spec")
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        errors.append(forbidden(path / "spec" / "ephemeralContainers", text))
    return errors


def template_metadata_errors(template: Obj, path: Path) -> list[FieldError]:
    """The labels and annotations of a PodTemplateSpec."""
    metadata, at = template.get("metadata") or {}, path / "annotations"
    errors = labels(metadata.get("labels"), path / "labels") + annotation_keys(metadata.get("annotations"), at)
    return errors + annotation_errors(metadata, template.get("spec") or {}, at)


def always_restarts(template: Obj, path: Path, kind: str) -> list[FieldError]:
    """What workloads that keep pods running demand of their template."""
    spec = template.get("spec") or {}
    errors = []
    policy = spec.get("restartPolicy", "")
    if policy != "Always":
        errors.append(not_supported(path / "spec" / "restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden(path / "spec" / "activeDeadlineSeconds", text))
    return errors


def pod_errors(pod: Obj) -> list[FieldError]:
    """What a pod's metadata and spec must fulfil, new or changed."""
    spec, path = pod.get("spec") or {}, Path("spec")
    errors = annotation_errors(pod["metadata"], spec, Path("metadata") / "annotations")
    errors += spec_errors(spec, path, pod["metadata"].get("name", ""), is_pod=True)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes") or []):
            for place, source in enumerate((volume.get("projected") or {}).get("sources") or []):
                if source.get("serviceAccountToken") is not None:
                    at = ((path / "volumes").index(index) / "projected" / "sources").index(place)
                    text = "must not be specified when serviceAccountName is not set"
                    errors.append(forbidden(at / "serviceAccountToken", text))
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or []):
            errors += pod_containers.image_space(container, (path / field).index(index))
    return errors


def _resource_claims(listed: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, claim in enumerate(listed):
        at, name = path.index(index), claim.get("name", "")
        if not name:
            errors.append(required(at / "name"))
        elif name in seen:
            errors.append(duplicate(at / "name", name))
        else:
            errors += dns_label(name, at / "name")
        seen.add(name)
        given = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(field) is not None]
        shown = {
            "Name": name,
            "ResourceClaimName": claim.get("resourceClaimName"),
            "ResourceClaimTemplateName": claim.get("resourceClaimTemplateName"),
        }
        if len(given) > 1:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(at, shown, text))
        if not given:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(at, shown, text))
        for field in given:
            errors += dns_subdomain(claim[field], at / field)
    return errors


def _host_ports(spec: Obj, path: Path, is_pod: bool) -> list[FieldError]:
    if not spec.get("hostNetwork"):
        return []
    errors = []
    for index, container in enumerate(spec.get("containers") or []):
        for place, port in enumerate(container.get("ports") or []):
            host = port.get("hostPort", 0)
            if (is_pod or host) and host != port.get("containerPort", 0):
                at = (path.index(index) / "ports").index(place) / "hostPort"
                errors.append(invalid(at, host, "must match `containerPort` when `hostNetwork` is true"))
    return errors


def _dns_config(spec: Obj, path: Path) -> list[FieldError]:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(path / "nameservers", text)]
    if config is None:
        return []
    errors: list[FieldError] = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _MAX_NAMESERVERS:
        text = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        errors.append(invalid(path / "nameservers", servers, text))
    for index, server in enumerate(servers):
        errors += ip_address(server, (path / "nameservers").index(index))
    if len(searches) > _MAX_SEARCHES:
        errors.append(invalid(path / "searches", searches, f"must not have more than {_MAX_SEARCHES} search paths"))
    if len(" ".join(searches)) > _MAX_SEARCH_CHARACTERS:
        text = f"must not have more than {_MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid(path / "searches", searches, text))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            errors += errors_of((path / "searches").index(index), name, names.underscored_subdomain(name))
    for index, option in enumerate(config.get("options") or []):
        if not option.get("name"):
            errors.append(required((path / "options").index(index), "must not be empty"))
    return errors


def _gates(listed: list[Obj], path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, gate in enumerate(listed):
        name = gate.get("name", "")
        errors += label_key(name, path.index(index))
        if name in seen:
            errors.append(duplicate(path.index(index), name))
        seen.add(name)
    return errors


def _names(spec: Obj, path: Path) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.get("hostnameOverride") is not None:
        errors += _hostname_override(spec, path / "hostnameOverride")
    for field in ("serviceAccountName", "nodeName"):
        if spec.get(field):
            errors += dns_subdomain(spec[field], path / field)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        text = f"must be between 1 and {MAX_INT32}, inclusive"
        errors.append(invalid(path / "activeDeadlineSeconds", deadline, text))
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            errors += dns_label(spec[field], path / field)
    return errors


def _hostname_override(spec: Obj, path: Path) -> list[FieldError]:
    name = spec["hostnameOverride"]
    errors = [
        forbidden(path, f"may not be specified when {field} is true")
        for field in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(field)
    ]
    if len(name) > _MAX_HOSTNAME:
        errors.append(too_long(path, _MAX_HOSTNAME))
    return errors + dns_subdomain(name, path)


def _rest(spec: Obj, path: Path) -> list[FieldError]:
    errors = pod_scheduling.tolerations(spec.get("tolerations") or [], path / "tolerations")
    for index, alias in enumerate(spec.get("hostAliases") or []):
        at = (path / "hostAliases").index(index)
        errors += ip_address(alias.get("ip", ""), at / "ip")
        for place, name in enumerate(alias.get("hostnames") or []):
            errors += dns_subdomain(name, (at / "hostnames").index(place))
    if spec.get("priorityClassName"):
        errors += dns_subdomain(spec["priorityClassName"], path / "priorityClassName")
    if spec.get("runtimeClassName") is not None:
        errors += dns_subdomain(spec["runtimeClassName"], path / "runtimeClassName")
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in ("PreemptLowerPriority", "Never"):
        errors.append(not_supported(path / "preemptionPolicy", policy, ("PreemptLowerPriority", "Never")))
    if spec.get("overhead"):
        errors += requirements({"limits": spec["overhead"]}, path / "overhead")
    system = spec.get("os")
    if system is not None:
        if not system.get("name"):
            errors.append(required(path / "os" / "name"))
        elif system["name"] not in ("linux", "windows"):
            errors.append(not_supported(path / "os", system["name"], ("linux", "windows")))
        else:
            errors += pod_windows.foreign_fields(system["name"], spec, path)
    return errors + file_volumes(spec, path)
