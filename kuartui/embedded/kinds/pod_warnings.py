"""`Warning:` texts about pods and pod templates (pkg/api/pod/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuartui.embedded.kinds import node_labels, volume_paths
from kuartui.embedded.kinds.checks import ip_warnings
from kuartui.embedded.kinds.pod_annotations import APP_ARMOR, CONTAINER_SECCOMP, POD_SECCOMP
from kuartui.embedded.kinds.pod_defaults import CONTAINER_LISTS
from kuartui.embedded.meta import quantity
from kuartui.embedded.meta.fielderr import Path, quote

Obj = dict[str, Any]

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
OLD_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def warnings(pod: Obj, path: Path, is_template: bool) -> list[str]:
    """On a pod, or on a template at `path`."""
    spec, metadata = pod.get("spec") or {}, pod.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    at = path / "spec"
    found = _node_labels(spec, at)
    for key, text in _ANNOTATIONS.items():
        if key in annotations:
            found.append(f"{(path / 'metadata' / 'annotations').key(key)}: {text}")
    for index, volume in enumerate(spec.get("volumes") or []):
        found += [
            f"{(at / 'volumes').index(index) / ('storageOS' if kind == 'storageos' else kind)}: {text}"
            for kind, text in OLD_VOLUMES.items()
            if volume.get(kind) is not None
        ]
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            from kuartui.embedded.kinds.persistentvolumeclaim import spec_warnings

            where = (at / "volumes").index(index) / "ephemeral" / "volumeClaimTemplate" / "spec"
            found += spec_warnings(template.get("spec") or {}, where)
    found += volume_paths.warnings(spec.get("volumes") or [])
    found += _token_paths(spec.get("volumes") or [], at / "volumes")
    found += _twice(spec.get("hostAliases") or [], "ip", at / "hostAliases")
    for index, alias in enumerate(spec.get("hostAliases") or []):
        found += ip_warnings(alias.get("ip", ""), (at / "hostAliases").index(index) / "ip")
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or []):
        found += ip_warnings(server, (at / "dnsConfig" / "nameservers").index(index))
    found += _twice(spec.get("imagePullSecrets") or [], "name", at / "imagePullSecrets")
    for index, secret in enumerate(spec.get("imagePullSecrets") or []):
        if not secret.get("name"):
            found.append(f'{(at / "imagePullSecrets").index(index) / "name"}: invalid empty name ""')
    for name in ("memory", "ephemeral-storage"):
        found += _fractions(spec.get("overhead"), at / "overhead", name)
    if not (spec.get("securityContext") or {}).get("seccompProfile") and POD_SECCOMP in annotations:
        found.append(f"{(path / 'metadata' / 'annotations').key(POD_SECCOMP)}: {_SECCOMP}")
    for container, where in _containers(spec, at):
        found += _container(container, where, spec, annotations, path, is_template)
    found += _ports(spec, at)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{at / 'terminationGracePeriodSeconds'}: {text}")
    return found + _pod_affinity(spec.get("affinity") or {}, at / "affinity")


def _pod_affinity(affinity: Obj, path: Path) -> list[str]:
    found = []
    for kind in ("podAffinity", "podAntiAffinity"):
        for when in ("required", "preferred"):
            field = f"{when}DuringSchedulingIgnoredDuringExecution"
            for index, term in enumerate((affinity.get(kind) or {}).get(field) or []):
                at = (path / kind / field).index(index)
                if when == "preferred":
                    term, at = term.get("podAffinityTerm") or {}, at / "podAffinityTerm"
                if term.get("labelSelector") is None:
                    found.append(f"{at / 'labelSelector'}: a null labelSelector results in matching no pod")
    return found


def _containers(spec: Obj, path: Path) -> Iterator[tuple[Obj, Path]]:
    for field in ("initContainers", *(f for f in CONTAINER_LISTS if f != "initContainers")):
        for index, container in enumerate(spec.get(field) or []):
            yield container, (path / field).index(index)


def _node_labels(spec: Obj, path: Path) -> list[str]:
    found = [
        f"{(path / 'nodeSelector').key(key)}: {node_labels.DEPRECATED[key]}"
        for key in spec.get("nodeSelector") or {}
        if key in node_labels.DEPRECATED
    ]
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = path / "affinity" / "nodeAffinity" / "requiredDuringSchedulingIgnoredDuringExecution"
    terms = (node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    for index, term in enumerate(terms):
        found += node_labels.term_warnings(term, (required / "nodeSelectorTerms").index(index))
    preferred = path / "affinity" / "nodeAffinity" / "preferredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(node.get("preferredDuringSchedulingIgnoredDuringExecution") or []):
        found += node_labels.term_warnings(term.get("preference") or {}, preferred.index(index) / "preference")
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or []):
        at = (path / "topologySpreadConstraints").index(index)
        key = constraint.get("topologyKey", "")
        if key in node_labels.DEPRECATED:
            found.append(f"{at / 'topologyKey'}: {key} is {node_labels.DEPRECATED[key]}")
        if constraint.get("labelSelector") is None:
            found.append(f"{at / 'labelSelector'}: a null labelSelector results in matching no pod")
    return found


def _token_paths(volumes: list[Obj], path: Path) -> list[str]:
    sources = [
        (index, source)
        for index, volume in enumerate(volumes)
        for source in (volume.get("projected") or {}).get("sources") or []
    ]
    tokens = {s["serviceAccountToken"].get("path", "") for _, s in sources if s.get("serviceAccountToken")}
    if not tokens:
        return []
    found = []
    for index, source in sources:
        at = path.index(index) / "projected" / "sources"
        for kind, shown in (("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")):
            for place, item in enumerate((source.get(kind) or {}).get("items") or []):
                if item.get("path") in tokens:
                    text = f"has duplicated path with ServiceAccountToken {quote(item['path'])}"
                    found.append(f"{(at / shown).index(place)}: {text}")
    return found


def _twice(listed: list[Obj], field: str, path: Path) -> list[str]:
    found = []
    seen: set[str] = set()
    for index, item in enumerate(listed):
        value = item.get(field, "")
        if value in seen:
            found.append(f"{path.index(index) / field}: duplicate {field} {quote(value)}")
        seen.add(value)
    return found


def _fractions(amounts: Obj | None, path: Path, name: str) -> list[str]:
    if not amounts or name not in amounts:
        return []
    value = quantity.parse(amounts[name])
    return (
        [f'{path.key(name)}: fractional byte value "{value}" is invalid, must be an integer']
        if value.milli % 1000
        else []
    )


def _container(container: Obj, path: Path, spec: Obj, annotations: Obj, root: Path, is_template: bool) -> list[str]:
    found = []
    name, context = container.get("name", ""), container.get("securityContext") or {}
    notes = root / "metadata" / "annotations"
    if not context.get("seccompProfile") and CONTAINER_SECCOMP + name in annotations:
        found.append(f"{notes.key(CONTAINER_SECCOMP + name)}: {_SECCOMP}")
    confined = context.get("appArmorProfile") or (spec.get("securityContext") or {}).get("appArmorProfile")
    if is_template and not confined and APP_ARMOR + name in annotations:
        found.append(f'{notes.key(APP_ARMOR + name)}: deprecated since v1.30; use the "appArmorProfile" field instead')
    resources = container.get("resources") or {}
    for name in ("memory", "ephemeral-storage"):
        for kind in ("limits", "requests"):
            found += _fractions(resources.get(kind), path / "resources" / kind, name)
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or []):
        key, value = variable.get("name", ""), variable.get("value", "")
        reference = f"$({key})"
        bad = variable.get("valueFrom") is not None or value == reference or reference not in value
        if key in seen and bad:
            text = f"hides previous definition of {quote(key)}, which may be dropped when using apply"
            found.append(f"{(path / 'env').index(index)}: {text}")
        seen.add(key)
    return found


def _ports(spec: Obj, path: Path) -> list[str]:
    found = []
    seen: dict[tuple[int, str], list[tuple[Path, Obj]]] = {}
    for container, where in _containers(spec, path):
        for index, port in enumerate(container.get("ports") or []):
            at = (where / "ports").index(index)
            key = (port.get("containerPort", 0), port.get("protocol", ""))
            host, address = port.get("hostPort", 0), port.get("hostIP", "")
            if address and not host:
                shown = (
                    f"{{Name:{port.get('name', '')} HostPort:0 ContainerPort:{key[0]} Protocol:{key[1]} "
                    f"HostIP:{address}}}"
                )
                found.append(f"{at}: hostIP set without hostPort: {shown}")
            for other_at, other in seen.get(key, []):
                other_host, other_address = other.get("hostPort", 0), other.get("hostIP", "")
                if (host, address) == (other_host, other_address):
                    found.append(f"{at}: duplicate port definition with {other_at}")
                elif not host or not other_host:
                    found.append(f"{at}: overlapping port definition with {other_at}")
                elif host == other_host and (not address) != (not other_address):
                    found.append(f"{at}: dangerously ambiguous port definition with {other_at}")
            seen.setdefault(key, []).append((at, port))
    return found
