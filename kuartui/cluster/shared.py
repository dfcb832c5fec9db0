"""Playing on a cluster that is not made anew for each attempt: kind, minikube, or a context that the player named.

An attempt lives in namespaces of its own. We act as the checker, the player has an account with just the rights that
the level needs, both with kubeconfigs in our own state directory. The administrator's credentials are used to make
and remove these accounts, and for nothing else.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from kuartui import paths
from kuartui.cluster import identity
from kuartui.cluster.access import Access, read_access
from kuartui.cluster.base import (
    ClusterStatus,
    Kind,
    Progress,
    Report,
    silent,
)
from kuartui.cluster.capabilities import detect
from kuartui.cluster.clock import Clock, RealClock
from kuartui.cluster.fence import CLUSTERS_OWN, Fence, labelled_by_us
from kuartui.cluster.holds import GATES, HELD_SECONDS, let_go, refused, take_off
from kuartui.cluster.kubeconfigs import slug
from kuartui.cluster.listing import all_listed, kept_by_the_server
from kuartui.cluster.machines import LocalMachines
from kuartui.cluster.pins import Held, Image, full_name, known_images
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError, ClusterError, ElsewhereError
from kuartui.game.labels import LABEL_ATTEMPT, SYSTEM_NAMESPACE
from kuartui.game.level import Right
from kuartui.message import later

POLL = 0.2
RETRIES = 300
PATIENCE = 120.0  # seconds for a namespace to go away
TELLING = "kube-system"  # the namespace whose uid tells clusters apart
OPENING_SECONDS = 15.0  # for an API server to notice that a gate is gone


class SharedSandbox:
    """The part of a shared cluster where one attempt is played."""

    disposable = False

    def __init__(self, cluster: SharedCluster, sandbox_id: str) -> None:
        self._cluster = cluster
        self.id = sandbox_id
        self.clock = cluster.clock
        self._folder = cluster.folder / sandbox_id
        self._namespaces: set[str] = set()

    @property
    def checker_kubeconfig(self) -> Path:
        return self._folder / "checker.kubeconfig"

    def fence(self, rights: Iterable[Right]) -> Fence | None:
        return Fence(rights, identity.attempt_of(self.id))

    def machines(self, api: Api) -> LocalMachines | None:
        return self._cluster.machines

    async def open(self) -> None:
        """Make the accounts, or find them, and write fresh credentials. Right after another attempt its namespace may
        still be on its way out, and has to go first."""
        for _ in range(RETRIES):
            try:
                return await self._open()
            except ApiError as error:
                if not identity.on_its_way_out(error):
                    raise
            await asyncio.sleep(POLL)  # not on the cluster's clock, which may stand still now: nobody steps it here
        return await self._open()

    async def _open(self) -> None:
        async with self._cluster.admin() as api:
            await identity.make_checker(api)
            await identity.make_account(api, self.id)
            text = await identity.kubeconfig(api, identity.CHECKER, SYSTEM_NAMESPACE)
            paths.write_private(self.checker_kubeconfig, text)
            if self._players.exists():  # what he holds is as old as what we held
                await self._write_players(api, read_access(self._players).namespace)

    async def admit(self, namespaces: Iterable[str], rights: Iterable[Right]) -> None:
        self._namespaces |= set(namespaces)
        async with self._cluster.admin() as api:
            await identity.let_in(api, self.id, sorted(self._namespaces), rights)

    async def player_kubeconfig(self, namespace: str) -> Path:
        async with self._cluster.admin() as api:
            return await self._write_players(api, namespace)

    @property
    def _players(self) -> Path:
        return self._folder / "player.kubeconfig"

    async def _write_players(self, api: Api, namespace: str) -> Path:
        return paths.write_private(self._players, await identity.kubeconfig(api, self.id, namespace))

    async def reset(self, report: Report = silent, *, head: float = 0.0) -> None: ...

    async def present(self) -> None: ...

    async def copy(self) -> SharedSandbox:
        raise NotImplementedError  # it is never asked for: the cluster does not copy

    async def close(self) -> None:
        async with self._cluster.admin() as api:
            await identity.remove(api, self.id)
            await gone(api, self.clock, await _labelled(api, identity.attempt_of(self.id)))
        shutil.rmtree(self._folder, ignore_errors=True)


class SharedCluster:
    """What all of them share; subclasses say how the cluster comes up and what leads to it."""

    kind: Kind = "context"
    copies = False

    def __init__(self, name: str, *, clock: Clock | None = None) -> None:
        self.name = name
        self.clock = clock or RealClock()
        self._capabilities: frozenset[str] | None = None

    @property
    def ref(self) -> str:
        return self.kind

    @property
    def folder(self) -> Path:
        """Kubeconfigs of attempts on this cluster."""
        return paths.state_dir() / "shared" / slug(self.ref)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def access(self) -> Access:
        """The administrator's way in."""
        raise NotImplementedError

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Api]:
        """A fenced client with the administrator's rights."""
        async with Api(self.access()) as api:
            api.fence = Fence()
            yield api

    @property
    def capabilities(self) -> frozenset[str]:
        """As detected by `up`."""
        return self._capabilities or frozenset()

    @property
    def machines(self) -> LocalMachines | None:
        """Those of its nodes, where kuartui can switch them off."""
        return None

    @property
    def within_reach(self) -> frozenset[str]:
        return self.capabilities

    async def up(self, report: Report = silent) -> None:
        """See that it answers, that we may do what we must, and what it can do."""
        await self.wake(report)
        await self._look_around(report)

    async def _look_around(self, report: Report) -> None:
        """See what it can do, unless that is known."""
        if self._capabilities is not None:
            return
        await self.prepare_probe(report)
        async with self.admin() as api:
            report(Progress(later("looking at what {name} can do", name=self.name)))
            self._capabilities = await detect(api, self.clock, report)
            if self.machines is not None:
                self._capabilities |= {"node-power"}

    async def wake(self, report: Report = silent) -> None:
        async with self.admin() as api:
            await self._must_administrate(api)

    async def prepare_probe(self, report: Report) -> None:
        """Before it is tried what the cluster can do. One that is not ours brings its own images."""

    async def _must_administrate(self, api: Api) -> None:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await api.request("POST", path, body=review)
        if not answer.get("status", {}).get("allowed"):
            raise ClusterError(
                later(
                    "you may not administrate {name}, and kuartui needs it: it makes namespaces and accounts",
                    name=self.name,
                ),
                hint=later("use a context with cluster-admin, or play with --cluster embedded"),
            )

    async def down(self, report: Report = silent) -> None:
        await self.reset(report)

    async def reset(self, report: Report = silent) -> None:
        """Remove everything to which we gave our label, whichever attempt it is of, and nothing else."""
        report(Progress(later("removing what kuartui made on {name}", name=self.name)))
        async with self.admin() as api:
            await gone(api, self.clock, await _labelled(api, ""))
            await gone(api, self.clock, await _labelled(api, "", namespaced=True))
            await gone(api, self.clock, [("", "Namespace", SYSTEM_NAMESPACE, "", "")])
            await identity.remove_checker(api)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def images(self, wanted: Iterable[Image]) -> list[tuple[str, str, Held]]:
        """Node, image and what it is there, for each of these that a node has by its tag."""
        async with self.admin() as api:
            nodes = (await api.list(await api.resource("Node"))).items
        items = [*wanted]
        return [
            (str(node["metadata"]["name"]), item.image, item.held(names))
            for node in nodes
            for names in known_images(node)
            for item in items
            if full_name(item.image) in {full_name(name) for name in names}
        ]

    async def provide(self, needs: Iterable[str], images: Iterable[str], report: Report = silent) -> None:
        """A cluster that is not ours stays as it is."""

    async def status(self) -> ClusterStatus:
        try:
            access = self.access()
            async with Api(access) as api:
                version = await api.get("/version")
                nodes = len((await api.list(await api.resource("Node"))).items)
        except ClusterError as error:
            return ClusterStatus("broken", error.message)
        facts = {"context": access.context}
        return ClusterStatus("ready", "", str(version.get("gitVersion", "")), nodes, access.server, facts)

    async def sandbox(
        self, sandbox_id: str, *, fast: bool = False, head: float = 0.0, report: Report = silent
    ) -> SharedSandbox:
        if fast:
            raise ClusterError(
                later("time is real on this cluster"), hint=later("--cluster embedded can make it pass faster")
            )
        report(Progress(later("making an account for this attempt")))
        sandbox = SharedSandbox(self, sandbox_id)
        await sandbox.open()
        return sandbox

    @asynccontextmanager
    async def apart(self, count: int) -> AsyncIterator[list[SharedCluster]]:
        await self.up()
        yield [self]

    async def find(self, sandbox_id: str, *, uid: str = "") -> SharedSandbox | None:
        """Always there: what is missing of it is made again, so that it can be removed in order. Gates of the attempt
        that do not even let us in have to go for that."""
        await self._must_be(uid)
        sandbox = SharedSandbox(self, sandbox_id)
        until = self.clock.monotonic() + OPENING_SECONDS
        while True:
            try:
                await sandbox.open()
            except ApiError as error:
                if not refused(error) or self.clock.monotonic() > until:
                    raise
                await self._open_gates(identity.attempt_of(sandbox_id))
                await self.clock.sleep(POLL)
                continue
            return sandbox

    async def _must_be(self, uid: str) -> None:
        """A name leads wherever a kubeconfig says today. What was noted on one cluster must never be undone on another:
        there it would be somebody else's."""
        if not uid:
            return
        async with self.admin() as api:
            found = await api.read(await api.resource("Namespace"), "", TELLING)
        if found is None or found["metadata"].get("uid") != uid:
            raise ElsewhereError(
                later("{cluster} is not the cluster any more where this attempt was begun", cluster=self.ref),
                hint=later("have it lead there again, or, if that one is gone: kuartui level finish --abandon"),
            )

    async def _open_gates(self, attempt: str) -> None:
        async with self.admin() as api:
            for version, kind, name, namespace, uid in await _labelled(api, attempt):
                if kind in GATES:
                    await api.delete(await api.resource(kind, version), namespace, name, uid=uid)


