"""What a pod gets without asking: pkg/apis/core/v1/defaults.go for pods and pod templates.

Templates get less than pods: requests taken from limits, service links and host ports are set in pods only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kuartui.embedded.kinds.fill import empty, missing
from kuartui.embedded.kinds.pod_resources import HUGE_PAGES, parsed, pod_total

Obj = dict[str, Any]

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
_FILE_MODE = 0o644
_TOKEN_SECONDS = 3600


def containers_of(spec: Obj) -> Iterator[Obj]:
    """Every container of a pod spec: main, init and ephemeral ones."""
    for field in CONTAINER_LISTS:
        yield from spec.get(field) or []


def default_pod(pod: Obj) -> None:
    """SetDefaults_Pod and what its spec gets."""
    spec = pod.setdefault("spec", {})
    default_spec(spec)
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or []:
            _requests_from_limits(container.get("resources"))
    if spec.get("resources"):
        _pod_level_resources(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for field in ("containers", "initContainers"):
            for container in spec.get(field) or []:
                for port in container.get("ports") or []:
                    if not port.get("hostPort") and port.get("containerPort"):
                        port["hostPort"] = port["containerPort"]


def default_template(template: Obj | None) -> None:
    """A PodTemplateSpec."""
    if template is None:
        return
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}))


def default_spec(spec: Obj) -> None:
    """SetDefaults_PodSpec, and defaults of everything inside."""
    empty(spec, dnsPolicy="ClusterFirst")
    empty(spec, restartPolicy="Always")
    empty(spec, schedulerName="default-scheduler")
    missing(spec, containers=[], securityContext={}, terminationGracePeriodSeconds=30)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in containers_of(spec):
        default_container(container)
    for volume in spec.get("volumes") or []:
        default_volume(volume)


def default_container(container: Obj) -> None:
    """SetDefaults_Container, with its ports, probes, hooks and environment."""
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    empty(container, terminationMessagePath="/dev/termination-log")
    empty(container, terminationMessagePolicy="File")
    container.setdefault("resources", {})
    for port in container.get("ports") or []:
        empty(port, protocol="TCP")
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        if source.get("fieldRef") is not None:
            empty(source["fieldRef"], apiVersion="v1")
        if source.get("fileKeyRef") is not None:
            source["fileKeyRef"].setdefault("optional", False)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            _probe(container[probe])
    _drop_stop_signal(container)
    hooks = container.get("lifecycle") or {}
    for hook in ("postStart", "preStop"):
        if hooks.get(hook) is not None:
            _http_get(hooks[hook].get("httpGet"))


def _drop_stop_signal(container: Obj) -> None:
    """Without the feature ContainerStopSignals, which 1.36 has off, its field goes without a word."""
    hooks = container.get("lifecycle")
    if hooks and hooks.pop("stopSignal", None) is not None and not hooks:
        del container["lifecycle"]


def default_volume(volume: Obj) -> None:
    """SetDefaults_Volume and the defaults of each source."""
    if all(value is None for key, value in volume.items() if key != "name"):
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(kind)
        if source is None:
            continue
        missing(source, defaultMode=_FILE_MODE)
        _downward(source.get("items") if kind == "downwardAPI" else None)
        for part in source.get("sources") or []:
            if part.get("serviceAccountToken") is not None:
                missing(part["serviceAccountToken"], expirationSeconds=_TOKEN_SECONDS)
            if part.get("downwardAPI") is not None:
                _downward(part["downwardAPI"].get("items"))
    if volume.get("ephemeral") and volume["ephemeral"].get("volumeClaimTemplate"):
        volume["ephemeral"]["volumeClaimTemplate"].setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    if volume.get("image") is not None:
        source = volume["image"]
        if not source.get("pullPolicy"):
            source["pullPolicy"] = pull_policy(source.get("reference", ""))
    default_volume_source(volume)


_SOURCE_DEFAULTS: dict[str, Obj] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def default_volume_source(source: Obj) -> None:
    """Defaults of the sources that pods and persistent volumes share."""
    if source.get("hostPath") is not None and source["hostPath"].get("type") is None:
        source["hostPath"]["type"] = ""
    for kind, defaults in _SOURCE_DEFAULTS.items():
        if source.get(kind) is not None:
            for key, value in defaults.items():
                if source[kind].get(key) in (None, ""):
                    source[kind][key] = value


def pull_policy(reference: str) -> str:
    """Always for the tag latest, said or implied."""
    return "Always" if _tag(reference) == "latest" else "IfNotPresent"


_REFERENCE = re.compile(
    r"(?:(?:localhost|[\w.-]+\.[\w.-]+|[\w.-]+:\d+)(?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@[A-Za-z][\w.+-]*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)


def _tag(reference: str) -> str:
    """The tag of an image reference: latest without one, none beside a digest or if it is no reference."""
    found = _REFERENCE.fullmatch(reference)
    if not found:
        return ""
    return found["tag"] or ("" if found["digest"] else "latest")


def _probe(probe: Obj) -> None:
    empty(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _http_get(probe.get("httpGet"))
    if probe.get("grpc") is not None:
        probe["grpc"].setdefault("service", "")


def _http_get(action: Obj | None) -> None:
    if action is not None:
        empty(action, path="/")
        empty(action, scheme="HTTP")


def _downward(items: list[Obj] | None) -> None:
    for item in items or []:
        if item.get("fieldRef") is not None:
            empty(item["fieldRef"], apiVersion="v1")


def _requests_from_limits(resources: Obj | None) -> None:
    if resources and resources.get("limits"):
        requests = resources.get("requests") or {}
        resources["requests"] = {**resources["limits"], **requests}


def _pod_level_resources(spec: Obj) -> None:
    """What the pod asks for as a whole where it says so in part: as much as its containers do together, or its limits.

    Huge pages cannot be promised twice: their limit is what the containers may have.
    """
    resources = spec["resources"]
    containers = {"spec": {field: spec.get(field) or [] for field in ("containers", "initContainers")}}
    requests, limits = dict(resources.get("requests") or {}), dict(resources.get("limits") or {})
    if requests or limits:
        for name, total in pod_total(containers, "limits", parsed).items():
            if name.startswith(HUGE_PAGES) and name not in requests:
                limits.setdefault(name, str(total))
    if limits:
        resources["limits"] = limits
        for name, total in pod_total(containers, "requests", parsed).items():
            if name in ("cpu", "memory"):
                requests.setdefault(name, str(total))
        for name, amount in limits.items():
            if name in ("cpu", "memory") or name.startswith(HUGE_PAGES):
                requests.setdefault(name, amount)
    if requests:
        resources["requests"] = requests
