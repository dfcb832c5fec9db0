"""The control plane as pods, on clusters to play with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host
from kuartui.embedded.node.runtime import ExecIO
from tests.embedded.containers import Capture

SYSTEM = "kube-system"
MANIFEST = "/etc/kubernetes/manifests/kube-scheduler.yaml"


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """Two nodes on a fast clock that show their control plane all the same."""
    monkeypatch.setattr(Spec, "kubeadm", property(lambda spec: not spec.bare))
    host = Host(tmp_path)
    yield await host.create(Spec(name="k", nodes=2, fast=True, durable=False))
    await host.delete("k")


def pods(cluster: Cluster, namespace: str = SYSTEM) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in cluster.client.list("pods", namespace)}


async def run_pod(cluster: Cluster, name: str) -> None:
    container = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    spec = {"containers": [container]}
    await cluster.client.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
    await cluster.clock.advance(5)


async def test_the_control_plane_shows_as_static_pods_and_kube_proxy_runs_everywhere(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    running = pods(cluster)
    components = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    assert {running[f"{name}-k-control-plane"] for name in components} == {"Running"}
    assert len([name for name in running if name.startswith("kube-proxy-")]) == 2
    mirror = cluster.client.get("pods", SYSTEM, "kube-scheduler-k-control-plane")
    assert mirror is not None
    assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert mirror["spec"]["priority"] == 2000001000


async def test_kube_proxy_tells_on_its_node_how_it_works(cluster: Cluster) -> None:
    container = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    spec = {"containers": [container], "nodeName": "k-worker", "hostNetwork": True}
    pod = {"metadata": {"name": "look", "namespace": "default"}, "spec": spec}
    await cluster.client.create("pods", pod)
    await cluster.clock.advance(10)
    for url, said in (("localhost:10249/proxyMode", "iptables"), ("localhost:10256/healthz", '"nodeEligible": true')):
        out = Capture()
        placed = cluster.client.get("pods", "default", "look")
        assert placed is not None
        ask = ["wget", "-qO-", url]
        assert await cluster.parts.fleet.exec(placed, "c", ask, ExecIO(out.write, out.write, None)) == 0, out.text
        assert said in out.text


async def test_a_component_asked_for_its_version_leaves_the_running_one_alone(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    kubelet = cluster.parts.fleet.kubelets["k-control-plane"]
    said = {}
    for name in ("etcd", "kube-scheduler"):
        worker = next(one for one in kubelet.workers.values() if one.pod["metadata"]["name"].startswith(name))
        run = worker.state.last(name)
        assert run is not None
        out = Capture()
        assert await run.living.exec([name, "--version"], ExecIO(out.write, out.write)) == 0
        said[name] = out.text
    assert said["etcd"].startswith("etcd Version: 3.6.")
    assert said["kube-scheduler"] == "Kubernetes v1.36.2\n"
    await run_pod(cluster, "p")
    assert pods(cluster, "default") == {"p": "Running"}


async def test_without_its_manifest_the_scheduler_schedules_nothing(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    kubelet = cluster.parts.fleet.kubelets["k-control-plane"]
    disk = cluster.parts.fleet.disks.tree("k-control-plane")
    text = disk.read(MANIFEST)
    disk.remove(MANIFEST)
    kubelet.static_pods.changed()
    await cluster.clock.advance(40)
    assert "kube-scheduler-k-control-plane" not in pods(cluster)
    lease = cluster.client.get("leases.coordination.k8s.io", SYSTEM, "kube-scheduler")
    await run_pod(cluster, "waits")
    await cluster.clock.advance(30)
    assert pods(cluster, "default") == {"waits": "Pending"}
    assert cluster.client.get("leases.coordination.k8s.io", SYSTEM, "kube-scheduler") == lease
    disk.write(MANIFEST, text)
    kubelet.static_pods.changed()
    await cluster.clock.advance(10)
    assert pods(cluster, "default") == {"waits": "Running"}


async def test_without_the_controller_manager_no_controller_works(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    kubelet = cluster.parts.fleet.kubelets["k-control-plane"]
    disk = cluster.parts.fleet.disks.tree("k-control-plane")
    path = MANIFEST.replace("scheduler", "controller-manager")
    text = disk.read(path)
    disk.write(path, text.replace(b"/controller-manager.conf", b"/nope.conf"))
    kubelet.static_pods.changed()
    await cluster.clock.advance(60)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await cluster.client.create("replicasets.apps", {"metadata": {"name": "r", "namespace": "default"}, "spec": spec})
    await cluster.clock.advance(30)
    assert pods(cluster, "default") == {}
    disk.write(path, text)
    kubelet.static_pods.changed()
    await cluster.clock.advance(60)
    assert list(pods(cluster, "default").values()) == ["Running"]


async def test_etcd_answers_a_grpc_probe(cluster: Cluster) -> None:
    command = ["/usr/local/bin/etcd", "--listen-client-urls", "http://0.0.0.0:2379", "--data-dir", "/var/lib/etcd"]
    probe = {"grpc": {"port": 2379}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"name": "etcd", "image": "registry.k8s.io/etcd:3.5.1-0", "command": command, "readinessProbe": probe}
    meta = {"name": "etcd-with-grpc", "namespace": "default"}
    await cluster.client.create("pods", {"metadata": meta, "spec": {"containers": [container]}})
    await cluster.clock.advance(20)
    pod = cluster.client.get("pods", "default", "etcd-with-grpc")
    assert pod is not None
    assert pod["status"]["containerStatuses"][0]["ready"]


async def test_a_static_pod_that_the_api_refuses_does_not_keep_others_from_running(cluster: Cluster) -> None:
    disk = cluster.parts.fleet.disks.tree("k-worker")
    kubelet = cluster.parts.fleet.kubelets["k-worker"]
    base = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec:\n  containers: [{name: c, image: 'nginx:1.27'}]\n"
    directory = MANIFEST.rpartition("/")[0]
    bad = base.replace("NAME", "bad") + "  volumes: [{name: s, secret: {secretName: s}}]\n"
    disk.write(f"{directory}/a.yaml", bad.encode())
    disk.write(f"{directory}/b.yaml", base.replace("NAME", "good").encode())
    kubelet.static_pods.start()
    await cluster.clock.advance(10)
    assert pods(cluster, "default") == {"good-k-worker": "Running"}
    lines = [entry.line() for entry in kubelet.services.journal.entries("kubelet")]
    assert any("Failed creating a mirror pod" in line and "reference secrets" in line for line in lines)


CONFIG = """apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - schedulerName: my-scheduler
leaderElection:
  leaderElect: {elect}
