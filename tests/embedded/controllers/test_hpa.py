"""The autoscaler: how many replicas, how fast, and what it says about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kuartui.embedded.controllers.deployment import DeploymentController
from kuartui.embedded.controllers.hpa import HorizontalController
from kuartui.embedded.controllers.hpa.controller import RESYNC
from kuartui.embedded.controllers.hpa.limits import History, limit
from kuartui.embedded.controllers.hpa.replicas import Question, Tolerances
from kuartui.embedded.controllers.replicaset import ReplicaSetController
from kuartui.embedded.metrics.usage import PodUse, Usage, Use
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]

HPAS = "horizontalpodautoscalers.autoscaling"


class Load:
    """Shares a load (in millicores) out between the running pods."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.millicores = 0
        self.started = cluster.clock.now() - timedelta(minutes=1)

    def runs(self, node: str | None = None) -> Iterable[tuple[Obj, Any]]:
        running = [pod for pod in self.cluster.pods() if pod["status"]["phase"] == "Running"]
        for pod in running:
            use = SimpleNamespace(cpu_nanocores=self.millicores * 1_000_000 // len(running), memory_bytes=50 << 20)
            living = SimpleNamespace(usage=lambda use=use: use)
            yield pod, SimpleNamespace(name="c", started_at=self.started, living=living)

    def answers(self, node: str) -> bool:
        return True


@pytest.fixture
def load(cluster: Cluster) -> Load:
    return Load(cluster)


async def autoscaled(
    cluster: Cluster, load: Load | None, *, request: str | None = "100m", pod: Obj | None = None, **more: Any
) -> None:
    """`request` is what the container asks for, `pod` goes into the template's spec."""
    usage = Usage(load, cluster.clock) if load else None
    cluster.start(
        DeploymentController(cluster.client),
        ReplicaSetController(cluster.client),
        HorizontalController(cluster.client, usage),
    )
    container: Obj = {"name": "c", "image": "i", "resources": {"requests": {"cpu": request}} if request else {}}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [container]} | (pod or {}),
    }
    selector = {"matchLabels": {"app": "web"}}
    await cluster.create("deployments.apps", "web", spec={"replicas": 2, "selector": selector, "template": template})
    await cluster.run(2)
    for pod in cluster.pods():
        cluster.set_status("default", pod["metadata"]["name"], "Running", ready=True, startTime="2020-01-01T00:00:00Z")
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": ref, "minReplicas": 1, "maxReplicas": 10, "metrics": [metric]} | more
    await cluster.create(HPAS, "web", spec=spec)
    await cluster.run(RESYNC + 1)


def conditions(cluster: Cluster) -> dict[str, tuple[str, str]]:
    found = cluster.get(HPAS, "web")["status"]["conditions"]
    return {one["type"]: (one["status"], one["reason"]) for one in found}


def size(cluster: Cluster) -> int:
    replicas: int = cluster.get("deployments.apps", "web")["spec"]["replicas"]
    return replicas


async def test_follows_the_load_up_at_once(cluster: Cluster, load: Load) -> None:
    load.millicores = 300  # 150 % of two pods' requests: three times the target
    await autoscaled(cluster, load)
    assert size(cluster) == 4  # not six: at most double, or four
    assert cluster.events("SuccessfulRescale") == [
        "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    ]
    status = cluster.get(HPAS, "web")["status"]
    assert status["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 150, "averageValue": "150m"}
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 4)
    assert status["lastScaleTime"]
    assert conditions(cluster) == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("True", "ScaleUpLimit"),
    }


async def test_a_new_one_waits_for_its_turn(cluster: Cluster, load: Load) -> None:
    load.millicores = 100  # on target for two pods
    await autoscaled(cluster, load)
    spec = cluster.get(HPAS, "web")["spec"]
    await cluster.client.delete(HPAS, "default", "web")
    await cluster.create(HPAS, "next", spec=spec)
    await cluster.run(RESYNC - 1)
    assert "currentReplicas" not in cluster.get(HPAS, "next").get("status", {})
    await cluster.run(2)
    assert cluster.get(HPAS, "next")["status"]["currentReplicas"] == 2


