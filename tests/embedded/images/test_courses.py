"""Images that courses for the exams deploy."""

from __future__ import annotations

import re

import pytest

from kuartui.embedded.node.runtime import Mount, Projected, Volume
from tests.embedded.containers import World


async def get(world: World, ip: str, port: int) -> str:
    client = await world.start("busybox:1.36", "sleep", "infinity")
    return (await world.exec(client, "wget", "-qO-", f"http://{ip}:{port}"))[1]


async def test_a_colour_of_the_command_line_goes_before_that_of_the_environment(world: World) -> None:
    web = await world.start("kodekloud/webapp-color", args=("--color", "green"), env={"APP_COLOR": "pink"})
    assert "Color from command line argument =green" in world.log(web)
    assert "environment variable -pink" in world.log(web)
    assert "#16a085" in await get(world, web.sandbox.ip, 8080)


async def test_a_colour_that_is_not_supported_ends_the_application(world: World) -> None:
    exit_, log = await world.run("kodekloud/webapp-color", env={"APP_COLOR": "beige"})
    assert exit_.code == 1
    assert log.rstrip().startswith(" This is a sample web application")
    assert "Color not supported. Received 'beige'" in log


async def test_the_event_simulator_writes_a_line_a_second_and_what_goes_wrong(world: World) -> None:
    shop = await world.start("kodekloud/event-simulator", env={"OVERRIDE_USER": "USER30"})
    await world.clock.advance(9.5)
    lines = world.log(shop).splitlines()
    assert len([line for line in lines if "INFO in event-simulator: USER" in line]) == 10
    assert [line.partition(": ")[2][:20] for line in lines if "WARNING" in line] == [
        "USER5 Failed to Logi",
        "USER30 Order failed ",
    ]
    assert (await world.exec(shop, "cat", "/log/app.log"))[1].splitlines()[:10] == lines[:10]


@pytest.mark.parametrize(
    ("image", "port", "page"),
    [
        ("dgkanatsios/simpleapp", 8080, r"Hello world from \S+ and version 2\.0\n"),
        ("bmuschko/nodejs-hello-world:1.0.0", 3000, r"Hello World"),
        ("luksa/kubia", 8080, r"You've hit \S+\n"),
        ("containous/whoami", 80, r"Hostname: \S+\n"),
    ],
)
async def test_pages(world: World, image: str, port: int, page: str) -> None:
    web = await world.start(image)
    assert re.fullmatch(page, await get(world, web.sandbox.ip, port))


async def test_an_application_reads_the_configuration_that_was_put_beside_it(world: World) -> None:
    data = b'{"dbConfig": {"host": "localhost", "port": "5432", "dbName": "customers"}}'
    mount = Mount("/usr/shared/app", Volume.projection({"config.json": Projected(data)}, world.clock.now()))
    web = await world.start("bmuschko/nodejs-read-config:1.0.0", mounts=(mount,))
    assert await get(world, web.sandbox.ip, 8080) == "Database URL: localhost:5432/customers\n"
