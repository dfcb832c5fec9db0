"""Attempts at levels on Docker, through a session: what is there at the start, and what is there when all went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kuartui.catalog.reader import LevelFolder
from kuartui.cluster.base import Progress
from kuartui.containers import traces
from kuartui.containers.engine import Docker
from kuartui.containers.traces import Stock
from kuartui.game.level import DockerSetup, Level
from kuartui.play import workspace
from kuartui.play.session import start
from kuartui.progress.store import Store
from tests.play.kube import MiniCluster, mini

pytestmark = pytest.mark.docker

NAME = "kuartui-test-jar"
LEVEL = f"""\
apiVersion: kuartui.dev/v1alpha1
kind: Level
metadata: {{name: jar}}
spec:
  title: A jar
  story: It is empty.
  task: Bound it.
  difficulty: 1
  parTime: 60s
  timeLimit: 120s
  namespace: desk
  needs: [docker]
  setup:
    files: {{Dockerfile: "FROM busybox:1.36.1\\nRUN echo figs > /figs\\nCMD [\\"sleep\\", \\"600\\"]\\n"}}
    docker:
      names: [{NAME}]
      bases: [{{name: "busybox:1.36.1", digest: "sha256:{"0" * 64}"}}]
      builds: [{{name: "{NAME}:1"}}]
      containers: [{{name: {NAME}, image: "{NAME}:1"}}]
  checks:
    - name: bounded
      title: It is bounded
      weight: 100
      container: {{name: {NAME}, cel: "container.HostConfig.Memory > 0 && container.Id == start.Id"}}
  solutions: [{{name: it, run: ["docker update --memory 64m --memory-swap 64m {NAME}"]}}]
"""
SETUP = DockerSetup(names=("kuartui-test-none",), bases=())


class Killed(BaseException):
    """What nothing in kuartui catches."""


@pytest.fixture
def jar(tmp_path: Path) -> Level:
    (tmp_path / "jar").mkdir()
    (tmp_path / "jar" / "level.yaml").write_text(LEVEL)
    return LevelFolder.open(tmp_path / "jar").level(0)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[MiniCluster]:
    async with mini(tmp_path) as found:
        yield found


@pytest.fixture
async def stock(docker: Docker) -> Stock:
    return await traces.take_stock(docker, SETUP)


async def test_it_is_set_up_checked_reset_and_taken_away(
    docker: Docker, stock: Stock, jar: Level, cluster: MiniCluster, tmp_path: Path
) -> None:
    store = Store(tmp_path / "progress.db")
    session = await start(jar, cluster=cluster, store=store)
    try:
        first = await docker.container(NAME)
        assert first is not None
        assert first["HostConfig"]["Privileged"] is False
        assert not (await session.refresh()).solved
        await session.reset()
        second = await docker.container(NAME)
        assert second is not None
        assert second["Id"] != first["Id"]
        await docker.ask(lambda client: client.api.update_container(NAME, mem_limit="64m", memswap_limit="64m"))
        assert (await session.refresh()).solved
        await session.finish()
    finally:
        await session.close(referee=False)
    assert await traces.news(docker, stock) == []
    assert not workspace.folder(session.attempt_id).exists()
    assert not store.leftovers()
    store.close()


@pytest.mark.parametrize("words", ["building image", "starting container"])
async def test_a_killed_start_is_cleaned_up_by_the_next(
    docker: Docker, stock: Stock, jar: Level, cluster: MiniCluster, tmp_path: Path, words: str
) -> None:
    def die(progress: Progress) -> None:
        if progress.text.startswith(words):
            raise Killed

    store = Store(tmp_path / "progress.db")
    with pytest.raises(Killed):
        await start(jar, cluster=cluster, store=store, report=die)
    assert len(store.leftovers()) == 1
    session = await start(jar, cluster=cluster, store=store)
    await session.abandon()
    assert await traces.news(docker, stock) == []
    assert not store.leftovers()
    store.close()


LATE = f"""\
  guards:
    - name: open
      title: It is open
      container: {{name: {NAME}, logs: true, cel: logs.contains("open")}}
"""


async def test_it_begins_when_its_containers_have_begun(
    docker: Docker, stock: Stock, cluster: MiniCluster, tmp_path: Path
) -> None:
    (tmp_path / "jar").mkdir()
    late = LEVEL.replace('CMD [\\"sleep\\", \\"600\\"]', "CMD sleep 1; echo open; sleep 600")
    (tmp_path / "jar" / "level.yaml").write_text(late.replace("  solutions:", f"{LATE}  solutions:"))
    store = Store(tmp_path / "progress.db")
    session = await start(LevelFolder.open(tmp_path / "jar").level(0), cluster=cluster, store=store)
    try:
        assert "open" in await docker.logs(NAME)
    finally:
        await session.abandon()
        store.close()


async def test_an_engine_that_is_away_at_the_end_is_cleaned_up_later(
    docker: Docker, stock: Stock, jar: Level, cluster: MiniCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "progress.db")
    session = await start(jar, cluster=cluster, store=store)
    with monkeypatch.context() as away:
        away.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        await session.abandon()
    assert await docker.container(NAME) is not None
    assert len(store.leftovers()) == 1
    cluster.kube.objects.clear()  # a disposable cluster takes all of its objects with it
    again = await start(jar, cluster=cluster, store=store)
    await again.abandon()
    assert await traces.news(docker, stock) == []
    store.close()
