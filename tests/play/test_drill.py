"""A drill that makes a pod fall ill: what should come of it is waited for, and then the pod is well again."""

from __future__ import annotations

import msgspec
import pytest

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.rest import STRATEGIC_PATCH, Api, Obj
from kuartui.errors import ClusterError
from kuartui.game.level import Drill, Level
from kuartui.play.arena import Arena
from kuartui.play.drill import Performance
from tests.play.conftest import Place

pytestmark = pytest.mark.e2e
WITHIN = 20.0  # seconds, as the level asks


@pytest.fixture
def level() -> Level:
    return Catalog.default().level("readiness-no-endpoints")


@pytest.fixture
def drill(level: Level) -> Drill:
    return level.after[0]


async def mended(place: Place, level: Level, probe: Obj) -> Arena:
    """The level in a place of its own, its pods asked by this probe."""
    arena = Arena(level, await place.cluster.sandbox("drill"), "drill")
    await place.pace.through(arena.prepare())
    name = str(level.values["app"])
    container = {"name": name, "readinessProbe": {"httpGet": None, "periodSeconds": 3, **probe}}
    async with Api.open(place.kubeconfig) as admin:
        deployments = await admin.resource("Deployment")
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await admin.patch(deployments, level.namespace, name, patch, content_type=STRATEGIC_PATCH)
        await place.pace.pass_by(30)
        deployment = await admin.read(deployments, level.namespace, name)
    assert deployment is not None
    assert deployment["status"]["readyReplicas"] == level.values["pods"]
    return arena


async def test_what_a_dead_process_began_is_undone(place: Place, level: Level, drill: Drill) -> None:
    """Whoever comes after it does not know which pod fell ill."""
    arena = await mended(place, level, {"exec": {"command": ["test", "-f", "/www/ready"]}})
    await place.pace.through(Performance(drill, arena.world).begin())
    await place.pace.pass_by(WITHIN)
    another = Performance(drill, arena.world)
    assert await another.missing() == ""
    await place.pace.through(another.recover())
    await place.pace.pass_by(WITHIN)
    assert await another.missing() == f"the Service still sends patients to {level.values['pods']} pods"
    await arena.close()


async def test_it_comes_and_goes(place: Place, level: Level, drill: Drill) -> None:
    honest = {"exec": {"command": ["test", "-f", "/www/ready"]}}
    arena = await mended(place, level, honest)
    performance = Performance(drill, arena.world)
    served = int(str(level.values["pods"]))
    assert await performance.missing() == f"the Service still sends patients to {served} pods"
    await place.pace.through(performance.begin())
    await place.pace.pass_by(WITHIN)
    assert await performance.missing() == ""
    await place.pace.through(performance.end())
    await place.pace.pass_by(WITHIN)
    assert await performance.missing() == f"the Service still sends patients to {served} pods"
    await arena.close()


async def test_a_probe_that_knows_nothing_shows(place: Place, level: Level, drill: Drill) -> None:
    arena = await mended(place, level, {"exec": {"command": ["true"]}})
    performance = Performance(drill, arena.world)
    await place.pace.through(performance.begin())
    await place.pace.pass_by(WITHIN)
    assert await performance.missing()
    await place.pace.through(performance.end())
    await arena.close()


async def test_a_command_that_cannot_be_run_is_told(place: Place, level: Level, drill: Drill) -> None:
    arena = await mended(place, level, {"exec": {"command": ["true"]}})
    assert drill.exec_ is not None
    odd = msgspec.structs.replace(drill, exec_=msgspec.structs.replace(drill.exec_, command=("cat", "/nowhere")))
    with pytest.raises(ClusterError, match=r"a drill's command in pod .* ended with exit code 1 \(cat: .*/nowhere"):
        await place.pace.through(Performance(odd, arena.world).begin())
    elsewhere = msgspec.structs.replace(drill.exec_.from_, selector="app=nobody")
    odd = msgspec.structs.replace(drill, exec_=msgspec.structs.replace(drill.exec_, from_=elsewhere))
    with pytest.raises(ClusterError, match="no ready pod with app=nobody"):
        await place.pace.through(Performance(odd, arena.world).begin())
    await arena.close()


async def test_a_namespace_that_it_opens_is_the_attempts(place: Place) -> None:
    level = Catalog.default().level("webhook-blocks-all")
    arena = Arena(level, await place.cluster.sandbox("tenant"), "tenant")
    await place.pace.through(arena.prepare())
    await place.pace.through(Performance(level.after[0], arena.world).begin())
    async with Api.open(place.kubeconfig) as admin:
        opened = await admin.read(await admin.resource("Namespace"), "", f"{level.namespace}-kiosk")
    assert opened is not None
    assert opened["metadata"]["labels"]["kuartui.dev/attempt"] == "tenant"
    await arena.close()


async def test_what_an_application_must_say_is_waited_for(place: Place) -> None:
    level = Catalog.default().level("config-hot-reload")
    arena = Arena(level, await place.cluster.sandbox("notice"), "notice")
    await place.pace.through(arena.prepare())
    drill = level.after[0]
    assert drill.data is not None
    greeting = msgspec.structs.replace(
        drill.data,
        reads={"notices": ("cat", "/etc/texts/greeting")},
        cel='notices == "ahoy"',
        observe='"it is " + notices',
    )
    performance = Performance(msgspec.structs.replace(drill, data=greeting), arena.world)
    assert await place.pace.through(performance.missing()) == "it is hello"
    heard = msgspec.structs.replace(greeting, cel='notices == "hello"')
    assert not await place.pace.through(Performance(msgspec.structs.replace(drill, data=heard), arena.world).missing())
    unread = msgspec.structs.replace(greeting, reads={"notices": ("cat", "/etc/texts/notice")})
    performance = Performance(msgspec.structs.replace(drill, data=unread), arena.world)
    assert "No such file" in await place.pace.through(performance.missing())
    await arena.close()
