"""What a new cluster has, and what comes back."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kuartui.embedded import data
from kuartui.embedded.api.events import EventRecorder
from kuartui.embedded.api.local import LocalClient
from kuartui.embedded.api.request import SYSTEM
from kuartui.embedded.bootstrap import GROUPS, bootstrap
from tests.embedded.api.server import Server

ROLES = "clusterroles.rbac.authorization.k8s.io"


@pytest.fixture
async def client() -> LocalClient:
    server = Server()
    return LocalClient(server.rest, EventRecorder(server.store, server.clock), SYSTEM, "kube-apiserver")


def unstamped(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {**obj["metadata"], "uid": "", "creationTimestamp": "", "resourceVersion": ""}
    if "managedFields" in metadata:
        metadata["managedFields"] = [{**entry, "time": ""} for entry in metadata["managedFields"]]
    return {**obj, "metadata": metadata}


@pytest.mark.parametrize("plural", GROUPS)
async def test_the_default_policy_is_as_the_registry_makes_it(client: LocalClient, plural: str) -> None:
    stamps = {"uid", "creationTimestamp", "resourceVersion", "generation", "managedFields"}
    for kept in data.bootstrap()[plural]:
        plain = {key: value for key, value in kept["metadata"].items() if key not in stamps}
        made = await client.create(GROUPS[plural], {**kept, "metadata": plain})
        assert orjson.dumps(unstamped(made)) == orjson.dumps(kept)  # in the same order, too


async def test_a_new_cluster_has_its_policy_with_stamps_of_its_own(client: LocalClient) -> None:
    await bootstrap(client, bare=False)
    view, edit = client.get(ROLES, "", "view"), client.get(ROLES, "", "edit")
    assert view is not None
    assert edit is not None
    assert len({view["metadata"]["uid"], edit["metadata"]["uid"], ""}) == 3
    assert view["metadata"]["creationTimestamp"] == view["metadata"]["managedFields"][0]["time"] != ""
    kept = next(role for role in data.bootstrap()["clusterroles"] if role["metadata"]["name"] == "view")
    assert unstamped(view) == kept == unstamped(kept)  # the copy that all clusters begin with is untouched


async def test_the_next_start_brings_back_what_is_gone_and_nothing_else(client: LocalClient) -> None:
    await bootstrap(client, bare=False)
    before = client.store.revision
    await bootstrap(client, bare=False)
    assert client.store.revision == before
    await client.delete(ROLES, "", "view")
    await bootstrap(client, bare=False)
    assert client.get(ROLES, "", "view") is not None
    assert client.store.revision == before + 2
