"""cluster-proportional-autoscaler: its formulas, and that it scales by its ConfigMap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kuartui.embedded.images.programs.proportional import replicas
from kuartui.embedded.network.http import Request, Response, reply
from tests.embedded.containers import World
from tests.embedded.images.test_demo import Api, account

NODES: list[dict[str, Any]] = [{"status": {"allocatable": {"cpu": "4"}}} for _ in range(4)]
NODES.append({"spec": {"unschedulable": True}, "status": {"allocatable": {"cpu": "3500m"}}})


@pytest.mark.parametrize(
    ("mode", "given", "wanted"),
    [
        ("linear", {"coresPerReplica": 256, "nodesPerReplica": 16}, 1),
        ("linear", {"coresPerReplica": 256, "nodesPerReplica": 16, "preventSinglePointFailure": True}, 2),
        ("linear", {"coresPerReplica": 5, "nodesPerReplica": 16}, 4),
        ("linear", {"nodesPerReplica": 1, "includeUnschedulableNodes": True}, 5),
        ("linear", {"nodesPerReplica": 1, "max": 3}, 3),
        ("linear", {"nodesPerReplica": 16, "min": 3}, 3),
        ("ladder", {"coresToReplicas": [[1, 1], [16, 3], [64, 9]], "nodesToReplicas": [[1, 1], [2, 2]]}, 3),
    ],
)
def test_replicas_follow_nodes_and_cores(mode: str, given: dict[str, Any], wanted: int) -> None:
    assert replicas(mode, given, NODES) == wanted


class Cluster(Api):
    """An API server with nodes, a Deployment and no ConfigMap yet."""

    def __init__(self, world: World) -> None:
        self.config: dict[str, str] | None = None
        self.replicas = 2
        super().__init__(world)

    async def handle(self, request: Request) -> Response:
        """Serve what the autoscaler asks for."""
        body = json.loads(request.body or b"{}")
        if request.path.endswith("/scale"):
            self.replicas = body["spec"]["replicas"] if request.method == "PUT" else self.replicas
            return reply(200, json.dumps({"spec": {"replicas": self.replicas}}), "application/json")
        if request.path == "/api/v1/nodes":
            return reply(200, json.dumps({"items": NODES}), "application/json")
        if request.method == "POST":
            self.config = body["data"]
        if self.config is None:
            return reply(404, json.dumps({"reason": "NotFound", "message": "not found"}), "application/json")
        return reply(200, json.dumps({"data": self.config}), "application/json")


async def test_it_makes_its_config_map_and_scales(world: World) -> None:
    api = Cluster(world)
    env = {"KUBERNETES_SERVICE_HOST": "kubernetes.default.svc"}
    defaults = '--default-params={"linear":{"nodesPerReplica":16}}'
    args = ("--namespace=garden", "--configmap=dns", "--target=deployment/coredns", defaults, "--v=2")
    image = "registry.k8s.io/cpa/cluster-proportional-autoscaler:1.8.4"
    scaler = await world.start(image, args=args, env=env, mounts=(account(world, api),))
    await world.clock.advance(1)
    assert api.config == {"linear": '{"nodesPerReplica":16}'}
    assert api.replicas == 1
    api.config = {"linear": '{"nodesPerReplica":1}'}
    await world.clock.advance(11)
    assert api.replicas == 4
    api.config = {"linear": "nonsense"}
    await world.clock.advance(11)
    assert api.replicas == 4
    assert "Error parsing the ConfigMap" in world.log(scaler)
