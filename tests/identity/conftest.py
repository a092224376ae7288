from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from accounts import World, world_of


@pytest.fixture
async def world(database: Any) -> AsyncIterator[World]:
    async with world_of(database.pool) as made:
        yield made


@pytest.fixture
async def open_world(database: Any) -> AsyncIterator[World]:
    """Where no verification is asked for."""
    async with world_of(database.pool, verification="off") as made:
        yield made
