"""Machines that fail and come back, where a level says so and the cluster can do it (capability `node-power`)."""

from __future__ import annotations

from kuartui.checks.world import World
from kuartui.cluster.rest import Api
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
    for name in sorted(names):
        await _post(world.api, name, action.action)


async def repair(api: Api) -> None:
    """Every machine runs again, with its kubelet: pods of one that does not cannot be taken away."""
    nodes = await api.list(await api.resource("Node"))
    for node in nodes.items:
        for action in ("recover", "resume"):
            await _post(api, str(node["metadata"]["name"]), action)


async def _post(api: Api, node: str, action: str) -> None:
    await api.request("POST", f"/kuartui.dev/nodes/{node}/{action}", body={})
