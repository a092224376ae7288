"""A PostgreSQL server that a test may harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres


@pytest.fixture
async def own_server(short_tmp: Path, postgres_binaries: PostgresBinaries) -> AsyncIterator[EmbeddedPostgres]:
    """A running server of this test's own."""
    server = EmbeddedPostgres(short_tmp, postgres_binaries)
    await server.start()
    yield server
    await server.stop()
