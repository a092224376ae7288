"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from database import MigratedDatabase
from hypothesis import settings

from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres
from chiron.db.migrate import migrate
from chiron.db.pool import Pool

# A busy machine is no defect: what must be quick is measured by benchmarks.
settings.register_profile("chiron", deadline=None)
settings.load_profile("chiron")

_numbers = itertools.count(1)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary folder whose path is short enough for Unix sockets and passable for the server's account."""
    folder = _open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def postgres_binaries() -> PostgresBinaries:
    """PostgreSQL's programs, as the product unpacks them."""
    return await PostgresBinaries.bundled()


@pytest.fixture(scope="session")
async def postgres(postgres_binaries: PostgresBinaries) -> AsyncIterator[EmbeddedPostgres]:
    """One PostgreSQL server for the whole session. Tests that harm a server start one of their own."""
    folder = _open_folder()
    server = EmbeddedPostgres(folder, postgres_binaries)
    await server.start()
    yield server
    await server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """A migrated database that nobody connects to, to be copied."""
    name = "migrated"
    await _create(postgres, f"CREATE DATABASE {name} OWNER chiron")
    await migrate(_in(postgres.dsn, name))
    return name


@pytest.fixture
async def database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[MigratedDatabase]:
    """A database of this test's own, with every migration applied and no rows but theirs."""
    name = f"test_{next(_numbers)}"
    await _create(postgres, f"CREATE DATABASE {name} OWNER chiron TEMPLATE {template}")
    pool = Pool(_in(postgres.dsn, name), size=4)
    await pool.start()
    yield MigratedDatabase(
        pool, _in(postgres.dsn, name), _in(postgres.tcp_dsn, name), _in(postgres.superuser_dsn, name)
    )
    await pool.stop()
    await _create(postgres, f"DROP DATABASE {name} WITH (FORCE)")


async def _create(postgres: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(postgres.superuser_dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _in(dsn: str, database: str) -> str:
    """The same server, another database."""
    before, _, query = dsn.partition("?")
    return f"{before.rpartition('/')[0]}/{database}?{query}"


def _open_folder() -> Path:
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    # The tests kill processes, not machines: where there is room, the disk need not spin for every fsync.
    folder = Path(tempfile.mkdtemp(prefix="chiron-", dir=memory if roomy else "/tmp"))
    folder.chmod(0o711)
    return folder