Left = tuple[str, str, str, str, str]  # api version, kind, name, namespace, uid


async def _labelled(api: Api, attempt: str, *, namespaced: bool = False) -> list[Left]:
    """Namespaces and cluster-scoped objects to which we gave our label (of one attempt, or of any), in the order to
    remove them; or those in the namespaces that stay."""
    selector = f"{LABEL_ATTEMPT}={attempt}" if attempt else LABEL_ATTEMPT
    found: list[Left] = []
    resources = [resource for resource in await api.listable() if resource.namespaced == namespaced]
    async with aclosing(all_listed(api, resources, selector=selector, strict=kept_by_the_server)) as objects:
        async for resource, obj in objects:
            metadata = obj["metadata"]
            name, namespace, uid = metadata["name"], metadata.get("namespace", ""), str(metadata.get("uid", ""))
            stays = resource.kind == "Namespace" and name in CLUSTERS_OWN
            if uid and not stays and namespace != SYSTEM_NAMESPACE and labelled_by_us(obj):  # figures have no uid
                found.append((resource.api_version, resource.kind, name, namespace, uid))
    return sorted(found, key=lambda item: (item[1] not in GATES, item[1] != "Namespace"))


async def gone(api: Api, clock: Clock, objects: Iterable[Left]) -> None:
    """Delete them and wait until they are away. ClusterError names what stays."""
    waiting = list(objects)
    begun, held_until = clock.monotonic(), HELD_SECONDS
    asked: set[Left] = set()
    while waiting:
        for item in waiting:
            version, kind, name, namespace, uid = item
            if item not in asked and await _accepted(api, await api.resource(kind, version), namespace, name, uid):
                asked.add(item)
        left = [item for item in waiting if await api.read(await api.resource(item[1], item[0]), item[3], item[2])]
        since = clock.monotonic() - begun
        if left and since > PATIENCE:
            raise ClusterError(
                later("{kind} {name} does not go away", kind=left[0][1], name=left[0][2]),
                hint=f"kubectl describe {left[0][1]}",
            )
        if left and since > held_until:
            held_until = since + HELD_SECONDS / 3
            await let_go(api, [name for _, kind, name, _, _ in left if kind == "Namespace"])
            for version, kind, name, namespace, _ in left:
                live = await api.read(await api.resource(kind, version), namespace, name)
                if live is not None:
                    await take_off(api, {"kind": kind, "apiVersion": version, **live})
        waiting = left
        if waiting:
            await clock.sleep(POLL)


async def _accepted(api: Api, resource: Resource, namespace: str, name: str, uid: str) -> bool:
    """Whether the server took the deletion; if not, it may in a moment."""
    try:
        await api.delete(resource, namespace, name, uid=uid)
    except ApiError as error:
        if not refused(error):
            raise
        return False
    return True
