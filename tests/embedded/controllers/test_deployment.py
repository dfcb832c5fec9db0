"""Deployments: rollouts, revisions, pauses, deadlines, and the promise of maxSurge and maxUnavailable."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.deployment import DeploymentController, arithmetic
from kuartui.embedded.controllers.replicaset import ReplicaSetController
from tests.embedded.controllers.cluster import Cluster

Obj = dict[str, Any]


def spec(replicas: int = 3, image: str = "v1", **more: Any) -> Obj:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": image}]},
    }
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    made = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": rolling,
        "template": template,
    }
    return made | {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10} | more


def image(name: str) -> Obj:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}}


async def deployed(cluster: Cluster, **more: Any) -> None:
    cluster.start(DeploymentController(cluster.client), ReplicaSetController(cluster.client))
    await cluster.create("deployments.apps", "web", spec=spec(**more))
    await cluster.run(5)


def sets(cluster: Cluster) -> dict[str, int]:
    return {
        rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
        for rs in cluster.client.list("replicasets.apps")
    }


def conditions(cluster: Cluster) -> dict[str, tuple[str, str]]:
    found = cluster.get("deployments.apps", "web")["status"]["conditions"]
    return {one["type"]: (one["status"], one["reason"]) for one in found}


async def test_makes_a_replica_set_and_tells_when_it_is_available(cluster: Cluster) -> None:
    await deployed(cluster)
    status = cluster.get("deployments.apps", "web")["status"]
    assert status["availableReplicas"] == status["updatedReplicas"] == status["replicas"] == 3
    assert "unavailableReplicas" not in status
    assert conditions(cluster) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert (
        cluster.get("deployments.apps", "web")["metadata"]["generation"] == 1
    )  # its revision is noted with its status
    (rs,) = cluster.client.list("replicasets.apps")
    digest = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{digest}"
    assert rs["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
        "deployment.kubernetes.io/revision": "1",
    }
    assert cluster.events("ScalingReplicaSet") == [f"Scaled up replica set web-{digest} from 0 to 3"]
    assert len(cluster.events("SuccessfulCreate", "ReplicaSet")) == 3


async def test_rolls_a_new_template_out(cluster: Cluster) -> None:
    await deployed(cluster)
    await cluster.edit("deployments.apps", "web", image("v2"))
    await cluster.run(30)
    assert sets(cluster) == {"v1": 0, "v2": 3}
    assert cluster.get("deployments.apps", "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert {pod["spec"]["containers"][0]["image"] for pod in cluster.pods()} == {"v2"}


async def test_going_back_reuses_the_old_replica_set_under_a_new_revision(cluster: Cluster) -> None:
    await deployed(cluster)
    for name in ("v2", "v1"):
        await cluster.edit("deployments.apps", "web", image(name))
        await cluster.run(30)
    assert sets(cluster) == {"v1": 3, "v2": 0}
    old = next(rs for rs in cluster.client.list("replicasets.apps") if rs["spec"]["replicas"])
    assert old["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert old["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_change_cause_reaches_the_replica_set(cluster: Cluster) -> None:
    await deployed(cluster)
    cause = {"kubernetes.io/change-cause": "because"}
    await cluster.edit("deployments.apps", "web", {"metadata": {"annotations": cause}})
    await cluster.run()
    (rs,) = cluster.client.list("replicasets.apps")
    assert cause.items() <= rs["metadata"]["annotations"].items()


async def test_keeps_only_so_many_old_revisions(cluster: Cluster) -> None:
    await deployed(cluster, revisionHistoryLimit=1)
    for name in ("v2", "v3", "v4"):
        await cluster.edit("deployments.apps", "web", image(name))
        await cluster.run(30)
    assert sets(cluster) == {"v3": 0, "v4": 3}


async def test_a_paused_deployment_scales_but_does_not_roll(cluster: Cluster) -> None:
    await deployed(cluster)
    await cluster.edit("deployments.apps", "web", {"spec": {"paused": True, **image("v2")["spec"], "replicas": 5}})
    await cluster.run(5)
    assert sets(cluster) == {"v1": 5}
    assert conditions(cluster)["Progressing"] == ("Unknown", "DeploymentPaused")
    assert "updatedReplicas" not in cluster.get("deployments.apps", "web")["status"]
    await cluster.edit("deployments.apps", "web", {"spec": {"paused": None}})
    await cluster.run(30)
    assert sets(cluster) == {"v1": 0, "v2": 5}
    assert conditions(cluster)["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_a_bad_rollout_stops_and_is_called_stuck(cluster: Cluster) -> None:
    cluster.ready_after["bad"] = -1
    await deployed(cluster, replicas=4)
    await cluster.edit("deployments.apps", "web", image("bad"))
    await cluster.run(60)
    assert sets(cluster) == {"v1": 3, "bad": 2}
    assert conditions(cluster)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert conditions(cluster)["Available"] == ("True", "MinimumReplicasAvailable")
    await cluster.run(610)
    assert conditions(cluster)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    await cluster.edit("deployments.apps", "web", image("v1"))
    await cluster.run(10)
    assert sets(cluster) == {"v1": 4, "bad": 0}
    assert conditions(cluster)["Progressing"] == ("True", "NewReplicaSetAvailable")


async def test_scaling_in_the_middle_of_a_rollout_is_proportional(cluster: Cluster) -> None:
    cluster.ready_after["bad"] = -1
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    await deployed(cluster, replicas=10, strategy=rolling)
    await cluster.edit("deployments.apps", "web", image("bad"))
    await cluster.run(10)
    assert sets(cluster) == {"v1": 8, "bad": 5}
    await cluster.edit("deployments.apps", "web", {"spec": {"replicas": 15}})
    await cluster.run(10)
    assert sets(cluster) == {"v1": 11, "bad": 7}  # the example of the documentation
    await cluster.edit("deployments.apps", "web", {"spec": {"replicas": 4}})
    await cluster.run(10)
    assert sets(cluster) == {"v1": 2, "bad": 4}  # two of four may be unavailable, not all


async def test_recreate_waits_for_the_last_old_pod(cluster: Cluster) -> None:
    await deployed(cluster, strategy={"type": "Recreate"})
    await cluster.edit("deployments.apps", "web", image("v2"))
    await cluster.run(0.4)
    assert sets(cluster) == {"v1": 0}
    assert len(cluster.pods(active=False)) == 3
    await cluster.run(5)
    assert sets(cluster) == {"v1": 0, "v2": 3}


async def test_min_ready_seconds_delays_availability(cluster: Cluster) -> None:
    await deployed(cluster, minReadySeconds=20)
    status = cluster.get("deployments.apps", "web")["status"]
    assert (status["readyReplicas"], status["unavailableReplicas"]) == (3, 3)
    await cluster.run(20)
    assert cluster.get("deployments.apps", "web")["status"]["availableReplicas"] == 3


async def test_a_taken_name_is_a_collision(cluster: Cluster) -> None:
    await deployed(cluster)
    (rs,) = cluster.client.list("replicasets.apps")
    await cluster.delete("deployments.apps", "web", propagation="Orphan")
    await cluster.edit("deployments.apps", "web", {"metadata": {"finalizers": None}})
    await cluster.edit(
        "replicasets.apps", rs["metadata"]["name"], {"metadata": {"ownerReferences": None, "labels": None}}
    )
    await cluster.create("deployments.apps", "web", spec=spec())
    await cluster.run(5)
    assert cluster.get("deployments.apps", "web")["status"]["collisionCount"] == 1
    assert len(cluster.client.list("replicasets.apps")) == 2


async def test_adopts_a_matching_replica_set(cluster: Cluster) -> None:
    await deployed(cluster)
    (rs,) = cluster.client.list("replicasets.apps")
    await cluster.edit("replicasets.apps", rs["metadata"]["name"], {"metadata": {"ownerReferences": None}})
    await cluster.run()
    (rs,) = cluster.client.list("replicasets.apps")
    assert rs["metadata"]["ownerReferences"][0]["kind"] == "Deployment"


def test_percentages_round_as_kubernetes_rounds() -> None:
    ten = {"spec": spec(replicas=10)}
    assert (arithmetic.max_surge(ten), arithmetic.max_unavailable(ten)) == (3, 2)
    zero = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "1%"}}
    assert arithmetic.fenceposts({"spec": spec(replicas=10, strategy=zero)}) == (0, 1)


@settings(max_examples=25)
@given(
    replicas=st.integers(0, 8),
    surge=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "100%"])),
    unavailable=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "100%"])),
    edits=st.lists(st.tuples(st.sampled_from(["v1", "v2", "slow", "bad"]), st.floats(0, 8)), max_size=4),
)
def test_a_rollout_never_breaks_its_limits(
    replicas: int, surge: Any, unavailable: Any, edits: list[tuple[str, float]]
) -> None:
    """Neither more pods than allowed nor fewer available ones, at any moment, whatever is rolled out when."""

    async def scenario() -> None:
        cluster = Cluster()
        cluster.ready_after |= {"slow": 3.0, "bad": -1}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
        try:
            await deployed(cluster, replicas=replicas, strategy=strategy)
            deployment = {"spec": spec(replicas=replicas, strategy=strategy)}
            most = replicas + arithmetic.max_surge(deployment)
            fewest = replicas - arithmetic.max_unavailable(deployment)
            broken: list[str] = []

            def look(_: Any) -> None:
                alive = cluster.pods()
                ready = [
                    pod
                    for pod in alive
                    if any(
                        one["type"] == "Ready" and one["status"] == "True"
                        for one in pod["status"].get("conditions", ())
                    )
                ]
                wanted = sum(rs["spec"]["replicas"] for rs in cluster.client.list("replicasets.apps"))
                if wanted > most:
                    broken.append(f"{wanted} pods wanted, at most {most}")
                if len(ready) < fewest:
                    broken.append(f"{len(ready)} ready, at least {fewest}")

            cluster.store.listen("pods", look)
            cluster.store.listen("replicasets.apps", look)
            for name, seconds in [*edits, ("v3", 60.0)]:
                await cluster.edit("deployments.apps", "web", image(name))
                await cluster.run(seconds)
            assert not broken
            assert {name: size for name, size in sets(cluster).items() if size} == (
                {"v3": replicas} if replicas else {}
            )
            assert cluster.get("deployments.apps", "web")["status"].get("availableReplicas", 0) == replicas
        finally:
            await cluster.stop()

    asyncio.run(scenario())


async def test_pods_that_were_told_to_go_are_no_reason_to_let_more_go(cluster: Cluster) -> None:
    """A ReplicaSet that was scaled to nothing still tells of pods until it has looked."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}
    wanted = spec(10, "v3", strategy=rolling)
    deployment = await cluster.create("deployments.apps", "web", spec=wanted)
    for name, size, available in (("v1", 0, 3), ("v2", 8, 8), ("v3", 2, 1)):
        meta = {
            "labels": {"app": "web"},
            "ownerReferences": [objects.controller_reference(deployment)],
            "annotations": {"deployment.kubernetes.io/desired-replicas": "10"},
        }
        body = {"replicas": size, "template": spec(10, name)["template"], "selector": wanted["selector"]}
        counts = {"replicas": available, "availableReplicas": available}
        await cluster.create("replicasets.apps", name, metadata=meta, spec=body, status=counts)
    cluster.start(DeploymentController(cluster.client))
    await cluster.run(0)
    assert sets(cluster) == {"v1": 0, "v2": 7, "v3": 3}
