"""Chapter 16: a custom resource, and an operator that makes Deployments of it with nothing but its service account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.embedded.book.conftest import Book

Obj = dict[str, Any]
KUARDS = "kuards.demo.kuar.io"

OPERATOR = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kuards.demo.kuar.io}
spec:
  group: demo.kuar.io
  scope: Namespaced
  names: {plural: kuards, singular: kuard, kind: Kuard}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, minimum: 0}, image: {type: string}}}
          status: {type: object, properties: {ready: {type: integer}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: operator}
rules:
- {apiGroups: [demo.kuar.io], resources: [kuards], verbs: [get, list, watch]}
- {apiGroups: [demo.kuar.io], resources: [kuards/status], verbs: [update]}
- {apiGroups: [apps], resources: [deployments], verbs: [get, create, patch]}
- {apiGroups: [""], resources: [events], verbs: [create]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator}
spec:
  selector: {matchLabels: {app: operator}}
  template:
    metadata: {labels: {app: operator}}
    spec:
      serviceAccountName: operator
      containers:
      - name: c
        image: kuartui/operator:1
        readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 2}
"""
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "operator"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "operator"},
    "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "default"}],
}


@pytest.fixture
async def shop(book: Book) -> Book:
    """The operator runs, with nothing to do."""
    await book.apply(OPERATOR)
    await book.client.create("clusterrolebindings.rbac.authorization.k8s.io", BINDING)
    await book.wait(30)
    return book


async def order(book: Book, name: str, **spec: Any) -> None:
    body = {"apiVersion": "demo.kuar.io/v1", "kind": "Kuard", "metadata": {"name": name, "namespace": "default"}}
    await book.client.create(KUARDS, {**body, "spec": spec})


def kuard(book: Book, name: str) -> Obj:
    found = book.client.get(KUARDS, "default", name)
    assert found is not None
    return found


async def test_what_is_ordered_is_made_kept_and_reported(shop: Book) -> None:
    assert len(shop.ready(app="operator")) == 1
    await order(shop, "shop", size=2)
    await shop.wait(20)
    assert len(shop.ready(app="shop")) == 2
    assert kuard(shop, "shop")["status"] == {"ready": 2}
    (owner,) = shop.get("Deployment", "shop")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Kuard", "shop", True)
    await shop.client.patch(
        KUARDS, "default", "shop", {"spec": {"size": 3, "image": "gcr.io/kuar-demo/kuard-amd64:green"}}
    )
    await shop.wait(60)
    assert len(shop.ready(app="shop")) == 3
    assert {pod["spec"]["containers"][0]["image"] for pod in shop.pods(app="shop")} == {
        "gcr.io/kuar-demo/kuard-amd64:green"
    }
    await shop.patch("Deployment", "shop", {"spec": {"replicas": 1}})  # a player's hand: put right again
    await shop.wait(30)
    assert kuard(shop, "shop")["status"] == {"ready": 3}
    await shop.client.delete("deployments.apps", "default", "shop")
    await shop.wait(30)
    assert len(shop.ready(app="shop")) == 3
    await shop.client.delete(KUARDS, "default", "shop")
    await shop.wait(60)
    assert shop.pods(app="shop") == []
    events = [event["message"] for event in shop.client.list("events", "default") if event["reason"] == "Created"]
    assert "Created deployment shop" in events


async def test_a_deployment_of_somebody_else_is_left_alone(shop: Book) -> None:
    template = {
        "metadata": {"labels": {"app": "taken"}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "taken"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "taken", "namespace": "default"}}
    await shop.client.create("deployments.apps", {**body, "spec": spec})
    await order(shop, "taken", size=5)
    await shop.wait(30)
    assert len(shop.pods(app="taken")) == 1
    assert not shop.ready(app="operator")  # its last round failed
    (pod,) = shop.pods(app="operator")
    said = await shop.logs(pod["metadata"]["name"])
    assert "error: deployment default/taken exists and is not controlled by this object" in said


async def test_without_its_rights_it_says_which_are_missing_and_recovers(shop: Book) -> None:
    await shop.client.delete("clusterrolebindings.rbac.authorization.k8s.io", "", "operator")
    await order(shop, "shop", size=1)
    await shop.wait(30)
    assert not shop.ready(app="operator")
    (pod,) = shop.pods(app="operator")
    assert "error: LIST /apis/demo.kuar.io/v1/kuards: 403 Forbidden" in await shop.logs(pod["metadata"]["name"])
    await shop.client.create("clusterrolebindings.rbac.authorization.k8s.io", BINDING)
    await shop.wait(30)
    assert len(shop.ready(app="shop")) == 1
