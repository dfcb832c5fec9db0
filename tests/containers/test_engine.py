"""Whether there is an engine to play on, and what a player is told where there is none."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiohttp import web

from kuartui.catalog.catalog import Catalog
from kuartui.cli.proving import provable
from kuartui.cluster.base import Report
from kuartui.cluster.embedded import CAPABILITIES, EmbeddedCluster
from kuartui.cluster.kind import KindCluster
from kuartui.containers import engine
from kuartui.containers.engine import Docker
from kuartui.errors import MissingError
from kuartui.play.dockside import require_engine


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://[::1]:2375", True),
        ("tcp://10.0.0.7:2376", False),
        ("ssh://somebody@build.example", False),
        ("tcp://127.0.0.1.example:2375", False),
    ],
)
def test_an_engine_is_on_this_machine_or_not(address: str, local: bool) -> None:
    assert engine.is_local(address) is local


async def test_an_engine_elsewhere_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2376")
    with pytest.raises(MissingError, match="another machine") as caught:
        await Docker().version()
    assert "unset DOCKER_HOST" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "cause", "hint"),
    [
        ("('Connection aborted.', FileNotFoundError(2, 'No such file'))", "Docker is not running", "start docker"),
        ("('Connection aborted.', PermissionError(13, 'Permission denied'))", "may not talk", "usermod"),
        ("write /var/lib/docker/tmp/x: no space left on device", "the disk is full", "docker system df"),
        ("Bind for 127.0.0.1:80 failed: port is already allocated", "a port", "docker ps"),
        ("manifest for a@sha256:0 not found: manifest unknown: manifest unknown", "no such image", "docker pull"),
        ("Get https://r.example/v2/: dial tcp: lookup r.example: no such host", "cannot be reached", "bundle load"),
        ("Get https://r.example/v2/: dial tcp 1.2.3.4:443: connect: connection refused", "registry", "network"),
        ("HTTPConnectionPool: Read timed out. (read timeout=30)", "does not answer", "docker info"),
    ],
)
def test_what_the_engine_says_is_one_sentence_and_what_to_do(said: str, cause: str, hint: str) -> None:
    error = engine.explain(said)
    assert cause in error.message
    assert hint in error.hint


async def test_no_engine_is_named_with_what_provides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    tool = tmp_path / "docker"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(MissingError, match="first-image needs docker: .*Docker is not running") as caught:
        await require_engine(Catalog.default().level("first-image"), Docker())
    assert "systemctl start docker" in caught.value.hint


async def test_no_docker_command_is_named_with_what_provides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="the docker command is not installed") as caught:
        await require_engine(Catalog.default().level("first-image"), Docker())
    assert "docs.docker.com" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            '{"message": "No such container: kuartui-no-such-container"}',
            "an image that your Docker engine does not have",
        ),
        ('{"message": "No such image"}', "`docker update`, which your docker's engine does not have"),
        ("Not Found", "`docker update`, which your docker's engine does not have"),
    ],
)
async def test_an_engine_that_cannot_change_containers_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, why: str
) -> None:
    async def say(request: web.Request) -> web.Response:
        if request.path.endswith("/version"):
            return web.json_response({"Version": "4.3.1", "ApiVersion": "1.41", "Os": "linux"})
        return web.Response(text=answer, status=404)

    tool = tmp_path / "docker"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "engine.sock")).start()
    docker = Docker()
    try:
        with pytest.raises(MissingError, match=why):
            await require_engine(Catalog.default().level("container-limits"), docker)
    finally:
        docker.close()
        await runner.cleanup()


async def test_other_levels_ask_for_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2376")
    await require_engine(Catalog.default().level("broken-selector"), Docker())


async def test_a_port_that_nobody_listens_on_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    container = {"NetworkSettings": {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}}
    assert await engine.fetch(container, 8080, "/") == {"status": 0, "body": ""}
    assert await engine.fetch(container, 9090, "/") == {"status": 0, "body": ""}
    assert await engine.fetch({}, 8080, "/") == {"status": 0, "body": ""}


async def test_a_proof_of_all_levels_leaves_out_those_that_cannot_be_played_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2376")
    names = ("broken-selector", "first-image", "lights-out")
    levels = [Catalog.default().level(name, seed) for name in names for seed in (0, 1)]
    assert [level.name for level in await provable(levels, EmbeddedCluster("x"))] == [names[0]] * 2 + [names[2]] * 2
    assert capsys.readouterr().err.count("left out: first-image needs docker") == 1

    async def up(self: KindCluster, report: Report) -> None:
        self._capabilities = CAPABILITIES - {"node-power", "gateway"}  # the latter, an add-on brings

    monkeypatch.setattr(KindCluster, "up", up)
    levels.append(Catalog.default().level("ingress-to-gateway", 0))
    kept = [level.name for level in await provable(levels, KindCluster("x"))]
    assert kept == ["broken-selector", "broken-selector", "ingress-to-gateway"]
    assert "left out: lights-out needs what cluster x does not have: node-power" in capsys.readouterr().err


# --- with an engine ---------------------------------------------------------------------------------------------------


@pytest.mark.docker
async def test_an_image_is_run_and_looked_into(docker: Docker, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox:1.36.1\nCOPY key /key\nRUN rm /key && echo hi > /hi\nUSER nobody\n"
    )
    (tmp_path / "key").write_text("k")
    await docker.build(tmp_path, "kuartui-test-look:1", {})
    try:
        image = await docker.image("kuartui-test-look:1")
        assert image is not None
        assert image["Config"]["User"] == "nobody"
        assert await docker.run(image, ("cat", "/hi")) == {"exit": 0, "output": "hi\n"}
        assert (await docker.run(image, ("sh", "-c", "id -u; exit 3")))["exit"] == 3
        assert (await docker.run(image, ("no-such-program",)))["exit"] == -1
        assert (await docker.run(image, ("wget", "-q", "-T", "1", "http://127.0.0.1/")))["exit"] not in (0, -1)
        files = await docker.files(image)
        assert "/key" in files  # deleted in a later layer, and still there to be read
        assert "/hi" in files
        assert any("COPY" in step["CreatedBy"] for step in await docker.history("kuartui-test-look:1"))
        left = await docker.ask(lambda client: client.api.containers(all=True, filters={"ancestor": image["Id"]}))
        assert left == []
    finally:
        await docker.ask(lambda client: client.api.remove_image("kuartui-test-look:1"))


@pytest.mark.docker
async def test_what_is_not_there_is_none(docker: Docker) -> None:
    assert await docker.image("kuartui-test-none:1") is None
    assert await docker.container("kuartui-test-none") is None
