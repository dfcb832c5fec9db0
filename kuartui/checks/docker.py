"""`image` and `container`: what the player's Docker engine has, judged by CEL over the engine's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuartui.checks.evidence import Evidence, NotThereError, Verdict
from kuartui.checks.kind import QuestionKind, every, nothing
from kuartui.checks.state import judge_expression
from kuartui.containers.engine import fetch
from kuartui.game.questions import CONTAINER_VARIABLES, IMAGE_VARIABLES
from kuartui.game.spec import ContainerSpec, ImageSpec
from kuartui.message import later

if TYPE_CHECKING:
    from kuartui.checks.world import World

KEPT = ("Id", "Name", "Image", "Created", "Config", "HostConfig", "State")  # of a container at the start


async def observe_image(spec: ImageSpec, world: World, _name: str) -> Evidence:
    image = await world.docker.image(spec.name)
    if image is None:
        raise NotThereError(later("no image {name}", name=spec.name))
    return {
        "image": image,
        "history": await world.docker.history(spec.name),
        "ran": await world.docker.run(image, spec.run) if spec.run else None,
        "files": await world.docker.files(image) if spec.files else [],
    }


def judge_image(spec: ImageSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, IMAGE_VARIABLES, evidence)


async def observe_container(spec: ContainerSpec, world: World, name: str) -> Evidence:
    container = await world.docker.container(spec.name)
    if container is None:
        raise NotThereError(later("no container {name}", name=spec.name))
    answer = await fetch(container, spec.get.port, spec.get.path) if spec.get else {"status": 0, "body": ""}
    return {
        "container": container,
        "start": world.baseline.get(name) or None,
        "answer": answer,
        "logs": await world.docker.logs(spec.name) if spec.logs else "",
    }


def judge_container(spec: ContainerSpec, evidence: Evidence) -> Verdict:
    return judge_expression(spec.cel, spec.observe, CONTAINER_VARIABLES, evidence)


async def capture_container(spec: ContainerSpec, world: World) -> Evidence:
    """What is compared with later; {} when it is not there yet."""
    container = await world.docker.container(spec.name) or {}
    return {key: container[key] for key in KEPT if key in container}


IMAGE = QuestionKind("image", nothing, observe_image, judge_image, period=every)
CONTAINER = QuestionKind(
    "container", nothing, observe_container, judge_container, period=every, capture=capture_container
)
