"""Finds out what a cluster can do by trying it. What no look at the API tells is probed: whether a NetworkPolicy is
enforced shows only when a connection fails because of one, whether somebody serves the Gateway API only when a class is
accepted.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from kuartui.cluster import exec as cluster_exec
from kuartui.cluster.base import Progress, Report
from kuartui.cluster.clock import Clock
from kuartui.cluster.fence import labelled_by_us
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError, ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER, SYSTEM_NAMESPACE
from kuartui.message import later

Obj = dict[str, Any]
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"  # a label, and a taint
LOCAL_PATH = "rancher.io/local-path"  # what levels name in their StorageClasses
PROBE_IMAGE = "busybox:1.36"
PROBE_NAME = "kuartui-probe-"
PROBE_LIFE = 300.0  # seconds that none takes
PROBE_SECONDS = 90.0  # for two pods to start: an image may have to be pulled
POLICY_SECONDS = 15.0  # for a policy to reach the nodes
POLL = 0.5

CLASS_SECONDS = 10.0  # for a controller to accept a GatewayClass
GATEWAY_CONTROLLER = "traefik.io/gateway-controller"  # what levels name in their GatewayClasses

CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"

#: namespaces that a cluster has by itself, and those of add-ons (ours, minikube's, and what others put below a network)
SYSTEM = {
    *("default", "kube-system", "kube-public", "kube-node-lease", "local-path-storage", SYSTEM_NAMESPACE),
    *("kuartui-addons", "ingress-nginx", "envoy-gateway-system", "metallb-system"),
    *("tigera-operator", "calico-system", "calico-apiserver"),
}

#: what would provide a capability that is missing
PROVIDERS = {
    "network": "a cluster with nodes that are ready",
    "containers": "a cluster with nodes that are ready",
    "metrics": "metrics-server; on minikube: minikube addons enable metrics-server",
    "network-policy": "a network plugin that enforces policies (Calico, Cilium, kindnet of kind 0.24 or newer)",
    "multi-node": "two nodes or more beside the control plane; kuartui's own kind cluster has them",
    "control-plane-taint": "a control plane with the taint that kubeadm gives it; kind's has it, minikube's has not",
    "storage": "a default StorageClass",
    "local-path": f"the provisioner {LOCAL_PATH}; kind, k3s and kuartui's minikube profile have it",
    "ingress": "an ingress controller with its IngressClass; on minikube: minikube addons enable ingress",
    "gateway": f"the Gateway API's CRDs and a controller that accepts classes of {GATEWAY_CONTROLLER}",
    "node-power": "machines that kuartui can switch off: the embedded cluster, kuartui's own kind or minikube cluster",
    "own-cluster": "a cluster that holds nothing of anybody else's: the level disturbs all of it",
}


async def detect(api: Api, clock: Clock, report: Report) -> frozenset[str]:
    """The capabilities of the cluster, as they are now. ClusterError when it does not answer."""
    await _forget_probes(api, clock)
    found: set[str] = set()
    nodes = [node for node in await _list(api, "Node") if _ready(node)]
    if nodes:
        found |= {"network", "containers"}
    if sum(CONTROL_PLANE not in (node["metadata"].get("labels") or {}) for node in nodes) > 1:
        found.add("multi-node")
    if any(_set_aside(node) for node in nodes):
        found.add("control-plane-taint")
    classes = await _list(api, "StorageClass")
    if any((item["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true" for item in classes):
        found.add("storage")
    if any(item.get("provisioner") == LOCAL_PATH for item in classes):
        found.add("local-path")
    if await _list(api, "IngressClass"):
        found.add("ingress")
    if await classes_are_accepted(api, clock, report):
        found.add("gateway")
    if await _measures(api):
        found.add("metrics")
    if await _nobody_else(api):
        found.add("own-cluster")
    if nodes and await policies_hold(api, clock, report):
        found.add("network-policy")
    return frozenset(found)


def missing(needs: Iterable[str], capabilities: frozenset[str]) -> list[str]:
    """Each capability that is not there, with what would provide it."""
    return [f"{need} ({PROVIDERS[need]})" if need in PROVIDERS else need for need in needs if need not in capabilities]


async def policies_hold(api: Api, clock: Clock, report: Report) -> bool:
    """Whether a NetworkPolicy stops a connection that works without one. Leaves nothing behind."""
    report(Progress(later("probing whether network policies are enforced")))
    name = f"{PROBE_NAME}{uuid.uuid4().hex[:6]}"
    namespaces, pods = await api.resource("Namespace"), await api.resource("Pod")
    label = {LABEL_ATTEMPT: "probe", LABEL_CHECKER: "true"}
    await api.create(namespaces, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": label}})
    try:
        for pod in (_pod("server", "httpd -f -p 8080 -h /"), _pod("client", "sleep 3600")):
            await api.create(pods, pod, namespace=name)
        address = await _address(api, clock, name)
        until = clock.monotonic() + POLICY_SECONDS
        while not await _connects(api, clock, name, address):  # a pod is ready as soon as its program began
            if clock.monotonic() > until:
                return False
            await clock.sleep(POLL)
        policies = await api.resource("NetworkPolicy")
        await api.create(policies, _deny_all(), namespace=name)
        until = clock.monotonic() + POLICY_SECONDS
        while clock.monotonic() < until:
            if not await _connects(api, clock, name, address):
                return True
            await clock.sleep(POLL)
        return False
    except ClusterError:
        return False  # no pods, no probe: then nothing is known to be enforced
    finally:
        await api.delete(namespaces, "", name)


async def classes_are_accepted(api: Api, clock: Clock, report: Report) -> bool:
    """Whether a controller accepts a GatewayClass such as levels make. Leaves nothing behind."""
    if await api.glimpse(CLASSES) is None:
        return False
    report(Progress(later("probing whether somebody serves the Gateway API")))
    name = f"{PROBE_NAME}{uuid.uuid4().hex[:6]}"
    labels = {LABEL_ATTEMPT: "probe", LABEL_CHECKER: "true"}
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": name, "labels": labels},
        "spec": {"controllerName": GATEWAY_CONTROLLER},
    }
    try:
        await api.request("POST", CLASSES, body=body)
        until = clock.monotonic() + CLASS_SECONDS
        while clock.monotonic() < until:
            live = await api.glimpse(f"{CLASSES}/{name}") or {}
            conditions = live.get("status", {}).get("conditions") or []
            if any(item["type"] == "Accepted" and item["status"] == "True" for item in conditions):
                return True
            await clock.sleep(POLL)
        return False
    finally:
        with suppress(ApiError):  # 404: it was never made
            await api.request("DELETE", f"{CLASSES}/{name}")


async def _forget_probes(api: Api, clock: Clock) -> None:
    """Remove what a probe left whose process was killed. A young one may be another player's, who is still looking."""
    latest = clock.now() - timedelta(seconds=PROBE_LIFE)
    for path in ("/api/v1/namespaces", CLASSES):
        left = (await api.glimpse(path, labelSelector=f"{LABEL_ATTEMPT}=probe") or {}).get("items") or []
        for obj in left:
            metadata = obj["metadata"]
            young = datetime.fromisoformat(metadata["creationTimestamp"]) > latest
            if young or not metadata["name"].startswith(PROBE_NAME) or not labelled_by_us(obj):
                continue
            with suppress(ApiError):  # 404: another process was quicker
                await api.request("DELETE", f"{path}/{metadata['name']}")


