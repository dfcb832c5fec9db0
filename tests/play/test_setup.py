"""What a level brings is there when the next thing needs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.base import silent
from kuartui.cluster.clock import SteppedClock
from kuartui.cluster.resources import Resource, known
from kuartui.cluster.rest import MERGE_PATCH, Api, Listing, no_kind
from kuartui.errors import ApiError, ClusterError
from kuartui.game.level import Settle
from kuartui.game.spec import ResourceQuery
from kuartui.play.setup import HEARD, SERVED_SECONDS, Setup
from kuartui.progress.store import Store
from tests.play.conftest import Place, begin
from tests.play.test_shared import record_of

SHIP = Resource("Ship", "sea.example", "v1", "ships", namespaced=True)
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ships.sea.example"},
    "spec": {
        "group": "sea.example",
        "names": {"kind": "Ship", "plural": "ships"},
        "versions": [{"name": "v1", "served": True}, {"name": "v0", "served": False}],
    },
}
GULL = {"apiVersion": "sea.example/v1", "kind": "Ship", "metadata": {"name": "gull"}, "spec": {}}


class Server:
    """Says that it has the new kind `found` seconds after its definition, and has it after `served` seconds."""

    def __init__(self, clock: SteppedClock, *, found: float, served: float) -> None:
        self.clock, self.found, self.served = clock, found, served
        self.defined = 0.0
        self.made: dict[str, float] = {}

    def forget_kinds(self) -> None:
        pass

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        if kind != "Ship":
            return known(kind, api_version) or SHIP
        if self.clock.monotonic() < self.defined + self.found:
            raise no_kind(kind, api_version)
        return SHIP

    async def list(self, resource: Resource, *, limit: int) -> Listing:
        if self.clock.monotonic() < self.defined + self.served:
            raise ApiError("404 page not found", code=404)
        return Listing([], "1")

    async def create(self, resource: Resource, obj: dict[str, Any], *, strict: bool) -> dict[str, Any]:
        self.made[resource.kind] = self.clock.monotonic()
        return obj


async def brought(server: Server, clock: SteppedClock) -> None:
    level = Catalog.default().level("broken-selector")
    world: Any = SimpleNamespace(api=server, level=level, clock=clock, objects=None)
    setup = Setup(world, "a1", note=lambda _: None, report=silent, patient=False)
    applying = asyncio.ensure_future(setup.apply([DEFINITION, GULL]))
    while not applying.done():
        await asyncio.sleep(0)
        if clock.waited_for:
            await clock.advance(0.1)
    await applying


async def test_objects_of_a_new_kind_wait_until_it_is_served() -> None:
    clock = SteppedClock()
    server = Server(clock, found=0.5, served=1.2)
    await brought(server, clock)
    assert server.made["CustomResourceDefinition"] == 0
    assert 1.2 <= server.made["Ship"] < 1.4


async def test_a_kind_that_is_never_served_is_told() -> None:
    clock = SteppedClock()
    with pytest.raises(ClusterError, match=r"ships\.sea\.example is not served yet"):
        await brought(Server(clock, found=0.5, served=SERVED_SECONDS * 2), clock)


async def test_only_what_the_level_makes_is_watched_until_it_settles() -> None:
    clock = SteppedClock()
    asked: set[str] = set()

    class Watched:
        async def all(self, query: ResourceQuery) -> list[Any]:
            asked.add(query.kind)
            return []

    level = Catalog.default().level("broken-selector")
    world: Any = SimpleNamespace(api=Server(clock, found=0, served=0), level=level, clock=clock, objects=Watched())
    setup = Setup(world, "a1", note=lambda _: None, report=silent, patient=False)
    await setup.apply([{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "night"}, "spec": {}}])
    await setup.settle(Settle(timeout=5, quiet=0))
    assert asked == {"Pod", "Job"}  # a CronJob makes jobs


async def test_the_last_words_of_a_pod_that_does_not_get_ready_are_told() -> None:
    clock = SteppedClock()
    ill: Any = {
        "metadata": {"namespace": "wall", "name": "beacon-2"},
        "status": {
            "containerStatuses": [
                {"name": "lamp", "ready": True, "restartCount": 1},
                {
                    "name": "fire",
                    "ready": False,
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                },
            ]
        },
    }

    class Ill:
        async def all(self, query: ResourceQuery) -> list[Any]:
            return [ill] if query.kind == "Pod" else []

    class Talking(Server):
        async def logs(self, namespace: str, pod: str, *, container: str, tail: int) -> str:
            return f"{namespace} {pod} {container}: no oil\n"

    level = Catalog.default().level("broken-selector")
    world: Any = SimpleNamespace(api=Talking(clock, found=0, served=0), level=level, clock=clock, objects=Ill())
    settling = asyncio.ensure_future(
        Setup(world, "a1", note=lambda _: None, report=silent, patient=False).settle(Settle(timeout=5, quiet=0))
    )
    while not settling.done():
        await asyncio.sleep(0)
        if clock.waited_for:
            await clock.advance(1)
    with pytest.raises(ClusterError, match="CrashLoopBackOff.; the last line of its log: wall beacon-2 fire: no oil$"):
        await settling


class Settled:
    """A namespace in which all is well."""

    async def all(self, query: ResourceQuery) -> list[Any]:
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"namespace": "shop", "name": "web"}, "status": ready}] if query.kind == "Pod" else []


async def settling(clock: SteppedClock, *, patient: bool, quiet: float) -> float:
    """How long a level whose pods are ready takes to settle."""
    level = Catalog.default().level("broken-selector")
    world: Any = SimpleNamespace(api=Server(clock, found=0, served=0), level=level, clock=clock, objects=Settled())
    begun = clock.monotonic()
    setup = Setup(world, "a1", note=lambda _: None, report=silent, patient=patient)
    work = asyncio.ensure_future(setup.settle(Settle(timeout=5, quiet=quiet)))
    while not work.done():
        await asyncio.sleep(0)
        if clock.waited_for:
            await clock.advance(0.1)
    await work
    return clock.monotonic() - begun


async def test_nodes_of_a_real_cluster_get_time_to_hear_of_what_became_ready() -> None:
    """A Service leads nowhere for a second or two after its pods are ready: what asks it then is told wrongly."""
    clock = SteppedClock()
    assert await settling(clock, patient=False, quiet=0.5) == pytest.approx(0.5, abs=0.2)
    assert await settling(clock, patient=True, quiet=0.5) == pytest.approx(HEARD, abs=0.2)
    assert await settling(clock, patient=True, quiet=HEARD + 2) == pytest.approx(HEARD + 2, abs=0.2)


async def test_a_cluster_whose_dns_is_being_mended_is_waited_for(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes that were just woken, or what a level did to CoreDNS before."""
    monkeypatch.setattr("kuartui.play.setup.SLOW", 0.5)
    level = Catalog.default().level("target-port-mismatch")
    store = Store(tmp_path / "progress.sqlite3")
    async with Api.open(place.kubeconfig) as admin:
        deployments = await admin.resource("Deployment")
        await admin.patch(deployments, "kube-system", "coredns", {"spec": {"replicas": 0}}, content_type=MERGE_PATCH)
        await place.pace.pass_by(5)
        with pytest.raises(ClusterError, match="DNS does not lead to its own API yet"):
            await begin(place, level, record_of(level), store)
        await admin.patch(deployments, "kube-system", "coredns", {"spec": {"replicas": 2}}, content_type=MERGE_PATCH)
    store.close()
