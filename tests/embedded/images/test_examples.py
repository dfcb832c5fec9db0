"""Images that Kubernetes' documentation shows its examples with."""

from __future__ import annotations

import pytest

from kuartui.embedded.node.runtime import Credentials, Resources
from kuartui.embedded.node.runtime.container import State
from tests.embedded.containers import World

MIB = 1 << 20


async def test_a_hog_burns_what_it_may_and_takes_memory_in_chunks(world: World) -> None:
    words = ("-cpus", "2", "-mem-total=500Mi", "-mem-alloc-size", "100Mi", "-mem-alloc-sleep", "1s")
    hog = await world.start("vish/stress", args=words, resources=Resources(cpu_limit=1.0))
    assert hog.memory < 150 * MIB
    await world.clock.advance(2)
    assert 250 * MIB < hog.memory < 450 * MIB
    await world.clock.advance(60)
    assert 500 * MIB <= hog.memory < 510 * MIB
    assert hog.usage().cpu_nanocores == pytest.approx(1e9, rel=0.05)
    log = world.log(hog)
    assert 'main.go:26] Allocating "500Mi" memory, in "100Mi" chunks, with a 1s sleep between allocations\n' in log
    assert log.count("Spawning a thread to consume CPU\n") == 2
    assert log.endswith('main.go:29] Allocated "500Mi" memory\n')


async def test_a_hog_over_its_limit_is_killed(world: World) -> None:
    words = ("-mem-total", "200Mi", "-mem-alloc-size", "10Mi")
    ended, _ = await world.run("vish/stress", args=words, resources=Resources(memory_limit=100 * MIB))
    assert (ended.code, ended.reason) == (137, "OOMKilled")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-memory", "1"), "flag provided but not defined: -memory"),
        (("-mem-total", "1Mb"), "panic: cannot parse '1Mb'"),
        (("-mem-alloc-sleep", "1"), 'invalid value "1" for flag -mem-alloc-sleep'),
    ],
)
async def test_a_hog_with_wrong_arguments_ends(world: World, words: tuple[str, ...], said: str) -> None:
    ended, log = await world.run("vish/stress", args=words)
    assert ended.code == 2
    assert said in log


async def test_groups_of_the_image_count_unless_the_pod_says_no(world: World) -> None:
    for merge, groups in ((True, "50000"), (False, "4000")):
        wanted = Credentials(uid=1000, gid=3000, groups=(4000,), image_groups=merge)
        container = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.45", "sleep", "600", user=wanted)
        assert (await world.exec(container, "id", "-G"))[1].split()[-1] == groups


async def test_the_sample_application_has_a_shell(world: World) -> None:
    container = await world.start("gcr.io/google-samples/hello-app:2.0")
    assert "hello-app" in (await world.sh(container, "ps aux"))[1]


@pytest.mark.parametrize("name", ["k8s.gcr.io/serve_hostname", "gcr.io/google_containers/pause:2.0"])
async def test_former_names_of_a_registry_have_what_the_one_of_today_has(world: World, name: str) -> None:
    container = await world.start(name)
    assert container.state is State.RUNNING


async def test_what_the_project_calls_busybox_is_an_old_one(world: World) -> None:
    world.service("web", "10.96.0.30", 80, [])
    old = await world.start("gcr.io/google-containers/busybox", "sleep", "infinity")
    code, out, _ = await world.exec(old, "nslookup", "web.default")
    assert code == 0
    assert out.endswith("Address 1: 10.96.0.30 web.default.svc.cluster.local\n")


async def test_the_curl_image_of_the_service_tutorial_resolves_as_the_documentation_shows(world: World) -> None:
    world.service("my-nginx", "10.96.0.31", 80, [])
    curl = await world.start("radial/busyboxplus:curl", "sleep", "infinity")
    code, out, _ = await world.exec(curl, "nslookup", "my-nginx")
    assert code == 0
    assert out.endswith("Name:      my-nginx\nAddress 1: 10.96.0.31 my-nginx.default.svc.cluster.local\n")


async def test_ubuntu_has_procps_where_debian_has_not(world: World) -> None:
    ubuntu = await world.start("ubuntu", "sleep", "infinity")
    debian = await world.start("debian", "sleep", "infinity")
    assert "sleep" in (await world.sh(ubuntu, "ps aux"))[1]
    assert (await world.sh(debian, "ps aux"))[0] == 127


async def test_the_cache_of_the_affinity_example_is_an_old_redis(world: World) -> None:
    cache = await world.start("redis:3.2-alpine")
    code, out, _ = await world.exec(cache, "redis-cli", "info", "server")
    assert code == 0
    assert "redis_version:3.2.12" in out


async def test_the_root_of_a_debian_image_has_the_usual_directories(world: World) -> None:
    web = await world.start("nginx")
    listed = (await world.exec(web, "ls", "/"))[1].split()
    usual = "bin boot dev docker-entrypoint.d docker-entrypoint.sh etc home lib lib64 media mnt opt proc root run sbin srv sys tmp usr var"
    assert listed == usual.split()
