"""Fixtures for controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.embedded.controllers.cluster import Cluster


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A cluster in which no controller runs yet."""
    made = Cluster()
    yield made
    await made.stop()