async def test_comes_down_five_minutes_later(cluster: Cluster, load: Load) -> None:
    load.millicores = 100
    await autoscaled(cluster, load)
    assert size(cluster) == 2
    load.millicores = 10
    await cluster.run(200)
    assert size(cluster) == 2
    assert conditions(cluster)["AbleToScale"] == ("True", "ScaleDownStabilized")
    await cluster.run(150)
    assert size(cluster) == 1
    assert "New size: 1; reason: All metrics below target" in cluster.events("SuccessfulRescale")


async def test_a_little_off_target_is_on_target(cluster: Cluster, load: Load) -> None:
    load.millicores = 108
    await autoscaled(cluster, load)
    await cluster.run(60)
    assert size(cluster) == 2
    assert conditions(cluster)["AbleToScale"] == ("True", "ReadyForNewScale")


async def test_without_requests_it_cannot_tell(cluster: Cluster, load: Load) -> None:
    load.millicores = 100
    await autoscaled(cluster, load, request=None)
    found = cluster.get(HPAS, "web")["status"]["conditions"]
    active = next(one for one in found if one["type"] == "ScalingActive")
    assert active["reason"] == "FailedGetResourceMetric"
    assert active["message"].startswith(
        "the HPA was unable to compute the replica count: failed to get cpu utilization: "
        "missing request for cpu in container c of Pod web-"
    )
    assert cluster.events("FailedComputeMetricsReplicas")[0].startswith(
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: "
        "failed to get cpu utilization: missing request"
    )


async def test_a_pod_that_asks_as_a_whole(cluster: Cluster, load: Load) -> None:
    load.millicores = 100
    await autoscaled(cluster, load, request=None, pod={"resources": {"requests": {"cpu": "200m"}}})
    status = cluster.get(HPAS, "web")["status"]
    assert status["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 25, "averageValue": "50m"}


async def test_a_pod_that_asks_as_a_whole_for_something_else(cluster: Cluster, load: Load) -> None:
    load.millicores = 100
    await autoscaled(cluster, load, request=None, pod={"resources": {"requests": {"memory": "64Mi"}}})
    found = cluster.get(HPAS, "web")["status"]["conditions"]
    active = next(one for one in found if one["type"] == "ScalingActive")
    assert "missing pod-level request for cpu in Pod web-" in active["message"]


async def test_without_a_metrics_api(cluster: Cluster) -> None:
    await autoscaled(cluster, None)
    assert cluster.events("FailedGetResourceMetric")[0] == (
        "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource "
        "metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
    )


async def test_minimum_and_maximum_count_whatever_the_metrics_say(cluster: Cluster, load: Load) -> None:
    await autoscaled(cluster, load, minReplicas=3)
    assert size(cluster) == 3
    assert cluster.events("SuccessfulRescale") == [
        "New size: 3; reason: Current number of replicas below Spec.MinReplicas"
    ]


async def test_a_target_of_zero_switches_it_off(cluster: Cluster, load: Load) -> None:
    await autoscaled(cluster, load)
    await cluster.edit("deployments.apps", "web", {"spec": {"replicas": 0}})
    await cluster.run(20)
    assert size(cluster) == 0
    assert conditions(cluster)["ScalingActive"] == ("False", "ScalingDisabled")


async def test_a_missing_target(cluster: Cluster, load: Load) -> None:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}
    await autoscaled(cluster, load, scaleTargetRef=ref)
    assert conditions(cluster) == {"AbleToScale": ("False", "FailedGetScale")}
    assert cluster.events("FailedGetScale") == ['deployments.apps "nobody" not found']


async def test_memory_as_an_average_value(cluster: Cluster, load: Load) -> None:
    metric = {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "25Mi"}},
    }
    await autoscaled(cluster, load, metrics=[metric])
    assert size(cluster) == 4
    assert cluster.events("SuccessfulRescale") == ["New size: 4; reason: memory resource above target"]


async def test_one_container_of_the_pod(cluster: Cluster, load: Load) -> None:
    load.millicores = 300
    target = {"type": "Utilization", "averageUtilization": 50}
    source = {"name": "cpu", "container": "c", "target": target}
    await autoscaled(cluster, load, metrics=[{"type": "ContainerResource", "containerResource": source}])
    assert size(cluster) == 4


