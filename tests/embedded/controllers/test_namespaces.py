"""Namespaces: what they get when they come, and how they go."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.controllers.namespaces import NamespaceController
from kuartui.embedded.controllers.service_accounts import RootCAPublisher, ServiceAccountsController
from kuartui.embedded.meta.errors import StatusError
from tests.embedded.controllers.cluster import Cluster


async def namespace(cluster: Cluster) -> None:
    cluster.start(
        NamespaceController(cluster.client),
        ServiceAccountsController(cluster.client),
        RootCAPublisher(cluster.client, "PEM"),
    )
    await cluster.create("namespaces", "team", spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
    await cluster.run()


async def test_a_new_namespace_has_an_account_and_the_ca(cluster: Cluster) -> None:
    await namespace(cluster)
    assert cluster.get("serviceaccounts", "default", "team")
    assert cluster.get("configmaps", "kube-root-ca.crt", "team")["data"] == {"ca.crt": "PEM"}


async def test_both_come_back(cluster: Cluster) -> None:
    await namespace(cluster)
    await cluster.delete("serviceaccounts", "default", "team")
    await cluster.edit("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "forged"}}, "team")
    await cluster.run()
    assert cluster.get("serviceaccounts", "default", "team")
    assert cluster.get("configmaps", "kube-root-ca.crt", "team")["data"] == {"ca.crt": "PEM"}


async def test_deletion_takes_pods_first_and_everything_in_the_end(cluster: Cluster) -> None:
    await namespace(cluster)
    body = {"nodeName": "n1", "containers": [{"name": "c"}]}
    await cluster.create("pods", "p", "team", spec=body)
    await cluster.create("widgets.example.com", "w", "team", apiVersion="example.com/v1", kind="Widget")
    await cluster.delete("namespaces", "team")
    await cluster.run(0.1)
    assert cluster.get("pods", "p", "team")["metadata"]["deletionTimestamp"]
    assert cluster.get("widgets.example.com", "w", "team")
    found = {one["type"]: one for one in cluster.get("namespaces", "team")["status"]["conditions"]}
    assert found["NamespaceContentRemaining"]["reason"] == "SomeResourcesRemain"
    only_pods = "Some resources are remaining: pods. has 1 resource instances"
    assert found["NamespaceContentRemaining"]["message"] == only_pods
    await cluster.run()
    assert cluster.gone("namespaces", "team")
    assert not [one for resource in cluster.store.resources() for one in cluster.client.list(resource, "team")]


async def test_an_api_server_that_does_not_answer_keeps_it(cluster: Cluster) -> None:
    await namespace(cluster)
    spec = {"group": "a.b", "version": "v1", "service": {"namespace": "default", "name": "gone"}}
    body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "spec": spec}
    await cluster.create("apiservices.apiregistration.k8s.io", "v1.a.b", **body)
    await cluster.delete("namespaces", "team")
    await cluster.run()
    found = {one["type"]: one for one in cluster.get("namespaces", "team")["status"]["conditions"]}
    failure = found["NamespaceDeletionDiscoveryFailure"]
    assert (failure["status"], failure["reason"]) == ("True", "DiscoveryFailed")
    assert failure["message"] == (
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
        "a.b/v1: stale GroupVersion discovery: a.b/v1"
    )
    await cluster.delete("apiservices.apiregistration.k8s.io", "v1.a.b")
    await cluster.run()
    assert cluster.gone("namespaces", "team")


async def test_a_finalizer_keeps_it_and_the_conditions_say_so(cluster: Cluster) -> None:
    await namespace(cluster)
    await cluster.create("configmaps", "stuck", "team", metadata={"finalizers": ["example.com/hold"]})
    await cluster.delete("namespaces", "team")
    await cluster.run()
    found = {one["type"]: one for one in cluster.get("namespaces", "team")["status"]["conditions"]}
    remaining = found["NamespaceFinalizersRemaining"]
    assert remaining["status"] == "True"
    assert remaining["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    assert found["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    await cluster.edit("configmaps", "stuck", {"metadata": {"finalizers": None}}, "team")
    await cluster.run()
    assert cluster.gone("namespaces", "team")


async def test_what_could_not_be_deleted_is_tried_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a webhook for deletions does not answer for a while: nothing in the namespace tells of its return."""
    await namespace(cluster)
    await cluster.create("configmaps", "kept", "team")
    delete = cluster.memory.delete

    async def refuse(resource: str, space: str, name: str, **options: Any) -> None:
        if name == "kept":
            raise StatusError(500, "InternalError", "failed calling webhook")
        await delete(resource, space, name, **options)

    monkeypatch.setattr(cluster.memory, "delete", refuse)
    await cluster.delete("namespaces", "team")
    await cluster.run(30)
    found = {one["type"]: one for one in cluster.get("namespaces", "team")["status"]["conditions"]}
    assert found["NamespaceDeletionContentFailure"]["status"] == "True"
    monkeypatch.setattr(cluster.memory, "delete", delete)
    await cluster.run(60)
    assert cluster.gone("namespaces", "team")


async def test_what_somebody_else_holds_says_that_nothing_is_left(cluster: Cluster) -> None:
    await namespace(cluster)
    await cluster.edit("namespaces", "team", {"spec": {"finalizers": ["example.com/f", "kubernetes"]}})
    await cluster.delete("namespaces", "team")
    await cluster.run()
    found = cluster.get("namespaces", "team")
    assert found["spec"]["finalizers"] == ["example.com/f"]
    assert [(one["type"], one["status"], one["reason"]) for one in found["status"]["conditions"]] == [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted"),
        ("NamespaceContentRemaining", "False", "ContentRemoved"),
        ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers"),
    ]
