"""A fresh world for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.embedded.containers import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()
