"""JSON for who reads it: fields in the order of Kubernetes' Go types, keys of maps sorted, custom objects sorted whole.

The order of fields is that of their protobuf numbers, but for those that came later and stand elsewhere in the types.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson

from kuartui.embedded import data

Obj = dict[str, Any]
Plan = dict[str, tuple[float, str, str]]
"""Of a message's fields: the place, "one", "list", "map" or "" and the message inside."""

_CONTAINER = {
    "envFrom": "ports",
    "resizePolicy": "resources",
    "restartPolicy": "resizePolicy",
    "restartPolicyRules": "restartPolicy",
    "volumeDevices": "volumeMounts",
    "startupProbe": "readinessProbe",
    "terminationMessagePolicy": "terminationMessagePath",
}
_WEBHOOK = {"matchPolicy": "failurePolicy", "objectSelector": "namespaceSelector"}
_AFTER: dict[str, dict[str, str]] = {  # field: the one that it follows in the type
    "core.v1.ConfigMap": {"immutable": "metadata"},
    "core.v1.Container": _CONTAINER,
    "core.v1.EndpointAddress": {"hostname": "ip", "nodeName": "hostname"},
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.NodeSpec": {"podCIDRs": "podCIDR", "externalID": "configSource"},
    "core.v1.PersistentVolumeClaimSpec": {"selector": "accessModes"},
    "core.v1.PodCondition": {"observedGeneration": "type"},
    "core.v1.PodSecurityContext": {
        "windowsOptions": "seLinuxOptions",
        "runAsGroup": "runAsUser",
        "supplementalGroupsPolicy": "supplementalGroups",
    },
    "core.v1.PodSpec": {
        "initContainers": "volumes",
        "ephemeralContainers": "containers",
        "automountServiceAccountToken": "serviceAccount",
        "shareProcessNamespace": "hostIPC",
    },
    "core.v1.PodStatus": {
        "observedGeneration": "",
        "nominatedNodeName": "reason",
        "hostIPs": "hostIP",
        "podIPs": "podIP",
        "initContainerStatuses": "startTime",
    },
    "core.v1.ReplicationControllerSpec": {"minReadySeconds": "replicas"},
    "core.v1.ReplicationControllerStatus": {
        "readyReplicas": "fullyLabeledReplicas",
        "availableReplicas": "readyReplicas",
    },
    "core.v1.Secret": {"immutable": "metadata", "stringData": "data"},
    "core.v1.SecurityContext": {"windowsOptions": "seLinuxOptions", "runAsGroup": "runAsUser"},
    "core.v1.ServicePort": {"appProtocol": "protocol"},
    "core.v1.ServiceSpec": {"clusterIPs": "clusterIP", "ipFamilies": "sessionAffinityConfig"},
    "core.v1.VolumeMount": {"recursiveReadOnly": "readOnly"},
    "admissionregistration.v1.MutatingWebhook": _WEBHOOK,
    "admissionregistration.v1.ValidatingWebhook": _WEBHOOK,
    "admissionregistration.v1.WebhookClientConfig": {"url": ""},
    "apps.v1.DeploymentCondition": {"lastUpdateTime": "status", "lastTransitionTime": "lastUpdateTime"},
    "apps.v1.DeploymentStatus": {"readyReplicas": "updatedReplicas", "terminatingReplicas": "unavailableReplicas"},
    "apps.v1.ReplicaSetSpec": {"minReadySeconds": "replicas"},
    "apps.v1.ReplicaSetStatus": {
        "readyReplicas": "fullyLabeledReplicas",
        "availableReplicas": "readyReplicas",
        "terminatingReplicas": "availableReplicas",
    },
    "authentication.v1.TokenRequestSpec": {"expirationSeconds": "audiences"},
    "authentication.v1.TokenReviewStatus": {"audiences": "user"},
    "authorization.v1.SubjectAccessReviewStatus": {"denied": "allowed"},
    "autoscaling.v2.HPAScalingRules": {"stabilizationWindowSeconds": ""},
    "batch.v1.CronJobSpec": {"timeZone": "schedule"},
    "batch.v1.JobSpec": {
        "podFailurePolicy": "activeDeadlineSeconds",
        "successPolicy": "podFailurePolicy",
        "backoffLimit": "successPolicy",
        "backoffLimitPerIndex": "backoffLimit",
        "maxFailedIndexes": "backoffLimitPerIndex",
    },
    "batch.v1.JobStatus": {"terminating": "failed", "failedIndexes": "completedIndexes"},
    "certificates.v1.CertificateSigningRequestCondition": {"status": "type"},
    "certificates.v1.CertificateSigningRequestSpec": {
        "signerName": "request",
        "expirationSeconds": "signerName",
        "usages": "expirationSeconds",
    },
    "discovery.v1.EndpointSlice": {"addressType": "metadata"},
    "networking.v1.HTTPIngressPath": {"pathType": "path"},
    "networking.v1.IngressSpec": {"ingressClassName": ""},
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion": {
        "deprecated": "storage",
        "deprecationWarning": "deprecated",
    },
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig": {"url": ""},
    "k8s.io.apimachinery.pkg.apis.meta.v1.OwnerReference": {"apiVersion": ""},
    "k8s.io.apimachinery.pkg.apis.meta.v1.StatusDetails": {"uid": "kind"},
}
_RAW = {"k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1", "k8s.io.apimachinery.pkg.runtime.RawExtension"}
_TYPE_META = {"kind": (-2.0, "", ""), "apiVersion": (-1.0, "", "")}


