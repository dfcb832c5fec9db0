"""What an attempt leaves on an engine goes; what is the player's own stays, whatever it is called or made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kuartui.containers import traces
from kuartui.containers.engine import Docker
from kuartui.errors import ClusterError
from kuartui.game.labels import LABEL_ATTEMPT
from kuartui.game.level import BaseImage, DockerSetup
from tests.containers.standin import BASE

pytestmark = pytest.mark.docker

NAME, OWN = "kuartui-test-level", "kuartui-test-own"
SETUP = DockerSetup(names=(NAME,), bases=(BaseImage(name=BASE, digest="sha256:" + "0" * 64),))


async def run(*words: str, folder: Path | None = None) -> tuple[int, str]:
    """The docker command, as a player would use it."""
    process = await asyncio.create_subprocess_exec(
        "docker", *words, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode().strip()


async def do(*words: str, folder: Path | None = None) -> str:
    code, said = await run(*words, folder=folder)
    assert code == 0, said
    return said.splitlines()[-1] if said else ""


@pytest.fixture
async def own(docker: Docker, tmp_path: Path) -> AsyncIterator[None]:
    """Something that the player had before, and takes away again."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo mine > /mine\n")
    await do("build", "-t", f"{OWN}:1", ".", folder=tmp_path / "own")
    await do("create", "--name", OWN, f"{OWN}:1", "true")
    await do("volume", "create", OWN)
    await do("network", "create", OWN)
    yield
    await do("rm", "-f", "-v", OWN)
    await do("rmi", "-f", f"{OWN}:1")
    for what in ("volume", "network"):
        await do(what, "rm", OWN)


async def test_the_engine_is_as_it_was(docker: Docker, own: None, tmp_path: Path) -> None:
    stock = await traces.take_stock(docker, SETUP)
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo one > /one\n")
    await do("build", "-t", f"{NAME}:1", ".", folder=tmp_path)
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo two > /two\nRUN echo three > /three\n")
    await do("build", "-t", f"{NAME}:1", ".", folder=tmp_path)  # leaves the one before without a name
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo four > /four\nRUN false\n")
    code, _ = await run("build", "-t", f"{NAME}:2", ".", folder=tmp_path)  # leaves layers, and a container
    assert code != 0
    await do("run", "-d", "--name", NAME, "-v", "/data", f"{NAME}:1", "sleep", "600")
    await do("run", "-d", f"{NAME}:1", "sleep", "600")  # a name that Docker made up
    await do("run", "-d", "--label", f"{LABEL_ATTEMPT}=x", BASE, "sleep", "600")
    await do("volume", "create", NAME)
    await do("network", "create", NAME)
    assert len(await traces.news(docker, stock)) >= 8
    assert await traces.remove(docker, stock) == []
    assert await traces.news(docker, stock) == []
    assert await traces.remove(docker, stock) == []  # once more does nothing


async def test_what_the_player_makes_meanwhile_stays(docker: Docker, tmp_path: Path) -> None:
    stock = await traces.take_stock(docker, SETUP)
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo mine > /mine\n")
    await do("build", "-t", f"{OWN}:1", ".", folder=tmp_path)
    await do("create", "--name", OWN, f"{OWN}:1", "true")
    await do("tag", f"{OWN}:1", f"{NAME}:1")  # the same image by one of the level's names
    try:
        assert await traces.remove(docker, stock) == []
        assert await docker.image(f"{NAME}:1") is None
        assert await docker.image(f"{OWN}:1") is not None
        assert await docker.container(OWN) is not None
    finally:
        await run("rm", "-f", OWN)
        await run("rmi", "-f", f"{OWN}:1")


@pytest.mark.parametrize("what", ["image", "container", "volume", "network"])
async def test_a_name_that_is_taken_is_not_touched(docker: Docker, what: str) -> None:
    make = {
        "image": ("tag", BASE, f"{NAME}:7"),
        "container": ("create", "--name", NAME, BASE, "true"),
        "volume": ("volume", "create", NAME),
        "network": ("network", "create", NAME),
    }
    undo = {
        "image": ("rmi", f"{NAME}:7"),
        "container": ("rm", NAME),
        "volume": ("volume", "rm", NAME),
        "network": ("network", "rm", NAME),
    }
    await do(*make[what])
    try:
        with pytest.raises(ClusterError, match=f"{what} {NAME}"):
            await traces.take_stock(docker, SETUP)
    finally:
        await do(*undo[what])
