"""Machines that fail and come back, where a level says so and the cluster can do it (capability `node-power`)."""

from __future__ import annotations

from kuartui.checks.world import World
from kuartui.errors import ClusterError
from kuartui.game.level import NodeSwitch
from kuartui.game.spec import ResourceQuery
from kuartui.message import later


async def switch(action: NodeSwitch, world: World) -> None:
    """Do it to each node that is meant. ClusterError when there is none."""
    nodes = await world.api.list(await world.api.resource("Node"), selector=action.selector)
    names = {str(node["metadata"]["name"]) for node in nodes.items}
    if action.running is not None:
        wanted = action.running
        namespace = wanted.namespace or world.level.namespace
        query = ResourceQuery(kind="Pod", namespace=namespace, selector=wanted.selector, name=wanted.name)
        names &= {str(pod["spec"].get("nodeName", "")) for pod in await world.objects.all(query)}
    if not names:
        raise ClusterError(later("there is no node to {action}", action=action.action))
    if world.machines is None:
        raise ClusterError(
            later("machines of this cluster cannot be switched off"), hint=later("play it with --cluster embedded")
        )
    for name in sorted(names):
        await world.machines.switch(name, action.action)
