"""Objects as kube-apiserver's internal Go structs print them, and the difference of two.

A few errors ("pod updates may not change fields other than …") end in a unified diff of the internal struct as
indented JSON: Go's field names, in the order of pkg/apis/core/types.go, with unset fields shown. The table below
tells names, order and zero values; a struct that it does not know is shown as it is written in manifests.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from typing import Any

from kuartui.embedded.kinds.checks import shown_selector

Obj = dict[str, Any]

# name:type, where s is a string, i a number, b a bool, q a quantity, [X a list of X, *X a pointer to X, .X an X, a name
# in parentheses is embedded, m a map, S a LabelSelector, and everything else (-) is null when unset.
_TABLE = """
PodSpec Volumes:[Volume InitContainers:[Container Containers:[Container EphemeralContainers:[EphemeralContainer
 RestartPolicy:s TerminationGracePeriodSeconds:- ActiveDeadlineSeconds:- DNSPolicy:s NodeSelector:m
 ServiceAccountName:s AutomountServiceAccountToken:- NodeName:s SecurityContext:*PodSecurityContext
 ImagePullSecrets:[Named Hostname:s Subdomain:s SetHostnameAsFQDN:- Affinity:*Affinity SchedulerName:s
 Tolerations:[Toleration HostAliases:[HostAlias PriorityClassName:s Priority:- PreemptionPolicy:-
 DNSConfig:*PodDNSConfig ReadinessGates:[ReadinessGate RuntimeClassName:- Overhead:m EnableServiceLinks:-
 TopologySpreadConstraints:[Spread OS:*Named SchedulingGates:[Named ResourceClaims:[PodClaim Resources:*Resources
 HostnameOverride:- SchedulingGroup:-
Named Name:s
Volume Name:s HostPath:*HostPath EmptyDir:*EmptyDir GCEPersistentDisk:- AWSElasticBlockStore:- GitRepo:-
 Secret:*SecretVolume NFS:*NFS ISCSI:- Glusterfs:- PersistentVolumeClaim:*ClaimVolume RBD:- Quobyte:- FlexVolume:-
 Cinder:- CephFS:- Flocker:- DownwardAPI:*DownwardVolume FC:- AzureFile:- ConfigMap:*ConfigMapVolume VsphereVolume:-
 AzureDisk:- PhotonPersistentDisk:- Projected:*Projected PortworxVolume:- ScaleIO:- StorageOS:- CSI:- Ephemeral:-
 Image:*ImageVolume
HostPath Path:s Type:-
EmptyDir Medium:s SizeLimit:-
NFS Server:s Path:s ReadOnly:b
SecretVolume SecretName:s Items:[Item DefaultMode:- Optional:-
ConfigMapVolume Name:s Items:[Item DefaultMode:- Optional:-
ClaimVolume ClaimName:s ReadOnly:b
ImageVolume Reference:s PullPolicy:s
DownwardVolume Items:[DownwardFile DefaultMode:-
DownwardFile Path:s FieldRef:*FieldRef ResourceFieldRef:*ResourceRef Mode:-
Item Key:s Path:s Mode:-
Projected Sources:[Projection DefaultMode:-
Projection Secret:*NamedItems DownwardAPI:*DownwardItems ConfigMap:*NamedItems ServiceAccountToken:*Token
 ClusterTrustBundle:- PodCertificate:-
NamedItems Name:s Items:[Item Optional:-
DownwardItems Items:[DownwardFile
Token Audience:s ExpirationSeconds:i Path:s
Container Name:s Image:s Command:- Args:- WorkingDir:s Ports:[Port EnvFrom:[EnvFrom Env:[Env Resources:.Resources
 ResizePolicy:[Resize RestartPolicy:- RestartPolicyRules:- VolumeMounts:[Mount VolumeDevices:[Device
 LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s
 TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY:b
EphemeralContainer (Container) TargetContainerName:s
Port Name:s HostPort:i ContainerPort:i Protocol:s HostIP:s
EnvFrom Prefix:s ConfigMapRef:*Optional SecretRef:*Optional
Optional Name:s Optional:-
Env Name:s Value:s ValueFrom:*EnvSource
EnvSource FieldRef:*FieldRef ResourceFieldRef:*ResourceRef ConfigMapKeyRef:*KeyRef SecretKeyRef:*KeyRef
 FileKeyRef:*FileRef
FieldRef APIVersion:s FieldPath:s
ResourceRef ContainerName:s Resource:s Divisor:q
KeyRef Name:s Key:s Optional:-
FileRef VolumeName:s Path:s Key:s Optional:-
Resources Limits:m Requests:m Claims:[ResourceClaim
ResourceClaim Name:s Request:s
Resize ResourceName:s RestartPolicy:s
Mount Name:s ReadOnly:b RecursiveReadOnly:- MountPath:s SubPath:s MountPropagation:- SubPathExpr:s
Device Name:s DevicePath:s
Probe Exec:*Exec HTTPGet:*HTTPGet TCPSocket:*TCPSocket GRPC:*GRPC InitialDelaySeconds:i TimeoutSeconds:i
 PeriodSeconds:i SuccessThreshold:i FailureThreshold:i TerminationGracePeriodSeconds:-
Exec Command:-
HTTPGet Path:s Port:i Host:s Scheme:s HTTPHeaders:[Header
Header Name:s Value:s
TCPSocket Port:i Host:s
GRPC Port:i Service:-
Lifecycle PostStart:*Handler PreStop:*Handler StopSignal:-
Handler Exec:*Exec HTTPGet:*HTTPGet TCPSocket:*TCPSocket Sleep:*Sleep
Sleep Seconds:i
SecurityContext Capabilities:*Capabilities Privileged:- SELinuxOptions:*SELinux WindowsOptions:- RunAsUser:-
 RunAsGroup:- RunAsNonRoot:- ReadOnlyRootFilesystem:- AllowPrivilegeEscalation:- ProcMount:- SeccompProfile:*Profile
 AppArmorProfile:*Profile
Capabilities Add:- Drop:-
SELinux User:s Role:s Type:s Level:s
Profile Type:s LocalhostProfile:-
PodSecurityContext HostNetwork:b HostPID:b HostIPC:b ShareProcessNamespace:- HostUsers:- SELinuxOptions:*SELinux
 WindowsOptions:- RunAsUser:- RunAsGroup:- RunAsNonRoot:- SupplementalGroups:- SupplementalGroupsPolicy:- FSGroup:-
 FSGroupChangePolicy:- Sysctls:[Header SeccompProfile:*Profile AppArmorProfile:*Profile SELinuxChangePolicy:-
Affinity NodeAffinity:*NodeAffinity PodAffinity:*PodAffinity PodAntiAffinity:*PodAffinity
NodeAffinity RequiredDuringSchedulingIgnoredDuringExecution:*NodeSelector
 PreferredDuringSchedulingIgnoredDuringExecution:[PreferredTerm
NodeSelector NodeSelectorTerms:[NodeTerm
NodeTerm MatchExpressions:[NodeRule MatchFields:[NodeRule
NodeRule Key:s Operator:s Values:-
PreferredTerm Weight:i Preference:.NodeTerm
PodAffinity RequiredDuringSchedulingIgnoredDuringExecution:[PodTerm
 PreferredDuringSchedulingIgnoredDuringExecution:[WeightedTerm
WeightedTerm Weight:i PodAffinityTerm:.PodTerm
PodTerm LabelSelector:S Namespaces:- TopologyKey:s NamespaceSelector:S MatchLabelKeys:- MismatchLabelKeys:-
Toleration Key:s Operator:s Value:s Effect:s TolerationSeconds:-
HostAlias IP:s Hostnames:-
PodDNSConfig Nameservers:- Searches:- Options:[DNSOption
DNSOption Name:s Value:-
ReadinessGate ConditionType:s
PodClaim Name:s ResourceClaimName:- ResourceClaimTemplateName:-
Spread MaxSkew:i TopologyKey:s WhenUnsatisfiable:s LabelSelector:S MinDomains:- NodeAffinityPolicy:-
 NodeTaintsPolicy:- MatchLabelKeys:-
ClaimSpec AccessModes:- Selector:S Resources:.ClaimResources VolumeName:s StorageClassName:- VolumeMode:-
 DataSource:*DataSource DataSourceRef:*DataSourceRef VolumeAttributesClassName:-
ClaimResources Limits:m Requests:m
DataSource APIGroup:- Kind:s Name:s
DataSourceRef APIGroup:- Kind:s Name:s Namespace:-
VolumeSource GCEPersistentDisk:- AWSElasticBlockStore:- HostPath:*HostPath Glusterfs:- NFS:*NFS RBD:- Quobyte:-
 ISCSI:- FlexVolume:- Cinder:- CephFS:- FC:- Flocker:- AzureFile:- VsphereVolume:- AzureDisk:- PhotonPersistentDisk:-
 PortworxVolume:- ScaleIO:- Local:*Local StorageOS:- CSI:-
Local Path:s FSType:-
"""
_IRREGULAR = {"CephFS": "cephfs", "StorageOS": "storageos"}
_ZERO: dict[str, Any] = {"s": "", "i": 0, "b": False, "q": "0", "-": None, "m": None, "S": None}
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


@functools.cache
def _structs() -> dict[str, list[tuple[str, str, str]]]:
    """(Go name, name in manifests, type) of each field, by struct."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for line in re.sub(r"\n ", " ", _TABLE.strip()).splitlines():
        name, *fields = line.split()
        listed: list[tuple[str, str, str]] = []
        for field in fields:
            if field.startswith("("):
                listed += found[field[1:-1]]
            else:
                go, _, kind = field.partition(":")
                listed.append((go, _manifest_name(go), kind))
        found[name] = listed
    return found


def _manifest_name(go: str) -> str:
    if go in _IRREGULAR:
        return _IRREGULAR[go]
    capitals = re.match(r"[A-Z]+", go)
    count = capitals.end() if capitals else 0
    head = go[:count] if count in (1, len(go)) else go[: count - 1]
    return head.lower() + go[len(head) :]


def render(struct: str, value: Obj | None) -> Any:
    """A value as the struct's JSON shows it."""
    value = value or {}
    shown: Obj = {}
    for go, name, kind in _structs()[struct]:
        given = value.get(name)
        if kind.startswith("["):
            shown[go] = [render(kind[1:], item) for item in given] if given else None
        elif kind.startswith("*"):
            shown[go] = None if given is None else render(kind[1:], given)
        elif kind.startswith("."):
            shown[go] = render(kind[1:], given)
        else:
            shown[go] = _ZERO[kind] if given in (None, {}, []) else _in_order(kind, given)
    return shown


def _in_order(kind: str, given: Any) -> Any:
    """Keys as Go's JSON has them: those of maps sorted, those of structs as declared."""
    if kind == "m":
        return dict(sorted(given.items()))
    return shown_selector(given) if kind == "S" else given


def render_pod_spec(spec: Obj) -> Any:
    """A PodSpec; inside kube-apiserver the host's namespaces belong to its security context."""
    context = {**(spec.get("securityContext") or {}), **{f: spec[f] for f in _HOST_FIELDS if f in spec}}
    return render("PodSpec", {**spec, "securityContext": context})


def difference(old: Any, new: Any) -> str:
    """The unified diff of two rendered values, as errors append it."""
    before, after = (json.dumps(side, indent=1, ensure_ascii=False).splitlines() for side in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    return "\n".join(lines) + "\n" if lines else ""
