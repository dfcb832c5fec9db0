"""A virtual machine of the cluster: what it is called, what it has, and the Node object that its kubelet registers."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from kuartui.embedded.node.runtime.rootfs import KERNEL_VERSION
from kuartui.embedded.node.status import timestamp

Obj = dict[str, Any]

KUBELET_VERSION = "v1.36.2"
RUNTIME_VERSION = "containerd://2.2.1"
OS_IMAGE = "Debian GNU/Linux 13 (trixie)"
KUBELET_PORT = 10250
IMAGES_REPORTED = 50  # nodeStatusMaxImages
FEATURES = (
    "ExtendWebSocketsToKubelet",
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
    "RestartAllContainersOnContainerExits",
)
"""What a kubelet of 1.36 declares (k8s.io/component-helpers/nodedeclaredfeatures), in order."""

HEALTHY = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
PRESSED = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}


class Machine(Struct, frozen=True):
    """A node before it joins. Quantities are as in the API ("4", "8Gi")."""

    name: str
    ip: str
    pod_cidr: str
    cpu: str = "4"
    memory: str = "8Gi"
    storage: str = "100Gi"
    pods: int = 110
    control_plane: bool = False
    zone: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[Obj, ...] = ()
    reserved_memory: str = "100Mi"

    def all_labels(self) -> dict[str, str]:
        """The labels that the kubelet (and kubeadm, for a control plane) sets, and our own."""
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
        }
        if self.control_plane:
            labels["node-role.kubernetes.io/control-plane"] = ""
            labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
        if self.zone:
            labels["topology.kubernetes.io/region"] = self.zone.rstrip("abcdef")
            labels["topology.kubernetes.io/zone"] = self.zone
        return labels | self.labels

    def capacity(self) -> dict[str, str]:
        """What the machine has."""
        return {
            "cpu": self.cpu,
            "ephemeral-storage": self.storage,
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": self.memory,
            "pods": str(self.pods),
        }

    def node(self, now: datetime) -> Obj:
        """The object that the kubelet creates when it first registers. That it is ready is for its first report to say."""
        node_spec: Obj = {
            "podCIDR": self.pod_cidr,
            "podCIDRs": [self.pod_cidr],
            "providerID": f"kuartui://cluster/{self.name}",
        }
        if self.taints:
            node_spec["taints"] = list(self.taints)
        status = self.status({}, [], set(), now)
        del status["conditions"]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": self.all_labels(),
                "annotations": {
                    "node.alpha.kubernetes.io/ttl": "0",
                    "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                },
            },
            "spec": node_spec,
            "status": status,
        }

    def status(self, old: Obj, images: list[Obj], pressure: set[str], now: datetime) -> Obj:
        """The status that the kubelet reports. `old` is the last one: its foreign fields and transitions stay.

        What an administrator added to its capacity, an extended resource, can be allocated too.
        """
        capacity = {**(old.get("capacity") or {}), **self.capacity()}
        return {
            **old,
            "addresses": [{"type": "InternalIP", "address": self.ip}, {"type": "Hostname", "address": self.name}],
            "allocatable": dict(capacity),
            "capacity": capacity,
            "conditions": _conditions(old.get("conditions") or [], pressure, now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "declaredFeatures": list(FEATURES),
            "features": {"supplementalGroupsPolicy": True},
            "images": images[:IMAGES_REPORTED],
            "nodeInfo": self.info((old.get("nodeInfo") or {}).get("bootID") or self.boot_id()),
            "runtimeHandlers": [
                {"name": name, "features": {"recursiveReadOnlyMounts": True, "userNamespaces": True}}
                for name in ("", "runc")
            ],
        }

    def boot_id(self, former: str = "") -> str:
        """The id of a boot: of the first one, or of the one after `former`."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"boot.{self.name}.{former}".rstrip(".")))

    def info(self, boot_id: str) -> Obj:
        """nodeInfo; the other ids depend on the name only, so that they survive a restart."""
        seed = hashlib.sha256(self.name.encode()).hexdigest()
        return {
            "architecture": "amd64",
            "bootID": boot_id,
            "containerRuntimeVersion": RUNTIME_VERSION,
            "kernelVersion": KERNEL_VERSION,
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": seed[:32],
            "operatingSystem": "linux",
            "osImage": OS_IMAGE,
            "swap": {"capacity": 0},
            "systemUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"system.{self.name}")),
        }


def _conditions(old: list[Obj], pressure: set[str], now: datetime) -> list[Obj]:
    before = {condition["type"]: condition for condition in old}
    stamp = timestamp(now)
    made = []
    for type_ in HEALTHY:
        pressed = type_ in pressure
        reason, message = (PRESSED if pressed else HEALTHY)[type_]
        made.append({"type": type_, "status": "True" if pressed else "False", "reason": reason, "message": message})
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    made.append(ready | {"message": "kubelet is posting ready status"})
    for condition in made:
        last = before.pop(condition["type"], None)
        same = last is not None and last["status"] == condition["status"]
        condition["lastHeartbeatTime"] = stamp
        condition["lastTransitionTime"] = last["lastTransitionTime"] if last and same else stamp
    return [*before.values(), *made]
