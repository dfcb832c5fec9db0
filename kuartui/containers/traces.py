"""What an attempt leaves on the player's Docker engine, told from what is the player's own, and removed.

The engine is not ours. An attempt may make what is called by the level's `names`; nothing of that name may be there
before. What was there is noted first. Afterwards these go, if they are new:

- containers, volumes and networks of such a name, images of such a repository
- what kuartui made itself, by its label
- images without any name that were built on the level's base images: what a build leaves when it fails or is repeated
- containers made from any of those images

An image that has another name as well is the player's, and so are its containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from kuartui.containers.engine import GONE, Docker, familiar
from kuartui.errors import ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER
from kuartui.game.level import DockerSetup
from kuartui.message import later

if TYPE_CHECKING:
    from docker import DockerClient


class Stock(TypedDict):
    """What was there at the start; JSON, as the store keeps it."""

    names: list[str]
    bases: list[str]  # the uppermost layer of each base image
    containers: list[str]
    images: list[str]  # identities
    tags: list[str]
    volumes: list[str]
    networks: list[str]


async def take_stock(docker: Docker, setup: DockerSetup) -> Stock:
    """To be called before anything is made. ClusterError when a name that the level uses is taken."""
    stock = await docker.ask(lambda client: _stock(client, setup))
    taken = await docker.ask(lambda client: _named(client, setup.names))
    if taken:
        raise ClusterError(
            later(
                "the level needs the name of something that is on your Docker engine: {taken}",
                taken=", ".join(taken[:3]),
            ),
            hint=later("rename it (docker rename, docker tag) or remove it, then start the level again"),
        )
    return stock


async def remove(docker: Docker, stock: Stock) -> list[str]:
    """Remove what the attempt left; what could not be removed."""
    return await docker.ask(lambda client: _remove(client, stock))


async def news(docker: Docker, stock: Stock) -> list[str]:
    """Whatever is there and was not, whoever made it. For proofs."""
    return await docker.ask(lambda client: sorted(_news(client, stock)))


def _stock(client: DockerClient, setup: DockerSetup) -> Stock:
    tops = [_layers(client, base.name)[-1] for base in setup.bases]
    images = client.api.images(all=True)
    return Stock(
        names=list(setup.names),
        bases=tops,
        containers=[str(item["Id"]) for item in client.api.containers(all=True)],
        images=[str(item["Id"]) for item in images],
        tags=sorted(tag for item in images for tag in _tags(item)),
        volumes=[str(item["Name"]) for item in client.api.volumes()["Volumes"] or []],
        networks=[str(item["Id"]) for item in client.api.networks()],
    )


def _named(client: DockerClient, names: tuple[str, ...]) -> list[str]:
    tags = [familiar(tag) for item in client.api.images() for tag in _tags(item) if _repository(tag) in names]
    found = [f"image {tag}" for tag in tags]
    found += [f"container {name}" for item in client.api.containers(all=True) for name in _names(item) if name in names]
    found += [f"volume {item['Name']}" for item in client.api.volumes()["Volumes"] or [] if item["Name"] in names]
    return found + [f"network {item['Name']}" for item in client.api.networks() if item["Name"] in names]


def _remove(client: DockerClient, stock: Stock) -> list[str]:
    from docker.errors import APIError

    left: list[str] = []

    def attempt(what: str, action: object, *arguments: object, **options: object) -> None:
        try:
            action(*arguments, **options)  # type: ignore[operator]
        except APIError as error:
            if error.status_code not in GONE:
                left.append(f"{what} ({str(error.explanation or error)[:120]})")

    tags = {tag for item in client.api.images() for tag in _tags(item)} - {*stock["tags"]}
    ours = {tag for tag in tags if _repository(tag) in stock["names"]}
    nameless = set(_nameless(client, stock))
    images = nameless | {str(item["Id"]) for item in client.api.images() if _tags(item) and {*_tags(item)} <= ours}
    for item in client.api.containers(all=True):
        if item["Id"] not in stock["containers"] and _is_trace(item, stock, images):
            attempt(f"container {_names(item)[0]}", client.api.remove_container, item["Id"], force=True, v=True)
    for tag in sorted(ours):
        attempt(f"image {tag}", client.api.remove_image, tag, force=True)
    for identity in sorted(nameless):
        # by force, since with Podman a build that failed holds on to it
        attempt(f"image {identity[7:19]}", client.api.remove_image, identity, force=True)
    for identity in sorted(_nameless(client, stock)):  # parents of what went
        attempt(f"image {identity[7:19]}", client.api.remove_image, identity)
    for item in client.api.volumes()["Volumes"] or []:
        if item["Name"] not in stock["volumes"] and item["Name"] in stock["names"]:
            attempt(f"volume {item['Name']}", client.api.remove_volume, item["Name"])
    for item in client.api.networks():
        if item["Id"] not in stock["networks"] and item["Name"] in stock["names"]:
            attempt(f"network {item['Name']}", client.api.remove_network, item["Id"])
    return left


def _is_trace(item: dict[str, object], stock: Stock, images: set[str]) -> bool:
    labels = item.get("Labels") or {}
    assert isinstance(labels, dict)
    named = any(name in stock["names"] for name in _names(item))
    return named or LABEL_ATTEMPT in labels or LABEL_CHECKER in labels or str(item["ImageID"]) in images


def _nameless(client: DockerClient, stock: Stock) -> Iterator[str]:
    """New images without a tag or a digest that were built on a base of the level."""
    for item in client.api.images(all=True):
        if item["Id"] in stock["images"] or _tags(item):
            continue
        if any(digest and not digest.startswith("<none>") for digest in item.get("RepoDigests") or []):
            continue
        if {*_layers(client, str(item["Id"]))} & {*stock["bases"]}:
            yield str(item["Id"])


def _layers(client: DockerClient, image: str) -> list[str]:
    from docker.errors import NotFound

    try:
        return list(client.api.inspect_image(image)["RootFS"].get("Layers") or []) or [""]
    except NotFound:  # it went meanwhile
        return [""]


def _news(client: DockerClient, stock: Stock) -> Iterator[str]:
    for item in client.api.containers(all=True):
        if item["Id"] not in stock["containers"]:
            yield f"container {_names(item)[0]}"
    for item in client.api.images(all=True):
        if item["Id"] not in stock["images"]:
            yield f"image {(_tags(item) or [item['Id'][7:19]])[0]}"
        else:
            yield from (f"tag {tag}" for tag in _tags(item) if tag not in stock["tags"])
    for item in client.api.volumes()["Volumes"] or []:
        if item["Name"] not in stock["volumes"]:
            yield f"volume {item['Name']}"
    for item in client.api.networks():
        if item["Id"] not in stock["networks"]:
            yield f"network {item['Name']}"


def _tags(item: dict[str, object]) -> list[str]:
    tags = item.get("RepoTags") or []
    assert isinstance(tags, list)
    return [str(tag) for tag in tags if not str(tag).startswith("<none>")]


def _names(item: dict[str, object]) -> list[str]:
    names = item.get("Names") or [item["Id"]]
    assert isinstance(names, list)
    return [str(name).lstrip("/") for name in names]


def _repository(tag: str) -> str:
    return familiar(tag).rpartition(":")[0]
