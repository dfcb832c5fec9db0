"""What belongs to the API server comes back."""

from __future__ import annotations

import pytest

from kuartui.embedded.bootstrap import ensure, kept
from kuartui.embedded.controllers.apiserver import ApiServerController
from tests.embedded.controllers.cluster import Cluster


@pytest.mark.parametrize(
    ("resource", "name", "namespace", "seconds"),
    [
        ("namespaces", "kube-node-lease", "", 60),
        ("services", "kubernetes", "default", 10),
        ("endpoints", "kubernetes", "default", 10),
        ("endpointslices.discovery.k8s.io", "kubernetes", "default", 10),
    ],
)
async def test_what_the_api_server_keeps_comes_back_in_its_interval(
    cluster: Cluster, resource: str, name: str, namespace: str, seconds: float
) -> None:
    for kept_resource, obj in kept():
        await ensure(cluster.client, kept_resource, obj)
    cluster.start(ApiServerController(cluster.client))
    await cluster.run(seconds / 2)
    cluster.store.delete(resource, namespace, name)
    await cluster.run(seconds / 2 - 1)
    assert cluster.gone(resource, name, namespace)
    await cluster.run(1)
    assert cluster.get(resource, name, namespace)


async def test_a_service_of_that_name_elsewhere_is_somebody_elses(cluster: Cluster) -> None:
    cluster.start(ApiServerController(cluster.client))
    await cluster.create("services", "kubernetes", "team")
    await cluster.delete("services", "kubernetes", "team")
    await cluster.run(20)
    assert cluster.gone("services", "kubernetes", "team")
