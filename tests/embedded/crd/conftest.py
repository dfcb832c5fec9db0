"""Fixtures for custom resources: an API server that serves what CRDs define."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.embedded.crd.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """An API server with the controller of CRDs."""
    made = World()
    task = asyncio.create_task(made.registrar.run())
    await made.settle()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
