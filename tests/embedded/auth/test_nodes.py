"""What somebody may do who comes as a node: the Node authorizer and NodeRestriction."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.node_restriction import NodeRestriction
from tests.embedded.api.server import Server

Obj = dict[str, Any]

NODES, SPACE = "/api/v1/nodes", "/api/v1/namespaces/default"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
MERGE = {"content_type": "application/merge-patch+json"}


class Fleet(Server):
    """Nodes n1 and n2; the pod p1 on n1 uses the secret s1, the account a1 and the claim c1, bound to v1."""

    def __init__(self) -> None:
        super().__init__()
        self.rest.admission.add(NodeRestriction(self.store))

    async def fill(self) -> None:
        for name in ("n1", "n2"):
            await self.json("POST", NODES, {"metadata": {"name": name}})
        for name in ("s1", "s2"):
            await self.json("POST", f"{SPACE}/secrets", {"metadata": {"name": name}})
        await self.json("POST", f"{SPACE}/serviceaccounts", {"metadata": {"name": "a1"}})
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "v1"}
        await self.json("POST", f"{SPACE}/persistentvolumeclaims", {"metadata": {"name": "c1"}, "spec": claim})
        env = [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}}]
        for number in (1, 2):
            spec = {
                "nodeName": f"n{number}",
                "serviceAccountName": f"a{number}",
                "containers": [{"name": "c", "image": "i", "env": env if number == 1 else []}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": f"c{number}"}}],
            }
            await self.json("POST", f"{SPACE}/pods", {"metadata": {"name": f"p{number}"}, "spec": spec})

    async def as_node(self, method: str, target: str, body: Any = None, code: int = 200, **headers: str) -> Obj:
        """A request of the kubelet of n1."""
        found = {"impersonate_user": "system:node:n1", "impersonate_group": "system:nodes", **headers}
        return await self.json(method, target, body, code=code, **found)

    async def refusal(self, method: str, target: str, body: Any = None, **headers: str) -> str:
        answer = await self.as_node(method, target, body, code=403, **headers)
        return str(answer["message"])


@pytest.fixture
async def fleet() -> Fleet:
    made = Fleet()
    await made.fill()
    return made


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (f"{SPACE}/secrets/s2", "no relationship found between node 'n1' and this object"),
        (f"{SPACE}/secrets", "No Object name found"),
        ("/api/v1/secrets", "can only read namespaced object of this type"),
        (NODES, "node 'n1' cannot read all nodes, only its own Node object"),
        (f"{NODES}/n2", "node 'n1' cannot read 'n2', only its own Node object"),
        (f"{SPACE}/pods", "can only list/watch pods with spec.nodeName field selector"),
        (
            f"{SPACE}/pods?fieldSelector=spec.nodeName%3Dn2",
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (f"{SPACE}/pods/p2", "no relationship found between node 'n1' and this object"),
        (f"{SPACE}/persistentvolumeclaims", "can only get individual resources of this type"),
        (f"{LEASES}/default/leases/n1", 'can only access leases in the "kube-node-lease" system namespace'),
        (
            f"{LEASES}/kube-node-lease/leases/n2",
            "can only access node lease with the same name as the requesting node",
        ),
    ],
)
async def test_a_node_is_told_why_it_may_not_see_something(fleet: Fleet, target: str, why: str) -> None:
    message = await fleet.refusal("GET", target)
    assert message.endswith(f": {why}")
    assert 'User "system:node:n1" cannot ' in message


@pytest.mark.parametrize(
    "target",
    [
        f"{SPACE}/secrets/s1",
        f"{SPACE}/pods/p1",
        f"{SPACE}/persistentvolumeclaims/c1",
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1",
        f"{NODES}/n1",
        f"{NODES}?fieldSelector=metadata.name%3Dn1",
        f"{SPACE}/services",
    ],
)
async def test_a_node_sees_what_its_pods_need(fleet: Fleet, target: str) -> None:
    await fleet.as_node("GET", target)


async def test_a_node_that_lost_its_pod_loses_the_secret(fleet: Fleet) -> None:
    await fleet.json("DELETE", f"{SPACE}/pods/p1?gracePeriodSeconds=0")
    assert "no relationship found" in await fleet.refusal("GET", f"{SPACE}/secrets/s1")


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"foo": "bar"}, ""),
        ({"node.kubernetes.io/anything": "x"}, ""),
        (
            {"node-restriction.kubernetes.io/safe": "yes"},
            "is not allowed to modify labels: node-restriction.kubernetes.io/safe",
        ),
        (
            {"node-role.kubernetes.io/a": "", "k8s.io/b": ""},
            "is not allowed to modify labels: k8s.io/b, node-role.kubernetes.io/a",
        ),
    ],
)
async def test_a_node_may_set_some_labels_of_its_own(fleet: Fleet, labels: dict[str, str], why: str) -> None:
    patch = {"metadata": {"labels": labels}}
    if why:
        assert await fleet.refusal("PATCH", f"{NODES}/n1", patch, **MERGE) == f'nodes "n1" is forbidden: {why}'
    else:
        await fleet.as_node("PATCH", f"{NODES}/n1", patch, **MERGE)
    text = 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'
    assert await fleet.refusal("PATCH", f"{NODES}/n2", patch, **MERGE) == text


async def test_a_node_may_not_lose_its_taints(fleet: Fleet) -> None:
    taint = {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    await fleet.json("PATCH", f"{NODES}/n1", taint, **MERGE)
    message = await fleet.refusal("PATCH", f"{NODES}/n1", {"spec": {"taints": None}}, **MERGE)
    assert message == 'nodes "n1" is forbidden: node "n1" is not allowed to modify taints'


async def test_pods_of_other_nodes_are_not_a_nodes_business(fleet: Fleet) -> None:
    await fleet.as_node("PATCH", f"{SPACE}/pods/p1/status", {"status": {"phase": "Running"}}, **MERGE)
    message = await fleet.refusal("PATCH", f"{SPACE}/pods/p2/status", {"status": {"phase": "Running"}}, **MERGE)
    assert message.endswith('node "n1" can only update pod status for pods with spec.nodeName set to itself')
    message = await fleet.refusal("DELETE", f"{SPACE}/pods/p2")
    assert message.endswith('node "n1" can only delete pods with spec.nodeName set to itself')
    pod = {"metadata": {"name": "new"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}}
    assert "can only create mirror pods" in await fleet.refusal("POST", f"{SPACE}/pods", pod)
    pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    pod["spec"]["volumes"] = [{"name": "v", "secret": {"secretName": "s"}}]
    message = await fleet.refusal("POST", f"{SPACE}/pods", pod)
    assert message.endswith('node "n1" can not create pods that reference secrets')


async def test_a_role_that_is_not_there_is_told_of(fleet: Fleet) -> None:
    reference = {"kind": "Role", "name": "lost", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": reference}
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    await fleet.json("POST", path, binding)
    answer = await fleet.json("GET", f"{SPACE}/pods", code=403, impersonate_user="ann")
    assert answer["message"].endswith(
        'in the namespace "default": RBAC: role.rbac.authorization.k8s.io "lost" not found'
    )
