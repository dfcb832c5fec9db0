"""Puts a level into a cluster and waits until it is as its author meant it to be.

What is made is noted before it is made, so that a crash leaves nothing unknown behind. Objects are created plainly,
as a colleague would have done it; a later stage replaces what an earlier one made. Only namespaces and cluster-scoped
objects carry our label: the rest goes with its namespace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kuartui.catalog.manifests import load
from kuartui.checks.objects import Objects
from kuartui.checks.state import judge_expression, observe
from kuartui.checks.world import PROBE_POD, World
from kuartui.cluster.base import Progress, Report
from kuartui.cluster.clock import Clock
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import MANAGER, STRICT, Api, Obj, no_kind
from kuartui.errors import ApiError, ClusterError, NoKindError
from kuartui.game.guards import guards_of
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER, SYSTEM_NAMESPACE
from kuartui.game.level import Level, Question, Ref, Settle, Stage
from kuartui.game.spec import ResourceQuery
from kuartui.message import later
from kuartui.play.switches import switch
from kuartui.progress.store import Made

PROBE_IMAGE = "busybox:1.36"
POLL = 0.1  # seconds on the cluster's clock
ROAD_SECONDS = 5.0  # for the API's name to be looked up, and a connection to it
SERVED_SECONDS = 10.0  # from a definition to its kind
SLOW = 5.0  # a cluster that has to pull images may take so many times longer
HEARD = 3.0  # seconds until every node of a real cluster has heard of what became ready, and leads to it
COMMON = ("default", "kube-system")  # there in every cluster; a level may put something into them
#: what has to settle, and which kinds of objects make it: the others are not watched for it
WORKLOADS = {
    "Deployment": {"Deployment"},
    "StatefulSet": {"StatefulSet"},
    "DaemonSet": {"DaemonSet"},
    "Job": {"Job", "CronJob"},
}


class Setup:
    """Sets `world.level` up. `note` is told of every object before it is made, `opened` of each namespace once it is
    there: a level may close it again at once, and who is to play in it has to be let in before."""

    def __init__(
        self,
        world: World,
        attempt_id: str,
        *,
        note: Callable[[list[Made]], None],
        report: Report,
        patient: bool,
        opened: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.world, self.attempt_id = world, attempt_id
        self.api: Api = world.api
        self.level: Level = world.level
        self.clock: Clock = world.clock
        self.objects: Objects = world.objects
        self._note, self._report, self._opened = note, report, opened
        self._shared = patient
        self._patience = SLOW if patient else 1.0
        self.namespaces: set[str] = {self.level.namespace}
        self._kinds: set[str] = set()  # of what was made
        self._ill: Obj | None = None  # the pod that was not as it should be when last looked

    async def run(self) -> None:
        """Do every stage. ClusterError when the level does not come up as it should."""
        stages = self.level.setup.all_stages()
        total = len(stages) + 1
        self._report(Progress(later("making room"), 0, total))
        await self._namespace(self.level.namespace)
        if needs_probe(self.level):
            await self._probe()
        for index, stage in enumerate(stages, 1):
            self._report(Progress(later("setting the level up"), index, total))
            await self.stage(stage)
        self._report(Progress(later("ready"), total, total))

    async def stage(self, stage: Stage) -> None:
        """Apply, delete, settle."""
        await self.change(stage)
        await self.settle(stage.settle)

    async def change(self, stage: Stage) -> None:
        """Apply, delete and switch nodes, without waiting."""
        await self.apply(load(Path(self.level.folder), stage.apply, self.level))
        for ref in stage.delete:
            await self.delete(ref)
        for action in stage.nodes:
            await switch(action, self.world)

    async def apply(self, objects: Iterable[Obj]) -> None:
        """Create or replace objects, namespaces first, else in the order given."""
        found = list(objects)
        for obj in (item for item in found if item["kind"] == "Namespace"):
            self.namespaces.add(obj["metadata"]["name"])
            await self._namespace(obj["metadata"]["name"], obj)
        for obj in (item for item in found if item["kind"] != "Namespace"):
            await self._put(obj)
            if obj["kind"] == "CustomResourceDefinition":
                await self._wait_for(partial(self._unserved, obj), SERVED_SECONDS * self._patience, 0.0)

    async def _unserved(self, definition: Obj) -> str:
        """What is missing before objects of a newly defined kind can be made: an API server takes a moment to say that
        it has it, and one more to have it."""
        spec, name = definition["spec"], definition["metadata"]["name"]
        self.api.forget_kinds()
        for version in spec["versions"]:
            if not version["served"]:
                continue
            try:
                resource = await self.api.resource(spec["names"]["kind"], f"{spec['group']}/{version['name']}")
                await self.api.list(resource, limit=1)
            except NoKindError as error:
                return f"{name} is not served yet ({error.message})"
            except ApiError as error:
                if error.code == 404:  # else it is: there may be a converter that cannot be asked
                    return f"{name} is not served yet ({error.message})"
        return ""

    async def delete(self, ref: Ref) -> None:
        resource = await self.api.resource(ref.kind, ref.api_version)
        await self.api.delete(resource, ref.namespace or self.level.namespace, ref.name)

    async def _namespace(self, name: str, manifest: Obj | None = None) -> None:
        resource = await self.api.resource("Namespace")
        live = await self.api.read(resource, "", name)
        if live is not None:
            owner = (live["metadata"].get("labels") or {}).get(LABEL_ATTEMPT)
            if owner == self.attempt_id:
                if manifest is not None:  # made before as a bare place; now it gets the labels that the level means
                    await self._replace(resource, _labelled(manifest, LABEL_ATTEMPT, self.attempt_id))
                return
            if name in COMMON and not self._shared:
                return
            if name in COMMON:  # what the player makes there would never be told from what is somebody else's
                raise ClusterError(
                    later("namespace {name} is every cluster's own: nobody plays in it where others are", name=name),
                    hint=later("play it with --cluster embedded"),
                )
            raise ClusterError(
                later("namespace {name} is there already and not ours", name=name),
                hint=later("play on the embedded cluster, or remove the namespace"),
            )
        obj = manifest or {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self._create(resource, _labelled(obj, LABEL_ATTEMPT, self.attempt_id))
        if self._opened is not None:
            await self._opened(name)

    async def _put(self, obj: Obj) -> None:
        self._kinds.add(obj["kind"])
        resource = await self.api.resource(obj["kind"], obj["apiVersion"])
        if resource.namespaced:
            namespace = obj["metadata"].get("namespace") or self.level.namespace
            obj = {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
        if not resource.namespaced or (self._shared and obj["metadata"]["namespace"] in COMMON):
            obj = _labelled(obj, LABEL_ATTEMPT, self.attempt_id)
        try:
            await self._create(resource, obj)
        except ApiError as error:
            if error.code == 404 and not error.reason:  # no such path: the group is served, this version of it is not
                raise no_kind(obj["kind"], obj["apiVersion"]) from error
            if error.reason != "AlreadyExists":
                raise _blame(obj, error) from error
            await self._replace(resource, obj)

    async def _create(self, resource: Resource, obj: Obj) -> Obj:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        made = Made(resource.kind, resource.api_version, namespace, metadata["name"])
        self._note([made])
        live = await self.api.create(resource, obj, strict=True)
        if self._shared and (
            not namespace or namespace in COMMON
        ):  # what goes with no namespace has to be known again without its label
            self._note([replace(made, uid=str(live["metadata"].get("uid", "")))])
        return live

    async def _replace(self, resource: Resource, obj: Obj) -> None:
        metadata = obj["metadata"]
        live = await self.api.read(resource, metadata.get("namespace", ""), metadata["name"])
        version = (live or {}).get("metadata", {}).get("resourceVersion", "")
        path = resource.path(metadata.get("namespace", ""), metadata["name"])
        body = {**obj, "metadata": {**metadata, "resourceVersion": version}}
        try:
            await self.api.request("PUT", path, params={"fieldManager": MANAGER, **STRICT}, body=body)
        except ApiError as error:
            raise _blame(obj, error) from error

    async def _probe(self) -> None:
        """The pod from which checks look at the network as a client would."""
        namespaces, pods = await self.api.resource("Namespace"), await self.api.resource("Pod")
        if await self.api.read(namespaces, "", SYSTEM_NAMESPACE) is None:
            own: Obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
            await self._create(namespaces, _labelled(own, LABEL_CHECKER, "true"))
        if await self.api.read(pods, SYSTEM_NAMESPACE, PROBE_POD) is None:
            await self._create(pods, _labelled(_probe_pod(), LABEL_CHECKER, "true"))
        await self._wait_for(self._probe_trouble, 60 * self._patience, 0.0)

    async def _probe_trouble(self) -> str:
        query = ResourceQuery(kind="Pod", namespace=SYSTEM_NAMESPACE, name=PROBE_POD)
        found = await self.objects.all(query)
        if not found or not _pod_settled(found[0]):
            return "the probe pod does not start"
        return await self._road_trouble() if self._shared else ""

    async def _road_trouble(self) -> str:
        """What keeps the probe pod from the API by its name. Nodes that were just woken, or a DNS that an earlier level
        had broken, take their time."""
        try:
            result = await self.world.run("pod", ("nc", "-z", "-w", "2", "kubernetes.default", "443"), ROAD_SECONDS)
        except ClusterError as error:
            return error.message
        return "" if result.exit_code == 0 else "the cluster's DNS does not lead to its own API yet"

    # --- settling -----------------------------------------------------------------------------------------------

    async def settle(self, settle: Settle) -> None:
        """Wait until everything that should run does, and nothing moves any more."""

        async def trouble() -> str:
            return await self._trouble(settle)

        quiet = max(settle.quiet, HEARD) if self._shared else settle.quiet
        await self._wait_for(trouble, settle.timeout * self._patience, quiet)

    async def _wait_for(self, trouble: Callable[[], Any], timeout: float, quiet: float) -> None:
        begun = self.clock.monotonic()
        calm_since: float | None = None
        while True:
            problem = await trouble()
            now = self.clock.monotonic()
            if problem:
                calm_since = None
                if now - begun > timeout:
                    said = await self._last_words()
                    if said:
                        problem = later("{problem}; the last line of its log: {said}", problem=problem, said=said)
                    raise ClusterError(
                        later(
                            "{name} did not settle within {timeout:g} s: {problem}",
                            name=self.level.name,
                            timeout=timeout,
                            problem=problem,
                        )
                    )
            else:
                calm_since = now if calm_since is None else calm_since
                if now - calm_since >= quiet - 1e-6:
                    return
            await self.clock.sleep(POLL)

    async def _last_words(self) -> str:
        """What the pod that is not ready wrote last; empty where it wrote nothing, or never ran."""
        if self._ill is None:
            return ""
        metadata, status = self._ill["metadata"], self._ill.get("status", {})
        statuses = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        container = next((item["name"] for item in statuses if not item["ready"] and item["restartCount"]), "")
        if not container:
            return ""
        try:
            log = await self.api.logs(metadata["namespace"], metadata["name"], container=container, tail=1)
        except ApiError as error:
            return error.message
        return log.strip()[:200]

    async def _trouble(self, settle: Settle) -> str:
        """What is not as it should be yet, in a few words; empty when all is well."""
        self._ill = None
        workloads = [kind for kind, makers in WORKLOADS.items() if makers & self._kinds]
        for namespace in sorted(self.namespaces):
            for pod in await self.objects.all(ResourceQuery(kind="Pod", namespace=namespace)):
                if not _allowed(pod, settle) and not _pod_settled(pod):
                    self._ill = pod
                    return f"pod {namespace}/{pod['metadata']['name']} is not ready{_pod_reason(pod)}"
            for kind in workloads:
                for obj in await self.objects.all(ResourceQuery(kind=kind, namespace=namespace)):
                    if not _allowed(obj, settle) and not _workload_settled(obj):
                        return f"{kind} {namespace}/{obj['metadata']['name']} is not ready"
        if settle.until is not None:
            evidence = await observe(settle.until, self.world, "")
            until = settle.until
            verdict = judge_expression(until.cel, until.observe, tuple(until.resources), evidence)
            if not verdict.holds:
                return verdict.observed or verdict.problem or f"not yet: {until.cel}"
        return ""


def needs_probe(level: Level) -> bool:
    """Whether some question is asked from the probe pod."""
    questions = [item for item in (*level.checks, *guards_of(level)) if isinstance(item, Question)]
    return any(getattr(question.spec, "from_", None) == "pod" for question in questions)


def _probe_pod() -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": PROBE_POD, "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {"name": PROBE_POD, "image": PROBE_IMAGE, "command": ["sh", "-c", "while true; do sleep 3600; done"]}
            ],
        },
    }


def _labelled(obj: Obj, label: str, value: str) -> Obj:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), label: value}}}


def _blame(obj: Obj, error: ApiError) -> ClusterError:
    name = f"{obj['kind']} {obj['metadata']['name']}"
    return ClusterError(later("the cluster did not take {name} of this level: {why}", name=name, why=error.message))


def _allowed(obj: Obj, settle: Settle) -> bool:
    return any(str(obj["metadata"]["name"]).startswith(prefix) for prefix in settle.allow)


def _pod_settled(pod: Obj) -> bool:
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded":
        return True
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or [])
    return ready and not pod["metadata"].get("deletionTimestamp")


def _pod_reason(pod: Obj) -> str:
    """Why a pod is not ready, in Kubernetes' words; empty when it does not say."""
    status = pod.get("status", {})
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        for state in (container.get("state") or {}).values():
            if state.get("reason"):
                return f" ({state['reason']}{': ' + state['message'] if state.get('message') else ''})"
    for condition in status.get("conditions") or []:
        if condition["status"] != "True" and condition.get("message"):
            return f" ({condition['message']})"
    return ""


def _workload_settled(obj: Obj) -> bool:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    if obj["kind"] == "Job":
        return any(item["type"] == "Complete" and item["status"] == "True" for item in status.get("conditions") or [])
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return False
    if obj["kind"] == "DaemonSet":
        return bool(status.get("numberReady", 0) == status.get("desiredNumberScheduled", -1))
    wanted = spec.get("replicas", 1)
    return bool(status.get("readyReplicas", 0) == wanted and status.get("updatedReplicas", 0) == wanted)
