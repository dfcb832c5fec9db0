"""`traffic` and `metric`: numbers that were measured, by a load generator and by the kubelets.

A load generator (`kuartui/loadgen`) prints one JSON object per second on standard output:

    {"ok": 41, "failed": 0, "p50_ms": 12.5, "p95_ms": 40.1}

requests answered well and badly (or not at all) in that second, and how long the good ones took. Other lines are
skipped.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from kuartui.checks.evidence import Evidence, NotThereError, Obj, Verdict
from kuartui.checks.kind import QuestionKind, every, nothing
from kuartui.checks.state import judge_expression
from kuartui.errors import ApiError
from kuartui.game.quantity import quantity
from kuartui.game.questions import METRIC_VARIABLES, TRAFFIC_VARIABLES
from kuartui.game.spec import MetricSpec, TrafficSpec
from kuartui.message import later

if TYPE_CHECKING:
    from kuartui.checks.world import World


async def observe(spec: TrafficSpec, world: World, _name: str) -> Evidence:
    namespace, pod, container = await world.place(spec.from_)
    try:
        text = await world.api.logs(
            namespace, pod, container=container, since=max(1, round(spec.window)), timestamps=True
        )
    except ApiError as error:
        raise NotThereError(later("no measurements from pod {pod}", pod=pod)) from error
    return measured(text, spec.window, world.clock.now())


def measured(log: str, window: float, now: datetime) -> Evidence:
    """Add up the reports in a log with timestamps. NotThereError when there are none."""
    ok = failed = 0
    p50 = p95 = 0.0
    newest: datetime | None = None
    for line in log.splitlines():
        stamp, _, text = line.partition(" ")
        report = _report(text)
        if report is None:
            continue
        good = int(report["ok"])
        ok, failed = ok + good, failed + int(report["failed"])
        p50, p95 = p50 + good * float(report.get("p50_ms", 0)), p95 + good * float(report.get("p95_ms", 0))
        newest = _time(stamp) or newest
    if newest is None:
        raise NotThereError(later("no measurements yet"))
    total = ok + failed
    return {
        "ok": ok,
        "failed": failed,
        "total": total,
        "rate": total / max(1.0, window),
        "share": ok / total if total else 0.0,
        "p50": p50 / ok if ok else 0.0,
        "p95": p95 / ok if ok else 0.0,
        "age": max(0.0, (now - newest).total_seconds()),
    }


def _report(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        report = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return report if isinstance(report, dict) and isinstance(report.get("ok"), int) and "failed" in report else None


def _time(stamp: str) -> datetime | None:
    """With its offset: a kubelet writes the time of its node's zone."""
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return when if when.tzinfo else None


def judge(spec: TrafficSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, TRAFFIC_VARIABLES, evidence)


async def observe_metric(spec: MetricSpec, world: World, _name: str) -> Evidence:
    api, namespace = world.api, spec.namespace or world.level.namespace
    try:
        pods = await api.list(await api.resource("PodMetrics"), namespace, selector=spec.selector)
        nodes = await api.list(await api.resource("NodeMetrics"))
    except ApiError as error:
        raise NotThereError(later("no metrics yet")) from error
    return {"pods": [_usage(item) for item in pods.items], "nodes": [_usage(item) for item in nodes.items]}


def _usage(item: Obj) -> Obj:
    """Cores and bytes, summed over the containers of a pod."""
    parts = [part["usage"] for part in item.get("containers", [])] or [item.get("usage", {})]
    return {
        "name": item["metadata"]["name"],
        "cpu": sum(quantity(part.get("cpu", "0")) for part in parts),
        "memory": sum(quantity(part.get("memory", "0")) for part in parts),
    }


def judge_metric(spec: MetricSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, METRIC_VARIABLES, evidence)


TRAFFIC = QuestionKind("traffic", nothing, observe, judge, period=every)
METRIC = QuestionKind("metric", nothing, observe_metric, judge_metric, period=every)
