"""ConfigMaps that describe images: what makes no sense is refused, and said."""

from __future__ import annotations

from typing import Any

import pytest

from kuartui.embedded.admission.described_images import DescribedImages
from tests.embedded.api.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"
LABELS = {"kuartui.dev/images": "true"}


@pytest.fixture
async def server() -> Server:
    made = Server()
    made.rest.admission.add(DescribedImages())
    return made


def images(spec: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "images", "labels": LABELS if labels is None else labels},
        "data": {"shop": f"kind: Image\nspec: {spec}"},
    }


async def test_what_makes_no_sense_is_refused(server: Server) -> None:
    program = "{path: /app/serve, port: 80, startAfter: soon}"
    answer = await server.json("POST", MAPS, images(f"{{repository: acme/shop, program: {program}}}"), code=403)
    assert answer["message"].endswith("is forbidden: shop: spec.program.startAfter: 'soon' is no duration")


async def test_what_makes_sense_passes(server: Server) -> None:
    await server.json("POST", MAPS, images("{repository: acme/shop, base: alpine}"), code=201)


async def test_a_base_may_come_later(server: Server) -> None:
    await server.json("POST", MAPS, images("{repository: acme/shop, base: 'acme/base:1'}"), code=201)


async def test_others_are_left_alone(server: Server) -> None:
    await server.json("POST", MAPS, images("{repository: '::'}", labels={}), code=201)