def bounded(history: History, now: float, current: int, desired: int, **behavior: Any) -> tuple[int, str]:
    found = limit(history, {"minReplicas": 1, "maxReplicas": 100, "behavior": behavior}, current, desired, now)
    return found.replicas, found.limit[0]


def test_scaling_policies_limit_the_rate() -> None:
    up = {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}
    history = History()
    assert bounded(history, 0, 10, 50, scaleUp=up) == (12, "ScaleUpLimit")
    history.scaled(0, 10, 12, {"scaleUp": up})
    assert bounded(history, 30, 12, 50, scaleUp=up) == (12, "ScaleUpLimit")
    assert bounded(history, 61, 12, 50, scaleUp=up) == (14, "ScaleUpLimit")


def test_the_wider_of_two_policies_wins_unless_the_narrower_is_asked_for() -> None:
    policies = [
        {"type": "Percent", "value": 50, "periodSeconds": 60},
        {"type": "Pods", "value": 2, "periodSeconds": 60},
    ]
    down = {"policies": policies, "stabilizationWindowSeconds": 0}
    assert bounded(History(), 0, 20, 1, scaleDown=down) == (10, "ScaleDownLimit")
    assert bounded(History(), 0, 20, 1, scaleDown=down | {"selectPolicy": "Min"}) == (18, "ScaleDownLimit")
    assert bounded(History(), 0, 20, 1, scaleDown=down | {"selectPolicy": "Disabled"}) == (20, "ScaleDownLimit")


def test_percentages_are_as_inexact_as_kubernetes_makes_them() -> None:
    """It multiplies floating point numbers: a tenth more of 100 is 111, a tenth of 20 is 1."""
    more = {"policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]}
    less = {"policies": [{"type": "Percent", "value": 90, "periodSeconds": 60}], "stabilizationWindowSeconds": 0}
    wide = limit(History(), {"minReplicas": 1, "maxReplicas": 500, "behavior": {"scaleUp": more}}, 100, 400, 0)
    assert wide.replicas == 111
    assert bounded(History(), 0, 20, 1, scaleDown=less) == (1, "DesiredWithinRange")
    assert _usage_of(25, millicores=112).by_utilization(100).replicas == 29


@pytest.mark.parametrize(("use", "replicas"), [(100, 4), (50, 3), (200, 4)])
def test_pods_without_metrics_dampen_a_change(use: int, replicas: int) -> None:
    """Two of four tell of nothing: idle on the way up, on target on the way down."""
    question = _usage_of(4, millicores=use)
    for name in ("p0", "p1"):
        del question.uses[name]
    assert question.by_value(100).replicas == question.by_utilization(100).replicas == replicas


def _usage_of(number: int, millicores: int) -> Question:
    """Ready pods that ask for 100 millicores each."""
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-30T11:00:00Z"}
    status = {"phase": "Running", "startTime": "2026-11-30T11:00:00Z", "conditions": [ready]}
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]}
    pods = [
        {"metadata": {"name": f"p{one}", "namespace": "d"}, "spec": spec, "status": status} for one in range(number)
    ]
    uses = {pod["metadata"]["name"]: PodUse(pod, now, {"c": Use(millicores * 1_000_000, 0)}) for pod in pods}
    return Question("cpu", "", number, pods, uses, now, Tolerances())


def test_a_stabilization_window_takes_the_lowest_of_recent_recommendations() -> None:
    up = {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 90, "periodSeconds": 1}]}
    history = History()
    assert bounded(history, 0, 5, 6, scaleUp=up)[0] == 6
    assert bounded(history, 10, 5, 20, scaleUp=up)[0] == 6
    assert bounded(history, 75, 5, 20, scaleUp=up)[0] == 20


