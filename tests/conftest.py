"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from database import MigratedDatabase
from hypothesis import settings
from serving import open_folder

from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres
from chiron.db.migrate import migrate
from chiron.db.pool import Pool

# A busy machine is no defect: what must be quick is measured by benchmarks.
settings.register_profile("chiron", deadline=None)
settings.load_profile("chiron")

LONG = (
    "e2e/test_kill.py",
    "server/test_supervisor.py",
    "bench/test_bench.py",
    "adversity/test_bad_frames.py",
    "e2e/test_account.py",
    "e2e/test_page.py",
    "e2e/test_webtransport.py",
    "server/test_cli.py",
    "server/test_reload.py",
    "server/test_doctor.py",
    "conformance/test_access.py",
    "conformance/test_access_communities.py",
)
"""Files that take the longest, the longest first; they come before all others, which are in any order."""

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several files run at a time, none that takes minutes is begun when the others are about to end."""
    here = Path(__file__).parent
    turns = {here / name: turn for turn, name in enumerate(LONG)}
    items.sort(key=lambda item: turns.get(item.path, len(LONG)))


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary folder as servers have."""
    folder = open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def postgres_binaries() -> PostgresBinaries:
    """PostgreSQL's programs, as the product unpacks them."""
    return await PostgresBinaries.bundled()


@pytest.fixture(scope="session")
async def postgres(postgres_binaries: PostgresBinaries) -> AsyncIterator[EmbeddedPostgres]:
    """One PostgreSQL server for the whole session. Tests that harm a server start one of their own."""
    folder = open_folder()
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
