"""Servers to use and to harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from serving import Server, servers


@pytest.fixture
async def new_server() -> AsyncIterator[Callable[[], Server]]:
    """Makes servers that are not started yet; they are gone after the test."""
    async with servers() as make:
        yield make


@pytest.fixture
async def server(new_server: Callable[[], Server]) -> Server:
    """One that serves."""
    made = new_server()
    await made.start()
    return made
