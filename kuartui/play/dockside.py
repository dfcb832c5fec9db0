"""Sets up and clears away what a level has on the player's Docker engine, beside its cluster."""

from __future__ import annotations

from pathlib import Path

from kuartui.cluster.base import Progress, Report
from kuartui.containers import engine, traces
from kuartui.containers.engine import Docker
from kuartui.containers.traces import Stock
from kuartui.errors import MissingError
from kuartui.game.labels import LABEL_ATTEMPT
from kuartui.game.level import BaseImage, DockerSetup, Level
from kuartui.message import later

DOCKER = "docker"  # the capability
DOCKER_UPDATE = "docker-update"  # another: the engine changes the limits of containers that run
OF_ENGINE = frozenset({DOCKER, DOCKER_UPDATE})


async def require_engine(level: Level, docker: Docker) -> None:
    """MissingError, with what provides it, when the level needs an engine or an image that is not there."""
    if DOCKER not in level.needs:
        return
    try:
        await engine.ready(docker)
    except MissingError as error:
        raise MissingError(
            later("{name} needs docker: {why}", name=level.name, why=error.message), hint=error.hint
        ) from error
    if DOCKER_UPDATE in level.needs and not await docker.updates():
        raise MissingError(
            later("{name} needs `docker update`, which your docker's engine does not have", name=level.name),
            hint=later("play it on Docker itself: docker context use default, unset DOCKER_HOST"),
        )
    lacking = await missing_bases(level, docker)
    if lacking:
        names = ", ".join(base.name for base in lacking)
        raise MissingError(
            later("{name} needs an image that your Docker engine does not have: {names}", name=level.name, names=names),
            hint=later(
                "kuartui bundle pull {name}, which asks before it pulls; or kuartui bundle load FILE", name=level.name
            ),
        )


async def missing_bases(level: Level, docker: Docker) -> list[BaseImage]:
    """The images that the level builds on and that are not there."""
    wanted = level.setup.docker.bases if level.setup.docker else ()
    return [base for base in wanted if await docker.image(base.name) is None]


async def take_stock(setup: DockerSetup, docker: Docker) -> Stock:
    """What is on the engine before the level is."""
    return await traces.take_stock(docker, setup)


async def set_up(setup: DockerSetup, docker: Docker, workspace: Path, attempt_id: str, report: Report) -> None:
    """Build and start what is there when the player comes."""
    labels = {LABEL_ATTEMPT: attempt_id}
    for build in setup.builds:
        report(Progress(later("building image {name}", name=build.name)))
        await docker.build(workspace / build.folder, build.name, labels)
    for item in setup.containers:
        report(Progress(later("starting container {name}", name=item.name)))
        await docker.start(
            item.name,
            item.image,
            command=item.command,
            environment=item.environment,
            ports={published.port: int(published.host) for published in item.publish},
            labels=labels,
        )


async def clear(stock: Stock, docker: Docker) -> list[str]:
    """Remove what the attempt has there; what could not be removed."""
    return await traces.remove(docker, stock)


async def left(stock: Stock, docker: Docker) -> list[str]:
    """All that is new on the engine: for proofs, when nobody else uses it."""
    return await traces.news(docker, stock)
