"""Images of whole applications: Ghost, and the project's admission webhook."""

from __future__ import annotations

import json

import pytest

from kuartui.embedded.network.tls import self_signed
from kuartui.embedded.node.runtime import Container, Mount, Projected, Volume
from tests.embedded.containers import World

CONFIG_JS = """
var path = require('path'), config;
config = {
    development: {
        url: 'http://blog.example:2368',
        database: {client: 'mysql', connection: {host: 'mysql', user: 'root', password: 'root', database: 'ghost_db'}},
        server: {host: '0.0.0.0', port: '2369'},
    }
};
module.exports = config;
"""


async def get(world: World, url: str) -> tuple[int, str]:
    client = await world.start("busybox:1.36", "sleep", "infinity")
    code, out, _ = await world.exec(client, "wget", "-qO-", url)
    return code, out


def projected(world: World, path: str, **files: bytes) -> Mount:
    held = {name.replace("_", "."): Projected(data) for name, data in files.items()}
    return Mount(path, Volume.projection(held, world.clock.now()))


async def test_ghost_in_development_keeps_its_database_with_its_content(world: World) -> None:
    content = Mount("/var/lib/ghost/content", Volume())
    ghost = await world.start("ghost:5-alpine", env={"NODE_ENV": "development"}, mounts=(content,))
    await world.clock.advance(5)
    assert world.log(ghost).rstrip().endswith("Ghost booted in 2.5s")
    code, page = await get(world, f"http://{ghost.sandbox.ip}:2368/")
    assert (code, "Ghost" in page) == (0, True)
    assert (await world.exec(ghost, "ls", "/var/lib/ghost/content/data"))[1] == "ghost-dev.db\n"


async def test_a_volume_over_ghost_hides_it(world: World) -> None:
    mounts = (projected(world, "/var/lib/ghost", config_js=b"x"),)
    exit_, log = await world.run("ghost:5-alpine", mounts=mounts)
    assert (exit_.code, log) == (1, "find: /var/lib/ghost/content: No such file or directory\n")
    exit_, log = await world.run("ghost:5-alpine", "sh", "-c", "node current/index.js", mounts=mounts)
    assert exit_.code == 1
    assert "Error: Cannot find module '/var/lib/ghost/current/index.js'" in log


async def test_ghost_in_production_wants_mysql(world: World) -> None:
    exit_, log = await world.run("ghost:5-alpine")
    assert exit_.code == 2
    assert "ERROR getaddrinfo ENOTFOUND mysql" in log


async def test_the_books_ghost_reads_config_js_and_logs_in(world: World) -> None:
    database = await world.start("mysql:8.4", env={"MYSQL_ROOT_PASSWORD": "root"})
    await world.clock.advance(10)
    world.service("mysql", "10.96.0.20", 3306, [(database.sandbox.ip, 3306)])
    copy = "cp /ghost-config/config.js /var/lib/ghost/config.js && exec docker-entrypoint.sh node current/index.js"

    async def start(text: str) -> Container:
        mounts = (projected(world, "/ghost-config", config_js=text.encode()),)
        ghost = await world.start("ghost:0.11", "sh", "-c", copy, env={"NODE_ENV": "development"}, mounts=mounts)
        await world.clock.advance(5)
        return ghost

    ghost = await start(CONFIG_JS)
    assert "Your site is now available on http://blog.example:2368/" in world.log(ghost)
    assert (await get(world, f"http://{ghost.sandbox.ip}:2369/"))[0] == 0
    refused = await start(CONFIG_JS.replace("password: 'root'", "password: 'wrong'"))
    assert refused.exit is not None
    assert "Access denied for user 'root'" in world.log(refused)


async def test_the_policy_webhook_denies_a_label(world: World) -> None:
    certificate, key = self_signed("pod-policy", "pod-policy.gatehouse.svc")
    mounts = (projected(world, "/tls", tls_crt=certificate, tls_key=key),)
    server = await world.start("kuartui/policy-webhook:1", mounts=mounts)
    client = await world.start("curlimages/curl:8.14.1", "sleep", "infinity")

    async def ask(labels: dict[str, str]) -> tuple[bool, str]:
        request = {"uid": "u", "object": {"metadata": {"labels": labels}}}
        review = json.dumps({"apiVersion": "admission.k8s.io/v1", "request": request})
        url = f"https://{server.sandbox.ip}:8443/validate"
        answer = json.loads((await world.exec(client, "curl", "-sk", "-d", review, url))[1])["response"]
        return answer["allowed"], answer.get("status", {}).get("message", "")

    assert await ask({"app": "shop"}) == (True, "")
    assert await ask({"kuar.io/forbidden": "true"}) == (
        False,
        "label kuar.io/forbidden=true is forbidden by the house policy",
    )


async def test_the_policy_webhook_wants_its_certificate(world: World) -> None:
    exit_, log = await world.run("kuartui/policy-webhook:1")
    assert (exit_.code, log) == (1, "policy-webhook: certificate and key in /tls: No such file or directory\n")


@pytest.mark.parametrize(
    ("image", "user", "said"),
    [
        ("prom/prometheus", "nobody", "uid=65534(nobody) gid=65534(nobody)"),
        ("grafana/grafana", "472", "uid=472(grafana) gid=0(root)"),
        ("memcached", "memcache", "uid=11211(memcache) gid=11211(memcache)"),
        ("haproxy", "haproxy", "uid=99(haproxy) gid=99(haproxy)"),
        ("stefanprodan/podinfo", "app", "uid=100(app) gid=101(app)"),
        ("httpd", "", "uid=0(root) gid=0(root)"),
    ],
)
async def test_servers_run_as_their_images_users(world: World, image: str, user: str, said: str) -> None:
    container = await world.start(image)
    assert container.spec.image.config.user == user
    assert (await world.sh(container, "id"))[1].startswith(said)