"""


async def second_scheduler(cluster: Cluster, elect: str, config: str = CONFIG) -> None:
    data = {"c.yaml": config.format(elect=elect)}
    meta = {"name": "my-scheduler", "namespace": SYSTEM}
    await cluster.client.create("configmaps", {"metadata": meta, "data": data})
    probe = {"httpGet": {"path": "/healthz", "port": 10259, "scheme": "HTTPS"}}
    container = {
        "name": "c",
        "image": "registry.k8s.io/kube-scheduler:v1.36.2",
        "command": ["/usr/local/bin/kube-scheduler", "--config=/etc/my/c.yaml"],
        "readinessProbe": probe,
        "volumeMounts": [{"name": "v", "mountPath": "/etc/my"}],
    }
    volume = {"name": "v", "configMap": {"name": "my-scheduler"}}
    spec = {"containers": [container], "volumes": [volume]}
    await cluster.client.create("pods", {"metadata": meta, "spec": spec})
    await cluster.clock.advance(30)


async def run_pod_of(cluster: Cluster, name: str, scheduler: str) -> None:
    container = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    spec = {"containers": [container], "schedulerName": scheduler}
    await cluster.client.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
    await cluster.clock.advance(5)


async def test_a_second_scheduler_places_the_pods_that_name_it_while_it_runs(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    await run_pod_of(cluster, "early", "my-scheduler")
    assert pods(cluster, "default") == {"early": "Pending"}
    await second_scheduler(cluster, "false")
    pod = cluster.client.get("pods", SYSTEM, "my-scheduler")
    assert pod is not None
    ready = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
    assert ready["Ready"] == "True"
    assert pods(cluster, "default") == {"early": "Running"}
    events = cluster.client.list("events", "default")
    assert {e["reportingComponent"] for e in events if e["reason"] == "Scheduled"} == {"my-scheduler"}
    await cluster.client.delete("pods", SYSTEM, "my-scheduler")
    await cluster.clock.advance(40)
    await run_pod_of(cluster, "late", "my-scheduler")
    await run_pod(cluster, "usual")
    assert pods(cluster, "default") == {"early": "Running", "late": "Pending", "usual": "Running"}


async def test_a_scheduler_that_has_to_lead_waits_for_the_leader_of_its_lease(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    await second_scheduler(cluster, "true")
    await run_pod_of(cluster, "waits", "my-scheduler")
    assert pods(cluster, "default") == {"waits": "Pending"}


async def test_a_scheduler_with_its_own_lease_need_not_wait(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    await second_scheduler(cluster, "true\n  resourceName: my-scheduler")
    await run_pod_of(cluster, "runs", "my-scheduler")
    assert pods(cluster, "default") == {"runs": "Running"}


async def test_a_scheduler_does_not_start_with_a_configuration_of_another_version(cluster: Cluster) -> None:
    await cluster.clock.advance(10)
    await second_scheduler(cluster, "false", CONFIG.replace("k8s.io/v1", "k8s.io/v1beta3"))
    pod = cluster.client.get("pods", SYSTEM, "my-scheduler")
    assert pod is not None
    assert pod["status"]["containerStatuses"][0]["restartCount"] > 0
