"""A cluster without an API server: controllers over the store, and a kubelet in two lines per phase."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.clock import FastClock
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.indexes import add_indexes
from kuartui.embedded.kinds.base import strategy
from kuartui.embedded.meta import errors
from kuartui.embedded.meta.labels import from_object
from kuartui.embedded.meta.random import generate_name
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.store import Conflict, Event, EventType, NotFound, Store

Obj = dict[str, Any]

KINDS = {
    "ingresses.networking.k8s.io": ("networking.k8s.io/v1", "Ingress"),
    "ingressclasses.networking.k8s.io": ("networking.k8s.io/v1", "IngressClass"),
    "gatewayclasses.gateway.networking.k8s.io": ("gateway.networking.k8s.io/v1", "GatewayClass"),
    "gateways.gateway.networking.k8s.io": ("gateway.networking.k8s.io/v1", "Gateway"),
    "httproutes.gateway.networking.k8s.io": ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    "referencegrants.gateway.networking.k8s.io": ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"),
    "validatingadmissionpolicies.admissionregistration.k8s.io": (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
    ),
    "flowschemas.flowcontrol.apiserver.k8s.io": ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": (
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
    ),
    "ipaddresses.networking.k8s.io": ("networking.k8s.io/v1", "IPAddress"),
    "servicecidrs.networking.k8s.io": ("networking.k8s.io/v1", "ServiceCIDR"),
    "resourceclaims.resource.k8s.io": ("resource.k8s.io/v1", "ResourceClaim"),
    "resourceclaimtemplates.resource.k8s.io": ("resource.k8s.io/v1", "ResourceClaimTemplate"),
    "deviceclasses.resource.k8s.io": ("resource.k8s.io/v1", "DeviceClass"),
    "resourceslices.resource.k8s.io": ("resource.k8s.io/v1", "ResourceSlice"),
    "controllerrevisions.apps": ("apps/v1", "ControllerRevision"),
    "endpoints": ("v1", "Endpoints"),
    "endpointslices.discovery.k8s.io": ("discovery.k8s.io/v1", "EndpointSlice"),
    "serviceaccounts": ("v1", "ServiceAccount"),
    "pods": ("v1", "Pod"),
    "services": ("v1", "Service"),
    "namespaces": ("v1", "Namespace"),
    "nodes": ("v1", "Node"),
    "configmaps": ("v1", "ConfigMap"),
    "secrets": ("v1", "Secret"),
    "replicasets.apps": ("apps/v1", "ReplicaSet"),
    "deployments.apps": ("apps/v1", "Deployment"),
    "statefulsets.apps": ("apps/v1", "StatefulSet"),
    "daemonsets.apps": ("apps/v1", "DaemonSet"),
    "jobs.batch": ("batch/v1", "Job"),
    "cronjobs.batch": ("batch/v1", "CronJob"),
    "replicationcontrollers": ("v1", "ReplicationController"),
    "persistentvolumes": ("v1", "PersistentVolume"),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim"),
    "storageclasses.storage.k8s.io": ("storage.k8s.io/v1", "StorageClass"),
    "poddisruptionbudgets.policy": ("policy/v1", "PodDisruptionBudget"),
    "horizontalpodautoscalers.autoscaling": ("autoscaling/v2", "HorizontalPodAutoscaler"),
    "priorityclasses.scheduling.k8s.io": ("scheduling.k8s.io/v1", "PriorityClass"),
    "resourcequotas": ("v1", "ResourceQuota"),
    "clusterroles.rbac.authorization.k8s.io": ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    "leases.coordination.k8s.io": ("coordination.k8s.io/v1", "Lease"),
    "certificatesigningrequests.certificates.k8s.io": ("certificates.k8s.io/v1", "CertificateSigningRequest"),
}
CLUSTER_SCOPED = {
    "deviceclasses.resource.k8s.io",
    "volumeattributesclasses.storage.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "ipaddresses.networking.k8s.io",
    "servicecidrs.networking.k8s.io",
    "ingressclasses.networking.k8s.io",
    "gatewayclasses.gateway.networking.k8s.io",
    "namespaces",
    "nodes",
    "persistentvolumes",
    "storageclasses.storage.k8s.io",
    "priorityclasses.scheduling.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "certificatesigningrequests.certificates.k8s.io",
}


class MemoryClient:
    """The Client protocol straight over a store: metadata and deletion as the API does them, nothing else."""

    def __init__(self, store: Store, clock: FastClock) -> None:
        self.store = store
        self.clock = clock
        self.events: list[tuple[str, str, str, str]] = []
        self._uids = itertools.count(1)
        self.refuse: Callable[[str, Obj], Exception | None] = lambda resource, obj: None
        self._indexed: set[str] = set()

    def as_user(self, user: str, *groups: str, manager: str = "") -> MemoryClient:
        return self

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        found = self.store.get(resource, namespace, name)
        return found.data if found else None

    def list(self, resource: str, namespace: str | None = None, selector: Obj | None = None) -> list[Obj]:
        every = [stored.data for stored in self.store.list(resource, namespace)]
        if selector is None:
            return every
        wanted = from_object(selector)
        return [obj for obj in every if wanted.matches(obj["metadata"].get("labels"))]

    def owned_by(self, resource: str, uid: str) -> Any:
        if resource not in self._indexed:
            self._indexed.add(resource)
            refs = lambda obj: [ref["uid"] for ref in obj["metadata"].get("ownerReferences") or ()]  # noqa: E731
            self.store.add_index(resource, "owners", refs)
        return [stored.data for stored in self.store.by_index(resource, "owners", uid)]

    async def create(self, resource: str, obj: Obj) -> Obj:
        refusal = self.refuse(resource, obj)
        if refusal:
            raise refusal
        obj = copy(obj)
        meta = obj["metadata"]
        if "name" not in meta:
            meta["name"] = generate_name(meta["generateName"])
        meta["uid"] = f"uid-{next(self._uids):06d}"
        meta["creationTimestamp"] = format_time(self.clock.now())
        meta["generation"] = 1
        if resource in KINDS:
            obj["apiVersion"], obj["kind"] = KINDS[resource]
        if resource == "pods":
            obj.setdefault("status", {"phase": "Pending"})
        if self.store.get(resource, meta.get("namespace", ""), meta["name"]):
            raise errors.already_exists(resource, meta["name"])
        await asyncio.sleep(0)
        return self.store.create(resource, meta.get("namespace", ""), meta["name"], obj).data

    async def update(self, resource: str, obj: Obj) -> Obj:
        old = self._old(resource, obj)
        obj = copy(obj)
        if "status" in old:
            obj["status"] = copy(old)["status"]
        else:
            obj.pop("status", None)
        obj["metadata"]["generation"] = old["metadata"]["generation"] + (obj.get("spec") != old.get("spec"))
        return await self._write(resource, obj)

    async def update_status(self, resource: str, obj: Obj) -> Obj:
        old = copy(self._old(resource, obj))
        return await self._write(resource, {**old, "status": copy(obj)["status"]}, obj["metadata"]["resourceVersion"])

    def _old(self, resource: str, obj: Obj) -> Obj:
        meta = obj["metadata"]
        old = self.get(resource, meta.get("namespace", ""), meta["name"])
        if old is None:
            raise errors.not_found(resource, meta["name"])
        return old

    async def _write(self, resource: str, obj: Obj, rv: str = "") -> Obj:
        meta = obj["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        expect = rv or meta.get("resourceVersion")
        held = meta.get("finalizers") or obj.get("spec", {}).get("finalizers") or resource == "pods"
        if meta.get("deletionTimestamp") and not held:
            return self.store.delete(resource, namespace, name).data
        try:
            return self.store.update(resource, namespace, name, obj, int(expect) if expect else None).data
        except Conflict:
            raise errors.modified(resource, name) from None
        except NotFound:
            raise errors.not_found(resource, name) from None

    async def patch(self, resource: str, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj:
        found = self.store.get(resource, namespace, name)
        if found is None:
            raise errors.not_found(resource, name)
        new = merged(found.mutable(), copy(patch))
        rules = strategy(resource)
        if subresource != "status" and rules.desired(new) != rules.desired(found.data):
            new["metadata"]["generation"] += 1
        return await self._write(resource, new)

    async def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None:
        found = self.store.get(resource, namespace, name)
        if found is None:
            raise errors.not_found(resource, name)
        if uid not in (None, found.uid):
            raise errors.conflict(resource, name, "uid")
        obj = found.mutable()
        finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation or "")
        if finalizer and finalizer not in obj["metadata"].setdefault("finalizers", []):
            obj["metadata"]["finalizers"].append(finalizer)
        seconds = grace if grace is not None else obj.get("spec", {}).get("terminationGracePeriodSeconds", 30)
        graceful = resource == "pods" and seconds and obj["spec"].get("nodeName")
        if graceful and obj["status"].get("phase") not in ("Succeeded", "Failed"):
            obj["metadata"]["deletionGracePeriodSeconds"] = seconds
        elif not obj["metadata"].get("finalizers") and resource != "namespaces":
            self.store.delete(resource, namespace, name)
            return
        if not obj["metadata"].get("deletionTimestamp"):
            obj["metadata"]["deletionTimestamp"] = format_time(self.clock.now())
            if resource == "namespaces":
                obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
            self.store.update(resource, namespace, name, obj, None)
        elif resource == "namespaces" and not obj["spec"].get("finalizers"):
            self.store.delete(resource, namespace, name)

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": format_time(self.clock.now())}
        old = self.get("pods", namespace, pod)
        if old is None:
            raise errors.not_found("pods", pod)
        status = {**old["status"], "conditions": [condition]}
        await self.patch("pods", namespace, pod, {"spec": {"nodeName": node}, "status": status})

    def record(
        self, obj: Obj, type_: str, reason: str, message: str, component: str, host: str = "", field_path: str = ""
    ) -> None:
        self.events.append((f"{obj['kind']}/{obj['metadata']['name']}", type_, reason, message))

    def listen(self, resource: str, listener: Callable[[Event], None]) -> Callable[[], None]:
        for stored in self.store.list(resource):
            listener(Event(EventType.ADDED, stored, None))
        return self.store.listen(resource, listener)


def copy(obj: Obj) -> Obj:
    import orjson

    made: Obj = orjson.loads(orjson.dumps(obj))
    return made


def merged(target: Obj, patch: Obj) -> Obj:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = merged(target.get(key) if isinstance(target.get(key), dict) else {}, value)
        else:
            target[key] = value
    return target


class Cluster:
    """Controllers on a fast clock."""

    def __init__(self) -> None:
        self.clock = FastClock()
        self.store = Store()
        add_indexes(self.store)
        self.memory = MemoryClient(self.store, self.clock)
        self.tasks: list[asyncio.Task[None]] = []
        self._ips = itertools.count(1)
        self.ready_after: dict[str, float] = {}
        """Seconds from start to readiness by image; negative: never; 0 if absent."""
        self.exits: dict[str, int] = {}
        """Images whose container ends after a second, with its exit code."""

    @property
    def client(self) -> Client:
        return self.memory

    def start(self, *controllers: Controller, kubelet: bool = True) -> None:
        for controller in controllers:
            self.tasks.append(asyncio.create_task(controller.run()))
        if kubelet:
            self.client.listen("pods", self._kubelet)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def run(self, seconds: float = 1.0) -> None:
        await self.clock.advance(seconds)

    async def create(self, resource: str, name: str, namespace: str = "default", **rest: Any) -> Obj:
        """Create an object; `metadata` adds to name and namespace."""
        meta = {"name": name} if resource in CLUSTER_SCOPED else {"name": name, "namespace": namespace}
        return await self.client.create(resource, {"metadata": meta | rest.pop("metadata", {}), **rest})

    def get(self, resource: str, name: str, namespace: str = "default") -> Obj:
        found = self.client.get(resource, "" if resource in CLUSTER_SCOPED else namespace, name)
        assert found is not None, f"{resource} {name} is gone"
        return found

    def gone(self, resource: str, name: str, namespace: str = "default") -> bool:
        return self.client.get(resource, "" if resource in CLUSTER_SCOPED else namespace, name) is None

    async def edit(self, resource: str, name: str, patch: Obj, namespace: str = "default") -> Obj:
        return await self.client.patch(resource, "" if resource in CLUSTER_SCOPED else namespace, name, patch)

    async def delete(self, resource: str, name: str, namespace: str = "default", **options: Any) -> None:
        await self.client.delete(resource, "" if resource in CLUSTER_SCOPED else namespace, name, **options)

    def pods(self, active: bool = True, namespace: str = "default") -> list[Obj]:
        every = self.client.list("pods", namespace)
        return [pod for pod in every if not active or not pod["metadata"].get("deletionTimestamp")]

    def events(self, reason: str = "", about: str = "") -> list[str]:
        return [
            message
            for subject, _, why, message in self.memory.events
            if reason in ("", why) and about in ("", subject, subject.partition("/")[0])
        ]

    def _kubelet(self, event: Event) -> None:
        """Pods run at once, are ready after a while, and go when told to."""
        pod, key = event.obj.data, event.obj.key
        if event.type is EventType.DELETED:
            return
        if pod["metadata"].get("deletionTimestamp"):
            if not (event.old and event.old.data["metadata"].get("deletionTimestamp")):
                self.clock.call_later(0.5, lambda: self._vanish(key.namespace, key.name, event.obj.uid))
        elif pod["spec"].get("nodeName") and not pod["status"].get("podIP"):
            self.clock.call_later(0.0, lambda: self._run(key.namespace, key.name, event.obj.uid))

    def _run(self, namespace: str, name: str, uid: str) -> None:
        found = self.store.get("pods", namespace, name)
        if found is None or found.uid != uid or found.data["status"].get("podIP"):
            return
        delay = self.ready_after.get(found.data["spec"]["containers"][0].get("image", ""), 0.0)
        ip = f"10.1.0.{next(self._ips)}"
        self.set_status(namespace, name, "Running", ready=delay == 0, podIP=ip, podIPs=[{"ip": ip}])
        image = found.data["spec"]["containers"][0].get("image", "")
        if image in self.exits:
            self.clock.call_later(1.0, lambda: self._end(namespace, name, uid, self.exits[image]))
        elif delay > 0:
            self.clock.call_later(delay, lambda: self._ready(namespace, name, uid))

    def _ready(self, namespace: str, name: str, uid: str) -> None:
        found = self.store.get("pods", namespace, name)
        if found is not None and found.uid == uid and found.data["status"]["phase"] == "Running":
            self.set_status(namespace, name, "Running", ready=True)

    def _end(self, namespace: str, name: str, uid: str, code: int) -> None:
        found = self.store.get("pods", namespace, name)
        if found is None or found.uid != uid:
            return
        terminated = {"exitCode": code, "finishedAt": format_time(self.clock.now())}
        statuses = [{"name": found.data["spec"]["containers"][0]["name"], "state": {"terminated": terminated}}]
        self.set_status(namespace, name, "Failed" if code else "Succeeded", ready=False, containerStatuses=statuses)

    def _vanish(self, namespace: str, name: str, uid: str) -> None:
        found = self.store.get("pods", namespace, name)
        if found is None or found.uid != uid:
            return
        if found.data["metadata"].get("finalizers"):
            self.set_status(namespace, name, "Failed", ready=False)
        else:
            self.store.delete("pods", namespace, name)

    def set_status(self, namespace: str, name: str, phase: str, *, ready: bool, **more: Any) -> None:
        """Write a pod's status as a kubelet would."""
        stored = self.store.get("pods", namespace, name)
        assert stored is not None
        pod = stored.mutable()
        now = format_time(self.clock.now())
        before = {one["type"]: one for one in pod["status"].get("conditions") or ()}
        status = "True" if ready else "False"
        if before.get("Ready", {}).get("status") != status:
            before["Ready"] = {"type": "Ready", "status": status, "lastTransitionTime": now}
        pod["status"] |= {"phase": phase, "conditions": list(before.values()), **more}
        self.store.update("pods", namespace, name, pod, None)
