"""What a kubelet tells of itself over HTTP: its configuration, the statistics summary, metrics, its pods.

After pkg/kubelet/server. The API server leads there at /api/v1/nodes/NODE/proxy/.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson

from kuartui.embedded.clock import Clock
from kuartui.embedded.meta.time import format_time
from kuartui.embedded.metrics.usage import SYSTEM_CPU, SYSTEM_MEMORY, UsageSource

Obj = dict[str, Any]

JSON, TEXT = "application/json", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
CONFIGURATION = """apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 2m0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 5m0s
    cacheUnauthorizedTTL: 30s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
evictionHard:
  memory.available: 100Mi
evictionPressureTransitionPeriod: 5m0s
failSwapOn: false
kind: KubeletConfiguration
maxPods: 110
nodeLeaseDurationSeconds: 40
nodeStatusReportFrequency: 5m0s
nodeStatusUpdateFrequency: 10s
port: 10250
staticPodPath: /etc/kubernetes/manifests
syncFrequency: 1m0s
"""
"""What of KubeletConfiguration the nodes here keep to."""


@cache
def configuration() -> Obj:
    """The same as an object."""
    import yaml

    found: Obj = yaml.safe_load(CONFIGURATION)
    return found


class KubeletPages:
    """The pages of all nodes' kubelets."""

    def __init__(self, source: UsageSource, clock: Clock) -> None:
        self._source, self._clock = source, clock

    def page(self, node: Obj, path: str, pods: Iterable[Obj]) -> tuple[str, bytes] | None:
        """Content type and body of one page; None if there is none. `pods` are those bound to the node."""
        name = node["metadata"]["name"]
        match path.strip("/"):
            case "healthz":
                return "text/plain; charset=utf-8", b"ok"
            case "configz":
                return JSON, orjson.dumps({"kubeletconfig": configuration()})
            case "pods":
                items = list(pods)
                return JSON, orjson.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
            case "runningpods":
                return JSON, orjson.dumps(self._running(name))
            case "stats/summary":
                return JSON, orjson.dumps(self._summary(node), option=orjson.OPT_INDENT_2)
            case "metrics/resource":
                return TEXT, self._metrics(name).encode()
        return None

    def _runs(self, node: str) -> Iterable[tuple[Obj, Any, Any]]:
        """Pod, run and usage of each running container."""
        for pod, run in self._source.runs(node):
            try:
                yield pod, run, run.living.usage()
            except LookupError:
                continue

    def _running(self, node: str) -> Obj:
        pods: dict[str, Obj] = {}
        for pod, run in self._source.runs(node):
            metadata = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
            made = pods.setdefault(metadata["uid"], {"metadata": metadata, "spec": {"containers": []}, "status": {}})
            made["spec"]["containers"].append({"name": run.name, "image": run.image_id, "resources": {}})
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods.values())}

    def _summary(self, node: Obj) -> Obj:
        now = format_time(self._clock.now())
        cpu, memory, spent = SYSTEM_CPU, SYSTEM_MEMORY, 0.0
        pods: dict[str, Obj] = {}
        for pod, run, use in self._runs(node["metadata"]["name"]):
            metadata = pod["metadata"]
            reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
            started = (pod.get("status") or {}).get("startTime")
            made = pods.setdefault(metadata["uid"], {"podRef": reference, "startTime": started, "containers": []})
            begun = format_time(run.started_at) if run.started_at else started
            made["containers"].append(
                {
                    "name": run.name,
                    "startTime": begun,
                    **_use(now, use.cpu_nanocores, use.cpu_seconds, use.memory_bytes),
                }
            )
            cpu, memory, spent = cpu + use.cpu_nanocores, memory + use.memory_bytes, spent + use.cpu_seconds
        for made in pods.values():
            parts = made["containers"]
            made |= _use(
                now,
                sum(one["cpu"]["usageNanoCores"] for one in parts),
                sum(one["cpu"]["usageCoreNanoSeconds"] for one in parts) / 1e9,
                sum(one["memory"]["workingSetBytes"] for one in parts),
            )
        begun = node["metadata"].get("creationTimestamp")
        about = {"nodeName": node["metadata"]["name"], "startTime": begun, **_use(now, cpu, spent, memory)}
        return {"node": about, "pods": list(pods.values())}

    def _metrics(self, node: str) -> str:
        """The resource metrics endpoint, in Prometheus' words."""
        stamp = round(self._clock.now().timestamp() * 1000)
        runs = list(self._runs(node))
        labels = [
            f'container="{run.name}",namespace="{pod["metadata"]["namespace"]}",pod="{pod["metadata"]["name"]}"'
            for pod, run, _ in runs
        ]
        spent, memory = [use.cpu_seconds for *_, use in runs], [use.memory_bytes for *_, use in runs]
        families: list[tuple[str, str, str, list[tuple[str, float]]]] = [
            (
                "container_cpu_usage_seconds_total",
                "counter",
                "Cumulative cpu time consumed by the container in core-seconds",
                list(zip(labels, spent, strict=True)),
            ),
            (
                "container_memory_working_set_bytes",
                "gauge",
                "Current working set of the container in bytes",
                list(zip(labels, memory, strict=True)),
            ),
            (
                "node_cpu_usage_seconds_total",
                "counter",
                "Cumulative cpu time consumed by the node in core-seconds",
                [("", sum(spent))],
            ),
            (
                "node_memory_working_set_bytes",
                "gauge",
                "Current working set of the node in bytes",
                [("", SYSTEM_MEMORY + sum(memory))],
            ),
        ]
        lines = []
        for name, kind, about, samples in families:
            lines += [f"# HELP {name} [STABLE] {about}", f"# TYPE {name} {kind}"]
            lines += [
                f"{name}{{{who}}} {value:g} {stamp}" if who else f"{name} {value:g} {stamp}" for who, value in samples
            ]
        lines += [
            "# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise"
        ]
        lines += ["# TYPE resource_scrape_error gauge", "resource_scrape_error 0"]
        return "\n".join(lines) + "\n"


def _use(now: str, nanocores: int, seconds: float, memory: int) -> Obj:
    return {
        "cpu": {"time": now, "usageNanoCores": nanocores, "usageCoreNanoSeconds": round(seconds * 1e9)},
        "memory": {"time": now, "usageBytes": memory, "workingSetBytes": memory, "rssBytes": memory},
    }
