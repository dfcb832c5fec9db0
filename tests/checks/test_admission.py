"""`admission` asks the API server with a dry run, also about kinds that come and go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kuartui.checks.answer import observe_admission
from kuartui.cluster.resources import Resource
from kuartui.errors import ApiError, ClusterError, NoKindError
from kuartui.game.spec import AdmissionSpec

TASTING = AdmissionSpec(object={"apiVersion": "cafe.example/v1", "kind": "Tasting", "metadata": {"name": "t"}})


class FakeApi:
    """What is `served` is known until kinds are forgotten; a create fails with `refusal`."""

    def __init__(self, *, served: bool = True, refusal: ClusterError | None = None) -> None:
        self.served, self.refusal = served, refusal
        self.known = True

    async def resource(self, kind: str, api_version: str) -> Resource:
        if not self.known and not self.served:
            raise NoKindError(f"this cluster has no kind {kind}")
        return Resource(kind, "cafe.example", "v1", "tastings")

    def forget_kinds(self) -> None:
        self.known = False

    async def create(self, _resource: Resource, _obj: dict[str, Any], *, dry_run: bool) -> None:
        assert dry_run
        if self.refusal is not None:
            raise self.refusal


async def admitted(api: FakeApi) -> bool:
    world = SimpleNamespace(api=api, level=SimpleNamespace(namespace="here"))
    return bool((await observe_admission(TASTING, world, "x"))["admitted"])  # type: ignore[arg-type]


async def test_what_is_taken_and_what_is_refused() -> None:
    assert await admitted(FakeApi())
    assert not await admitted(FakeApi(refusal=ApiError("spec.score: Invalid value", code=422)))


async def test_a_kind_whose_definition_is_gone_is_refused() -> None:
    assert not await admitted(FakeApi(served=False, refusal=ApiError("404 page not found", code=404)))


async def test_a_cluster_that_does_not_answer_says_nothing() -> None:
    for trouble in (ClusterError("cannot reach the cluster"), ApiError("namespaces not found", code=404)):
        with pytest.raises(ClusterError):
            await admitted(FakeApi(refusal=trouble))
