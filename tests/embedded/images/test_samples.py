"""The images of Kubernetes' tutorials."""

from __future__ import annotations

import pytest

from kuartui.embedded.images.registry import PullError
from tests.embedded.containers import World

PLACE = "us-docker.pkg.dev/google-samples/containers/gke"


async def ask(world: World, url: str) -> str:
    client = await world.start("busybox:1.36", "sleep", "infinity")
    code, out, err = await world.exec(client, "wget", "-qO-", url)
    assert code == 0, err
    return out


@pytest.mark.parametrize("image", ["gcr.io/google-samples/kubernetes-bootcamp:v1", "jocatalin/kubernetes-bootcamp:v2"])
async def test_the_bootcamp_tells_where_it_runs_and_counts(world: World, image: str) -> None:
    app = await world.start(image)
    name = app.sandbox.hostname
    said = f"Hello Kubernetes bootcamp! | Running on: {name} | v={image[-1]}\n"
    assert await ask(world, f"http://{app.sandbox.ip}:8080") == said
    await world.clock.advance(5)
    assert (await world.exec(app, "curl", "-s", "http://localhost:8080"))[1] == said
    first, second, third = [line for line in world.log(app).splitlines() if line]
    assert first.startswith("Kubernetes Bootcamp App Started At: ")
    assert second.startswith(f"Running On: {name} | Total Requests: 1 | App Uptime: ")
    assert third.startswith(f"Running On: {name} | Total Requests: 2 | App Uptime: 5")
    source = (await world.exec(app, "bash", "-c", "cat server.js"))[1]
    assert f"v={image[-1]}" in source


async def test_the_guestbooks_leader_goes_by_its_digest(world: World) -> None:
    digest = "sha256:cb111d1bd870a6a471385a4a69ad17469d326e9dd91e0e455350cacf36e1b3ee"
    image = world.catalogue.pull(f"registry.k8s.io/redis@{digest}")
    assert image.repo_digest == f"registry.k8s.io/redis@{digest}"
    assert image.shown == image.id  # it has no tag
    pinned = world.catalogue.pull(f"registry.k8s.io/redis:e2e@{digest}")
    assert (pinned.shown, pinned.repo_digest) == ("registry.k8s.io/redis:e2e", image.repo_digest)
    leader = await world.start(f"registry.k8s.io/redis@{digest}")
    assert (await world.exec(leader, "redis-cli", "ping"))[1] == "PONG\n"


async def test_there_is_no_tenth_bootcamp(world: World) -> None:
    with pytest.raises(PullError, match="not found"):
        world.catalogue.pull("gcr.io/google-samples/kubernetes-bootcamp:v10")


async def test_the_front_end_asks_the_service_hello(world: World) -> None:
    back = await world.start("gcr.io/google-samples/hello-go-gke:1.0")
    world.service("hello", "10.96.3.3", 80, [(back.sandbox.ip, 80)])
    front = await world.start("gcr.io/google-samples/hello-frontend:1.0")
    assert await ask(world, f"http://{front.sandbox.ip}") == '{"message":"Hello"}\n'


async def test_the_front_end_needs_its_back_end_to_start(world: World) -> None:
    exit_, log = await world.run("gcr.io/google-samples/hello-frontend:1.0")
    assert exit_.code == 1
    assert 'host not found in upstream "hello' in log


async def test_the_guestbook_writes_to_the_leader_and_reads_from_followers(world: World) -> None:
    leader = await world.start("redis:6.0.5")
    world.service("redis-leader", "10.96.3.4", 6379, [(leader.sandbox.ip, 6379)])
    follower = await world.start(f"{PLACE}/gb-redis-follower:v2", env={"GET_HOSTS_FROM": "dns"})
    world.service("redis-follower", "10.96.3.5", 6379, [(follower.sandbox.ip, 6379)])
    await world.clock.advance(3)
    front = await world.start(f"{PLACE}/gb-frontend:v5", env={"GET_HOSTS_FROM": "dns"})
    php = f"http://{front.sandbox.ip}/guestbook.php"
    assert "Guestbook" in await ask(world, f"http://{front.sandbox.ip}")
    assert await ask(world, f"{php}?cmd=set&key=guestbook&value=,hello") == '{"message": "Updated"}'
    await world.clock.advance(1)
    assert await ask(world, f"{php}?cmd=get&key=guestbook") == '{"data": ",hello"}'
    assert (await world.exec(follower, "redis-cli", "get", "guestbook"))[1].strip().strip('"') == ",hello"


async def test_the_echo_server_tells_whom_it_saw(world: World) -> None:
    client = await world.start("curlimages/curl:8.14.1", "sleep", "infinity")
    env = {"POD_NAME": "echo", "NODE_NAME": "node-a"}
    told = {}
    for version in ("1.4", "1.10"):
        server = await world.start(f"registry.k8s.io/echoserver:{version}", env=env)
        url = f"http://{server.sandbox.ip}:8080/shop?item=1"
        told[version] = (await world.exec(client, "curl", "-s", "-H", "X-Colour: red", "-d", "body", url))[1]
        for line in (f"client_address={client.sandbox.ip}", "real path=/shop?item=1", "query=item=1", "x-colour=red"):
            assert line in [row.strip() for row in told[version].splitlines()]
    assert told["1.4"].startswith("CLIENT VALUES:\n")
    assert told["1.4"].endswith("BODY:\nbody")
    assert f"Hostname: {server.sandbox.hostname}\n" in told["1.10"]
    assert "\tnode name:\tnode-a\n\tpod name:\techo\n" in told["1.10"]
    assert "Request Body:\n\tbody\n" in told["1.10"]
