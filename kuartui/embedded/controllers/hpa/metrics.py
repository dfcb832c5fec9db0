"""What each kind of metric in an autoscaler's spec says.

After computeReplicasForMetric and the metrics clients of pkg/controller/podautoscaler. The cluster has no custom or
external metrics API, and says so as Kubernetes does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.hpa.replicas import TOLERANCE, MetricError, Question, Tolerances
from kuartui.embedded.meta import quantity
from kuartui.embedded.meta.gofmt import go_selector
from kuartui.embedded.metrics.usage import Usage

Obj = dict[str, Any]

NO_METRICS_API = (
    "unable to fetch metrics from resource metrics API: the server could not find the requested resource "
    "(get pods.metrics.k8s.io)"
)
NO_CUSTOM_API = (
    "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
)


class Scene(Struct, frozen=True):
    """What metrics are judged against."""

    hpa: Obj
    pods: list[Obj]
    current: int
    usage: Usage | None
    now: datetime

    @property
    def tolerances(self) -> Tolerances:
        """The spec's own, or the controller's."""
        behavior = self.hpa["spec"].get("behavior") or {}
        found = [(behavior.get(way) or {}).get("tolerance") for way in ("scaleUp", "scaleDown")]
        up, down = (TOLERANCE if value is None else float(quantity.parse(value)) for value in found)
        return Tolerances(up, down)


class Measured(Struct, frozen=True):
    """A metric that says something."""

    replicas: int
    name: str
    status: Obj


class Failed(Struct, frozen=True):
    """One that does not: the condition's reason and the text."""

    reason: str
    text: str
    what: str = ""
    """Which metric it was, as the sum of all failures names it."""

    @property
    def told(self) -> str:
        """The failure as `computeReplicasForMetric` (pkg/controller/podautoscaler/horizontal.go) hands it on."""
        return f"failed to get {self.what} metric value: {self.text}" if self.what else self.text


def evaluate(scene: Scene, spec: Obj) -> Measured | Failed:
    """What one entry of spec.metrics says."""
    kind = spec["type"]
    if kind == "Resource":
        return _resource(scene, spec["resource"], "resource", kind)
    if kind == "ContainerResource":
        return _resource(scene, spec["containerResource"], "containerResource", kind)
    if kind == "Pods":
        name = spec["pods"]["metric"]["name"]
        return Failed("FailedGetPodsMetric", f"unable to get metric {name}: {NO_CUSTOM_API}", "pods")
    if kind == "Object":
        name, described = spec["object"]["metric"]["name"], spec["object"]["describedObject"]
        where = f"{described['kind']} on {objects.namespace_of(scene.hpa)} {described['name']}"
        return Failed("FailedGetObjectMetric", f"unable to get metric {name}: {where}/{NO_CUSTOM_API}", "object")
    if kind == "External":
        name, selector = spec["external"]["metric"]["name"], spec["external"]["metric"].get("selector")
        text = (
            f"unable to get external metric {objects.namespace_of(scene.hpa)}/{name}/{go_selector(selector)}: unable to "
            "fetch metrics from external metrics API: the server could not find the requested resource "
            f"(get {name}.external.metrics.k8s.io)"
        )
        return Failed("FailedGetExternalMetric", text, f"{name} external")
    return Failed("InvalidMetricSourceType", f'unknown metric source type "{kind}"')


def _resource(scene: Scene, source: Obj, field: str, kind: str) -> Measured | Failed:
    resource, target, container = source["name"], source["target"], source.get("container", "")
    reason = f"FailedGet{kind}Metric"
    what = f"{container} container" if container else f"{resource} resource"
    by_value = target.get("averageValue") is not None
    word = "usage" if by_value else "utilization"
    if not by_value and target.get("averageUtilization") is None:
        text = "invalid resource metric source: neither an average utilization target nor an average value "
        return Failed(reason, f"{text}(usage) target was set", what)
    try:
        found = _ask(scene, resource, container, target, by_value=by_value)
    except MetricError as error:
        return Failed(reason, f"failed to get {resource} {word}: {error}", what)
    current: Obj = {"averageValue": str(quantity.milli(found.average))}
    if found.utilization is not None:
        current["averageUtilization"] = found.utilization
    body: Obj = {"name": resource, "current": current}
    if container:
        body["container"] = container
    label = "container resource" if container else "resource"
    name = f"{resource} resource" if by_value else f"{resource} {label} utilization (percentage of request)"
    return Measured(found.replicas, name, {"type": kind, field: body})


def _ask(scene: Scene, resource: str, container: str, target: Obj, *, by_value: bool) -> Any:
    if scene.usage is None:
        raise MetricError(f"unable to get metrics for resource {resource}: {NO_METRICS_API}")
    everything = scene.usage.pods()
    namespace = objects.namespace_of(scene.hpa)
    uses = {
        name: everything[namespace, name]
        for name in (objects.name_of(pod) for pod in scene.pods)
        if (namespace, name) in everything
    }
    question = Question(resource, container, scene.current, scene.pods, uses, scene.now, scene.tolerances)
    if by_value:
        return question.by_value(quantity.parse(target["averageValue"]).milli)
    return question.by_utilization(target["averageUtilization"])
