"""Servers to use and to harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
from serving import Server, servers

from chiron.db.embedded import EmbeddedPostgres


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


@pytest.fixture
async def bare_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """Address of a database in which nothing is yet."""
    connection = await asyncpg.connect(postgres.superuser_dsn)
    await connection.execute("CREATE DATABASE bare OWNER chiron")
    yield postgres.dsn.replace("/chiron?", "/bare?")
    await connection.execute("DROP DATABASE bare WITH (FORCE)")
    await connection.close()
