"""What happens after all is green, to see whether it stays so: a pod dies, a workload restarts, something comes."""

from __future__ import annotations

from pathlib import Path

from kuartui.catalog.manifests import load
from kuartui.checks.world import World
from kuartui.cluster.rest import STRATEGIC_PATCH
from kuartui.game.level import Drill
from kuartui.game.spec import ResourceQuery
from kuartui.play.switches import switch

RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def perform(drill: Drill, world: World) -> None:
    """Do it. What follows is for the checks to see."""
    api, level = world.api, world.level
    if drill.delete_pod is not None:
        target = drill.delete_pod
        namespace = target.namespace or level.namespace
        query = ResourceQuery(kind="Pod", namespace=namespace, selector=target.selector, name=target.name)
        pods = await api.resource("Pod")
        for pod in (await world.objects.all(query))[:1]:
            await api.delete(pods, namespace, pod["metadata"]["name"])
    if drill.restart is not None:
        ref = drill.restart
        resource = await api.resource(ref.kind, ref.api_version)
        stamp = {RESTARTED: world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
        patch = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        await api.patch(resource, ref.namespace or level.namespace, ref.name, patch, content_type=STRATEGIC_PATCH)
    for obj in load(Path(level.folder), drill.apply, level):
        resource = await api.resource(obj["kind"], obj["apiVersion"])
        metadata = {"namespace": level.namespace, **obj["metadata"]}
        await api.apply(resource, {**obj, "metadata": metadata})
    for action in drill.nodes:
        await switch(action, world)
