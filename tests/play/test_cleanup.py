"""What cleaning up asks of a cluster; what it leaves there is shown by proofs and in test_shared.py."""

from __future__ import annotations

from typing import Any

from kuartui.cluster.clock import SteppedClock
from kuartui.cluster.resources import Resource, known
from kuartui.cluster.rest import Listing
from kuartui.game.labels import LABEL_ATTEMPT
from kuartui.game.level import Right
from kuartui.play.cleanup import Undo
from kuartui.play.pace import Pace

SHARED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": "default", "uid": "1"}}


class SlowCluster:
    """A namespace of the attempt that takes its time to go, and a ConfigMap of it elsewhere, which may come back when
    the namespace is gone."""

    fence = None

    def __init__(self, polls: int, *, comes_back: bool, stays: bool = False) -> None:
        self.polls, self.comes_back, self.stays = polls, comes_back, stays
        self.rounds = 0  # through all kinds
        self.maps = [SHARED]

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        found = known(kind, api_version)
        assert found is not None
        return found

    async def listable(self) -> list[Resource]:
        self.rounds += 1
        return [await self.resource(kind) for kind in ("Namespace", "ConfigMap")]

    def _namespaces(self) -> list[dict[str, Any]]:
        labels = {LABEL_ATTEMPT: "x"}
        return [{"kind": "Namespace", "metadata": {"name": "place", "labels": labels}}] if self.polls > 0 else []

    async def list(self, resource: Resource, **_: Any) -> Listing:
        return Listing(self._namespaces() if resource.kind == "Namespace" else [*self.maps], "1")

    async def read(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        self.polls -= 1
        if not self.polls and self.comes_back:
            self.maps = [SHARED]
        return self._namespaces()[0] if self._namespaces() else None

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> bool:
        if resource.kind == "ConfigMap" and not self.stays:
            self.maps = []
        return True


def undo(cluster: SlowCluster, clock: SteppedClock) -> Undo:
    return Undo(cluster, clock, "x", before={"inventory": {}, "objects": {}})  # type: ignore[arg-type]


async def test_waiting_for_a_namespace_asks_for_nothing_else() -> None:
    cluster, clock = SlowCluster(20, comes_back=False), SteppedClock()
    assert await Pace(clock).through(undo(cluster, clock).run()) == []
    assert cluster.polls <= 0  # it waited
    assert cluster.rounds == 2  # through all kinds: to find what is left over, and to see that nothing is


async def test_what_comes_back_while_the_namespace_goes_is_not_overlooked() -> None:
    cluster, clock = SlowCluster(20, comes_back=True), SteppedClock()
    assert await Pace(clock).through(undo(cluster, clock).run()) == []
    assert cluster.maps == []


async def test_what_does_not_go_is_told() -> None:
    cluster, clock = SlowCluster(20, comes_back=True, stays=True), SteppedClock()
    assert await Pace(clock).through(undo(cluster, clock).run()) == ["ConfigMap default/made"]
    assert clock.monotonic() >= 120.0  # nor was it given up early


class BrokenNames:
    """Its Corefile is not what it was. CoreDNS reads it when a pod begins; one that is deleted is followed by another,
    which is ready two seconds later."""

    fence = None

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.file, self.read_by = "broken", {"old": "broken"}
        self.begun: dict[str, float] = {"old": -10.0}

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        found = known(kind, api_version)
        assert found is not None
        return found

    async def listable(self) -> list[Resource]:
        return []

    async def list(self, resource: Resource, namespace: str = "", *, selector: str = "") -> Listing:
        if resource.kind != "Pod":
            return Listing([], "1")
        assert (namespace, selector) == ("kube-system", "k8s-app=kube-dns")
        return Listing([self._pod(uid) for uid in self.begun], "1")

    def _pod(self, uid: str) -> dict[str, Any]:
        ready = "True" if self.clock.monotonic() >= self.begun[uid] + 2 else "False"
        conditions = [{"type": "Ready", "status": ready}]
        return {"metadata": {"name": f"coredns-{uid}", "uid": uid}, "status": {"conditions": conditions}}

    async def read(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        return corefile(self.file)

    async def request(self, method: str, path: str, *, params: dict[str, str], body: dict[str, Any]) -> None:
        assert (method, path) == ("PUT", "/api/v1/namespaces/kube-system/configmaps/coredns")
        self.file = body["data"]["Corefile"]

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> bool:
        assert name == f"coredns-{uid}"
        del self.begun[uid], self.read_by[uid]
        self.begun["new"], self.read_by["new"] = self.clock.monotonic(), self.file
        return True


def corefile(text: str) -> dict[str, Any]:
    metadata = {"name": "coredns", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": text}}


async def test_names_are_found_again_when_the_corefile_is_back() -> None:
    clock = SteppedClock()
    cluster = BrokenNames(clock)
    objects = {"ConfigMap v1 kube-system/coredns": corefile("whole")}
    undo = Undo(
        cluster,  # type: ignore[arg-type]
        clock,
        "x",
        before={"inventory": {}, "objects": objects},
        rights=[Right(verbs=("update",), resources=("configmaps",))],
        alone=False,
    )
    assert await Pace(clock).through(undo.run()) == []
    assert cluster.read_by == {"new": "whole"}
    assert clock.monotonic() >= 2  # it waited until somebody answers
