"""Fixtures for the API."""

from __future__ import annotations

import pytest

from tests.embedded.api.server import Server


@pytest.fixture
async def server() -> Server:
    """An empty API server."""
    return Server()
