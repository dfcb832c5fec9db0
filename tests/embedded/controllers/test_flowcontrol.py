"""The API server's own FlowSchemas and PriorityLevelConfigurations, and which schemas lead nowhere."""

from __future__ import annotations

from kuartui.embedded.controllers.flowcontrol import AUTO_UPDATE, LEVELS, SCHEMAS, FlowControl, install
from tests.embedded.controllers.cluster import Cluster


def dangling(cluster: Cluster, name: str) -> tuple[str, str]:
    (condition,) = cluster.get(SCHEMAS, name)["status"]["conditions"]
    return condition["status"], condition["message"]


async def test_every_schema_leads_to_a_level_that_is_there(cluster: Cluster) -> None:
    install(cluster.client)
    levels = {one["metadata"]["name"] for one in cluster.client.list(LEVELS)}
    leads = {one["spec"]["priorityLevelConfiguration"]["name"] for one in cluster.client.list(SCHEMAS)}
    assert leads == levels
    assert dangling(cluster, "probes") == (
        "False",
        'This FlowSchema references the PriorityLevelConfiguration object named "exempt" and it exists',
    )


async def test_a_schema_dangles_until_its_level_is_made(cluster: Cluster) -> None:
    cluster.start(FlowControl(cluster.client))
    await cluster.create(SCHEMAS, "shop", spec={"priorityLevelConfiguration": {"name": "mine"}})
    await cluster.run()
    text = 'This FlowSchema references the PriorityLevelConfiguration object named "mine" but there is no such object'
    assert dangling(cluster, "shop") == ("True", text)
    await cluster.create(LEVELS, "mine", spec={"type": "Limited"})
    await cluster.run()
    assert dangling(cluster, "shop")[0] == "False"


async def test_what_was_deleted_comes_back_within_a_minute(cluster: Cluster) -> None:
    install(cluster.client)
    cluster.start(FlowControl(cluster.client))
    await cluster.run(20)
    await cluster.delete(SCHEMAS, "global-default")
    await cluster.run(38)
    assert cluster.gone(SCHEMAS, "global-default")
    await cluster.run(3)
    assert dangling(cluster, "global-default")[0] == "False"


async def test_a_suggested_object_is_put_right_unless_its_owner_says_not_to(cluster: Cluster) -> None:
    install(cluster.client)
    cluster.start(FlowControl(cluster.client))
    await cluster.run()
    for name in ("service-accounts", "probes", "catch-all"):
        if name != "service-accounts":
            await cluster.edit(SCHEMAS, name, {"metadata": {"annotations": {AUTO_UPDATE: "false"}}})
        await cluster.edit(SCHEMAS, name, {"spec": {"matchingPrecedence": 7}})
    await cluster.run(61)
    found = {one["metadata"]["name"]: one["spec"]["matchingPrecedence"] for one in cluster.client.list(SCHEMAS)}
    assert (found["service-accounts"], found["probes"], found["catch-all"]) == (9000, 7, 10000)