async def _address(api: Api, clock: Clock, namespace: str) -> str:
    pods = await api.resource("Pod")
    until = clock.monotonic() + PROBE_SECONDS
    while clock.monotonic() < until:
        found = {pod["metadata"]["name"]: pod for pod in (await api.list(pods, namespace)).items}
        if len(found) == 2 and all(_ready(pod) for pod in found.values()):
            return str(found["server"]["status"]["podIP"])
        await clock.sleep(POLL)
    raise ClusterError(later("the probe's pods did not start within {probe_seconds:g} s", probe_seconds=PROBE_SECONDS))


async def _connects(api: Api, clock: Clock, namespace: str, address: str) -> bool:
    # a page that is not there is an answer, too: wget then ends with 1 and says so
    command = ("sh", "-c", f"wget -T 2 -q -O /dev/null http://{address}:8080/ 2>&1")
    running = asyncio.ensure_future(cluster_exec.run(api, namespace, "client", command, timeout=15))
    try:
        while not running.done():
            await clock.sleep(POLL)  # what wget waits for passes on the cluster's clock
        done = await running
    except ClusterError:
        return False  # no answer is no connection
    finally:
        running.cancel()
    return done.exit_code == 0 or "404" in done.stdout or "403" in done.stdout


async def _list(api: Api, kind: str) -> list[Obj]:
    try:
        return (await api.list(await api.resource(kind))).items
    except ApiError as error:
        if error.code in (403, 404):
            return []
        raise


async def _measures(api: Api) -> bool:
    try:
        return bool((await api.glimpse("/apis/metrics.k8s.io/v1beta1/nodes") or {}).get("items"))
    except ApiError:
        return False  # registered, but nobody answers: 503


async def _nobody_else(api: Api) -> bool:
    """No namespace beside the system's, not even of another attempt, and no workload in default."""
    for item in await _list(api, "Namespace"):
        name = item["metadata"]["name"]
        if name not in SYSTEM and not name.startswith(PROBE_NAME):
            return False
    pods = await api.resource("Pod")
    return not (await api.list(pods, "default", limit=1)).items


def _set_aside(node: Obj) -> bool:
    """Whether it is a control plane that ordinary pods keep off."""
    taints = (node.get("spec") or {}).get("taints") or []
    return any(item["key"] == CONTROL_PLANE and item["effect"] == "NoSchedule" for item in taints)


def _ready(obj: Obj) -> bool:
    conditions = obj.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _pod(name: str, script: str) -> Obj:
    container = {"name": "main", "image": PROBE_IMAGE, "command": ["sh", "-c", script]}
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _deny_all() -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all"},
        "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"]},
    }
