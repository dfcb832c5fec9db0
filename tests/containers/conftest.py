from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from kuartui.containers.engine import Docker
from tests.containers.standin import base_image, reason_to_skip


@pytest.fixture(scope="session")
def base() -> Iterator[None]:
    """A running engine with the base image of levels; skips where there is none."""
    if reason_to_skip():
        pytest.skip(reason_to_skip())
    with base_image():
        yield


@pytest.fixture
async def docker(base: None) -> AsyncIterator[Docker]:
    engine = Docker()
    yield engine
    engine.close()
