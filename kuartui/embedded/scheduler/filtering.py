"""Runs the plugins over the nodes: who would do, and why the others would not.

The order of the plugins is that of the default profile; the first that refuses a node gives the reason.
"""

from __future__ import annotations

from collections.abc import Iterable

from kuartui.embedded.scheduler.framework import Diagnosis, OnlyNodes, Plugin, Refusal, Trial
from kuartui.embedded.scheduler.nodes import NodeInfo, PodOnNode
from kuartui.embedded.scheduler.plugins.devices import DynamicResources
from kuartui.embedded.scheduler.plugins.fit import NodePorts, NodeResourcesFit
from kuartui.embedded.scheduler.plugins.interpod import InterPodAffinity
from kuartui.embedded.scheduler.plugins.node import NodeAffinity, NodeName, NodeUnschedulable, TaintToleration
from kuartui.embedded.scheduler.plugins.spread import PodTopologySpread
from kuartui.embedded.scheduler.plugins.volumes import NodeVolumeLimits, VolumeBinding, VolumeRestrictions, VolumeZone

PLUGINS: tuple[Plugin, ...] = (
    NodeUnschedulable(),
    NodeName(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    VolumeRestrictions(),
    NodeVolumeLimits(),
    VolumeBinding(),
    VolumeZone(),
    PodTopologySpread(),
    InterPodAffinity(),
    DynamicResources(),
)
BY_NAME = {plugin.name: plugin for plugin in PLUGINS}
WAKES = {plugin.name: plugin.wakes for plugin in PLUGINS}

Nominated = dict[str, list[PodOnNode]]


def prepare(trial: Trial) -> Refusal | list[OnlyNodes]:
    """The looks at the pod before any node."""
    limits = []
    for plugin in PLUGINS:
        found = plugin.prepare(trial)
        if isinstance(found, Refusal):
            return found
        if found is not None:
            limits.append(found)
    return limits


def check(trial: Trial, info: NodeInfo) -> Refusal | None:
    """All plugins on one node."""
    for plugin in PLUGINS:
        refusal = plugin.filter(trial, info)
        if refusal is not None:
            return refusal
    return None


def check_with_nominated(trial: Trial, info: NodeInfo, nominated: Iterable[PodOnNode]) -> Refusal | None:
    """The same, with the pods that were promised room here and are at least as important."""
    rivals = [rival for rival in nominated if rival.uid != trial.entry.uid and rival.priority >= trial.entry.priority]
    if rivals:
        fuller = info.copy()
        for rival in rivals:
            fuller.add(rival)
        crowded = trial.with_node(fuller)
        prepare(crowded)
        refusal = check(crowded, fuller)
        if refusal is not None:
            return refusal
    return check(trial, info)


def feasible(trial: Trial, nominated: Nominated) -> tuple[list[NodeInfo], Diagnosis]:
    """The nodes that would do, and the diagnosis for when there is none."""
    diagnosis = Diagnosis(len(trial.nodes))
    limits = prepare(trial)
    if isinstance(limits, Refusal):
        diagnosis.before = ", ".join(limits.reasons)
        diagnosis.by_node = dict.fromkeys(trial.nodes, limits)
        diagnosis.plugins.add(limits.plugin)
        return [], diagnosis
    found = []
    for name, info in trial.nodes.items():
        outside = [limit.plugin for limit in limits if name not in limit.names]
        if outside:
            reason = f"node(s) didn't satisfy plugin(s) [{' '.join(outside)}]"
            refusal: Refusal | None = Refusal((reason,), outside[0], final=True)
        else:
            refusal = check_with_nominated(trial, info, nominated.get(name, ()))
        if refusal is None:
            found.append(info)
        else:
            diagnosis.by_node[name] = refusal
            diagnosis.plugins.add(refusal.plugin)
    return found, diagnosis
