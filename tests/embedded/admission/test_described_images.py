"""ConfigMaps that describe images: what makes no sense is refused, and said."""

from __future__ import annotations

import time
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


LAUGHS = "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}], " for n in range(8))


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("{repository: acme/shop, ports: 5}", "makes no sense (TypeError"),
        ("{repository: acme/shop, files: {/a: {owner: ²}}}", "makes no sense (ValueError"),
        ("{repository: acme/shop, program: {path: /a, needs: [5]}}", "makes no sense (AttributeError"),
        ("{repository: acme/shop, user: !!bool x}", "makes no sense (KeyError"),
        (f"{{a0: &a0 [x], {LAUGHS}repository: *a8}}", "aliases (*a0) are not known here"),
        ("[" * 5000, "too deep"),
        ("1" + ":1" * 100_000, "… is no number"),
        ('{repository: acme/shop, size: "' + "9" * 5000 + '"}', "… is no number"),
    ],
)
async def test_nobody_waits_for_what_makes_no_sense(server: Server, spec: str, complaint: str) -> None:
    begun = time.process_time()
    answer = await server.json("POST", MAPS, images(spec), code=403)
    assert complaint in answer["message"]
    assert time.process_time() - begun < 3
