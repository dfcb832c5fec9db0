"""What happens after all is green, to see whether it stays so: a pod dies or falls ill, a workload restarts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from kuartui.catalog.manifests import load
from kuartui.checks import execute, state
from kuartui.checks.evidence import NotThereError
from kuartui.checks.world import World
from kuartui.cluster.rest import STRATEGIC_PATCH
from kuartui.errors import ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, RESTARTED
from kuartui.game.level import Drill, Meddling
from kuartui.game.spec import Place, ResourceQuery
from kuartui.message import later
from kuartui.play.switches import switch
from kuartui.translate import tr

EXEC_SECONDS = 10.0


class Performance:
    """One drill. What follows from it is for the checks to see, and for `until` where the drill has one."""

    def __init__(self, drill: Drill, world: World) -> None:
        self.drill, self._world = drill, world
        self._where: Place | None = None  # the very container in which something is to be undone

    async def begin(self) -> None:
        """Do it. Raises KuartuiError where it cannot be done."""
        drill, api, level = self.drill, self._world.api, self._world.level
        if drill.delete_pod is not None:
            target = drill.delete_pod
            namespace = target.namespace or level.namespace
            query = ResourceQuery(kind="Pod", namespace=namespace, selector=target.selector, name=target.name)
            pods = await api.resource("Pod")
            for pod in (await self._world.objects.all(query))[:1]:
                await api.delete(pods, namespace, pod["metadata"]["name"])
        if drill.restart is not None:
            ref = drill.restart
            resource = await api.resource(ref.kind, ref.api_version)
            stamp = {RESTARTED: self._world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
            patch = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
            await api.patch(resource, ref.namespace or level.namespace, ref.name, patch, content_type=STRATEGIC_PATCH)
        for obj in load(Path(level.folder), drill.apply, level):
            resource = await api.resource(obj["kind"], obj["apiVersion"])
            if resource.namespaced:
                metadata = {"namespace": level.namespace, **obj["metadata"]}
            else:  # it goes when the attempt does
                labels = {**(obj["metadata"].get("labels") or {}), **await self._mark()}
                metadata = {**obj["metadata"], "labels": labels}
            await api.apply(resource, {**obj, "metadata": metadata})
        for action in drill.nodes:
            await switch(action, self._world)
        if drill.exec_ is not None:
            await self._meddle(drill.exec_)

    async def _mark(self) -> dict[str, str]:
        """The label of the attempt, as the level's namespace has it."""
        api, level = self._world.api, self._world.level
        live = await api.read(await api.resource("Namespace"), "", level.namespace) or {}
        labels = live.get("metadata", {}).get("labels") or {}
        return {LABEL_ATTEMPT: labels[LABEL_ATTEMPT]} if LABEL_ATTEMPT in labels else {}

    async def _meddle(self, meddling: Meddling) -> None:
        try:
            namespace, pod, container = await self._world.place(meddling.from_)
            self._where = Place(namespace=namespace, pod=pod, container=container)
            result = await self._world.run(self._where, meddling.command, EXEC_SECONDS)
        except NotThereError as error:
            raise ClusterError(str(error)) from error
        if result.exit_code:
            said = (result.stderr or result.stdout).strip().splitlines()[-1:]
            words = later("a drill's command in pod {pod} ended with exit code {code}", pod=pod, code=result.exit_code)
            raise ClusterError(later("{text} ({why})", text=words, why=said[0]) if said else words)

    async def missing(self) -> str:
        """What `until` or `data` still waits for, in a few words; empty once it is true, or where there is neither."""
        until, data = self.drill.until, self.drill.data
        if until is not None:
            verdict = state.judge(until, await state.observe(until, self._world, ""))
        elif data is not None:
            try:
                verdict = execute.judge_data(data, await execute.observe_data(data, self._world, ""))
            except NotThereError as absent:
                return tr(absent.args[0])
        else:
            return ""
        asked = until or data
        return "" if verdict.holds else verdict.observed or verdict.problem or f"not yet: {asked.cel if asked else ''}"

    async def recover(self) -> None:
        """Undo what another process began and did not undo. Nobody knows in which container that was: in all of them,
        also those that are not ready; where nothing was done, it does nothing or fails."""
        meddling = self.drill.exec_
        if meddling is None or not meddling.undo:
            return
        where = meddling.from_
        namespace = where.namespace or self._world.level.namespace
        query = ResourceQuery(kind="Pod", namespace=namespace, selector=where.selector, name=where.pod)
        for pod in await self._world.objects.all(query):
            place = Place(namespace=namespace, pod=pod["metadata"]["name"], container=where.container)
            with suppress(NotThereError):
                await self._world.run(place, meddling.undo, EXEC_SECONDS)

    async def end(self) -> None:
        """Undo what was done in a container. Where that has gone, so has what was done to it."""
        where, self._where = self._where, None
        if where is None or self.drill.exec_ is None or not self.drill.exec_.undo:
            return
        try:
            await self._world.run(where, self.drill.exec_.undo, EXEC_SECONDS)
        except NotThereError:
            return
