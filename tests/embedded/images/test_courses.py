"""Images that courses for the exams deploy."""

from __future__ import annotations

import re

import pytest

from kuartui.embedded.node.runtime import Mount, Projected, Volume
from kuartui.embedded.node.runtime.capabilities import DEFAULT
from kuartui.embedded.node.runtime.spec import Credentials
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
        ("ghcr.io/traefik/whoami", 80, r"Hostname: \S+\n"),
        ("public.ecr.aws/nginx/nginx", 80, r"(?s).*Welcome to nginx!.*"),
        ("mirror.gcr.io/library/httpd:2.4", 80, r"<html><body><h1>It works!</h1></body></html>\n"),
        ("public.ecr.aws/docker/library/httpd:2.4", 80, r"<html><body><h1>It works!</h1></body></html>\n"),
        ("quay.io/nginx/nginx-unprivileged", 8080, r"(?s).*Welcome to nginx!.*"),
        ("kodekloud/ecommerce:video", 8080, r"<h1>\S+</h1>\n"),
        ("kodekloud/webapp-delayed-start", 8080, r"<h1>Hello from \S+!</h1>"),
        ("nigelpoulton/k8sbook:1.0", 8080, r"<h1>K8s rocks!</h1>\n<p>\S+</p>\n"),
        ("argoproj/rollouts-demo:blue", 8080, r"(?s).*Argo Rollouts Demo.*"),
        ("paulbouwer/hello-kubernetes:1.10", 8080, r"(?s).*Hello world!.*"),
        ("luksa/kiada:0.1", 8080, r'Kiada version 0\.1\. Request processed by "\S+"\. Client IP: ::ffff:\S+\n'),
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


async def test_an_application_tells_how_it_gets_on_with_its_database(world: World) -> None:
    async def ask(**env: str) -> str:
        web = await world.start("bmuschko/web-app:1.0.1", env=env)
        return await get(world, web.sandbox.ip, 3000)

    database = await world.start("mysql:8.4", env={"MYSQL_ROOT_PASSWORD": "s3cret"})
    await world.clock.advance(30)
    world.service("mysql-service", "10.96.0.20", 3306, [(database.sandbox.ip, 3306)])
    where = {"DB_HOST": "mysql-service", "DB_PASSWORD": "s3cret"}
    assert await ask(**where, DB_USER="root") == "Successfully connected to database!"
    denied = "Failed to connect to database: ER_ACCESS_DENIED_ERROR: Access denied for user 'myuser'@'"
    assert (await ask(**where, DB_USER="myuser")).startswith(denied)
    assert await ask(DB_HOST="nowhere") == "Failed to connect to database: getaddrinfo ENOTFOUND nowhere"


async def test_a_page_tells_which_database_it_tried_and_how_that_went(world: World) -> None:
    async def ask(**env: str) -> str:
        web = await world.start("kodekloud/simple-webapp-mysql", env=env)
        return await get(world, web.sandbox.ip, 8080)

    database = await world.start("mysql:5.6", env={"MYSQL_ROOT_PASSWORD": "password123"})
    await world.clock.advance(30)
    world.service("sql01", "10.96.0.20", 3306, [(database.sandbox.ip, 3306)])
    page = await ask(DB_Host="sql01", DB_User="root", DB_Password="password123")
    assert "Successfully connected to the MySQL database." in page
    assert "DB_Host=sql01; DB_Database=Not Set; DB_User=root;" in page
    page = await ask(DB_Host="sql01", DB_User="sql-user", DB_Password="password123")
    assert "Failed connecting to the MySQL database." in page
    assert "1045 (28000): Access denied for user &#x27;sql-user&#x27;@" in page
    assert "(-2 Name does not resolve)" in await ask(DB_Host="mysql")


async def test_only_who_may_set_the_clock_sets_it(world: World) -> None:
    at = ("date", "-s", "19 APR 2012 11:14:00")
    may_not = await world.start("ubuntu", "sleep", "infinity")
    refused = "date: cannot set date: Operation not permitted\n"
    assert await world.exec(may_not, *at) == (1, "Thu Apr 19 11:14:00 UTC 2012\n", refused)
    assert (await world.exec(may_not, "date", "-s", "12:30"))[1].split()[3] == "12:30:00"
    may = await world.start("ubuntu", "sleep", "infinity", user=Credentials(capabilities=DEFAULT | {"SYS_TIME"}))
    assert await world.exec(may, *at) == (0, "Thu Apr 19 11:14:00 UTC 2012\n", "")


async def test_the_server_of_the_older_documentation_falls_ill_after_ten_seconds(world: World) -> None:
    server = await world.start("k8s.gcr.io/liveness", args=("/server",))
    client = await world.start("busybox:1.36", "sleep", "infinity")
    ask = ("wget", "-qO-", f"http://{server.sandbox.ip}:8080/healthz")
    assert (await world.exec(client, *ask))[:2] == (0, "ok")
    await world.clock.advance(11)
    assert (await world.exec(client, *ask))[2] == "wget: server returned error: HTTP/1.1 500 Internal Server Error\n"


@pytest.mark.parametrize(("tag", "status"), [("blue", 200), ("bad-blue", 500)])
async def test_a_colour_comes_with_its_image(world: World, tag: str, status: int) -> None:
    web = await world.start(f"argoproj/rollouts-demo:{tag}")
    client = await world.start("curlimages/curl", "sleep", "infinity")
    color = await world.exec(client, "curl", "-sw", " %{http_code}", f"http://{web.sandbox.ip}:8080/color")
    assert color[1] == f'"blue" {status}'


async def test_a_server_is_well_for_five_requests(world: World) -> None:
    web = await world.start("luksa/kubia-unhealthy")
    said = [await get(world, web.sandbox.ip, 8080) for _ in range(6)]
    assert [bool(text) for text in said] == [True] * 5 + [False]


async def test_work_and_dice_end_by_themselves(world: World) -> None:
    exit_, log = await world.run("kodekloud/throw-dice")
    assert exit_.code == (0 if log == "6\n" else 1)
    work = await world.start("luksa/batch-job")
    await world.clock.advance(121)
    assert world.log(work).endswith("Finished succesfully\n")