async def test_policies_say_how_fast(cluster: Cluster, load: Load) -> None:
    load.millicores = 1000
    behavior = {
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
        "scaleDown": {
            "stabilizationWindowSeconds": 0,
            "policies": [
                {"type": "Pods", "value": 1, "periodSeconds": 60},
                {"type": "Percent", "value": 50, "periodSeconds": 60},
            ],
            "selectPolicy": "Min",
        },
    }
    await autoscaled(cluster, load, behavior=behavior)
    assert size(cluster) == 3
    assert conditions(cluster)["ScalingLimited"] == ("True", "ScaleUpLimit")
    await cluster.run(45)
    assert size(cluster) == 3  # one in a minute
    await cluster.run(30)
    assert size(cluster) == 4
    load.millicores = 200  # on target: what came in the last minute would be taken off the allowance
    await cluster.run(90)
    load.millicores = 1
    await cluster.run(30)
    assert size(cluster) == 3
    await cluster.run(60)
    assert size(cluster) == 2
    assert conditions(cluster)["ScalingLimited"] == ("True", "ScaleDownLimit")


async def test_a_direction_can_be_switched_off(cluster: Cluster, load: Load) -> None:
    load.millicores = 1
    await autoscaled(
        cluster, load, behavior={"scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Disabled"}}
    )
    await cluster.run(600)
    assert size(cluster) == 2
    assert conditions(cluster)["ScalingLimited"] == ("True", "ScaleDownLimit")


async def test_going_up_can_be_stabilized_too(cluster: Cluster, load: Load) -> None:
    load.millicores = 100
    policies = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 120, "policies": policies}}
    await autoscaled(cluster, load, behavior=behavior)
    await cluster.run(120)
    load.millicores = 200
    await cluster.run(60)
    assert size(cluster) == 2
    assert conditions(cluster)["AbleToScale"] == ("True", "ScaleUpStabilized")
    await cluster.run(90)
    assert size(cluster) == 4


async def test_the_tolerance_is_a_field(cluster: Cluster, load: Load) -> None:
    load.millicores = 125  # 62 % of the requests, for a target of 50 %
    await autoscaled(cluster, load, behavior={"scaleUp": {"tolerance": "0.3"}})
    await cluster.run(60)
    assert size(cluster) == 2
    await cluster.client.patch(HPAS, "default", "web", {"spec": {"behavior": {"scaleUp": {"tolerance": "0.2"}}}})
    await cluster.run(60)
    assert size(cluster) == 3


async def test_two_autoscalers_of_the_same_pods_stand_still(cluster: Cluster, load: Load) -> None:
    load.millicores = 100
    await autoscaled(cluster, load)
    first = cluster.get(HPAS, "web")
    await cluster.create(HPAS, "twin", spec=first["spec"])
    load.millicores = 400
    await cluster.run(60)
    assert size(cluster) == 2
    said = "pods by selector app=web are controlled by multiple HPAs: [default/twin default/web]"
    assert said in cluster.events("AmbiguousSelector")
    assert said in cluster.events("FailedComputeMetricsReplicas")
    assert conditions(cluster)["ScalingActive"] == ("False", "AmbiguousSelector")
    await cluster.client.delete(HPAS, "default", "twin")
    await cluster.run(60)
    assert size(cluster) > 2


async def test_what_has_no_size_cannot_be_scaled(cluster: Cluster) -> None:
    await autoscaled(cluster, None, scaleTargetRef={"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"})
    assert "the server could not find the requested resource" in cluster.events("FailedGetScale")


async def test_a_custom_resource_is_scaled_at_its_paths(cluster: Cluster) -> None:
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    version = {"name": "v1", "served": True, "subresources": {"scale": paths}}
    spec = {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "versions": [version]}
    crds = "customresourcedefinitions.apiextensions.k8s.io"
    await cluster.create(crds, "widgets.example.com", spec=spec)
    done = {"conditions": [{"type": "Established", "status": "True"}]}
    await cluster.edit(crds, "widgets.example.com", {"status": done})
    await cluster.create("widgets.example.com", "web", spec={"size": 15})
    await autoscaled(cluster, None, scaleTargetRef={"apiVersion": "example.com/v1", "kind": "Widget", "name": "web"})
    await cluster.run(20)
    assert cluster.get("widgets.example.com", "web")["spec"] == {"size": 10}
    assert "selector is required" in cluster.events("SelectorRequired")