def encoded(value: Obj, option: int = 0) -> bytes:
    """An object, a list of them or a Status as JSON; what is neither of a known kind nor stored stays as it is."""
    group, _, version = value.get("apiVersion", "").rpartition("/")
    definition = data.definitions().get((group, version, value.get("kind", "")))
    if definition:
        return orjson.dumps(_ordered(value, data.message_name(definition), root=True), option=option)
    custom = "resourceVersion" in (value.get("metadata") or {})
    return orjson.dumps(value, option=option | (orjson.OPT_SORT_KEYS if custom else 0))


def _ordered(obj: Obj, message: str, *, root: bool = False) -> Obj:
    plan = _plan(message)
    if root:
        plan = {**plan, **_TYPE_META}
    made: Obj = {}
    for name in sorted(obj, key=lambda name: plan[name][0] if name in plan else 1e9):
        value = obj[name]
        _, shape, inner = plan.get(name, (0.0, "", ""))
        made[name] = _inside(value, shape, inner) if shape and value else value
    return made


def _inside(value: Any, shape: str, inner: str) -> Any:
    if shape == "list":
        return [_ordered(one, inner) if inner and isinstance(one, dict) else one for one in value]
    if shape == "map":
        return {
            key: _ordered(value[key], inner) if inner and isinstance(value[key], dict) else value[key]
            for key in sorted(value)
        }
    return _ordered(value, inner) if isinstance(value, dict) else value


@cache
def _plan(message: str) -> Plan:
    facts = _fields(message)
    places: dict[str, float] = {name: place for place, name in enumerate(facts)}
    distance = 1.0
    for name, before in _AFTER.get(message.removeprefix("k8s.io.api."), {}).items():
        distance /= 2
        if name in places:
            places[name] = places.get(before, -1.0) + distance / 2
    plan: Plan = {}
    for name, fact in facts.items():
        inner = fact["t"] if data.protobuf().get(fact["t"]) and fact["t"] not in _RAW else ""
        shape = "list" if fact.get("repeated") else "map" if fact.get("map") else "one" if inner else ""
        plan[name] = places[name], shape, inner
    return plan


def _fields(message: str) -> dict[str, Obj]:
    """Facts by JSON name in the order of their numbers; those of inlined structs stand where their struct does."""
    found: dict[str, Obj] = {}
    for name, facts in sorted(data.protobuf().get(message, {}).items(), key=lambda item: item[1]["n"]):
        if facts.get("inline"):
            found.update(_fields(facts["t"]))
        else:
            found[facts.get("json", name)] = facts
    return found
