"""Migrations: applied once, in order, by one program at a time, and refused where the history does not fit."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from database import MigratedDatabase

from chiron.db.embedded import EmbeddedPostgres
from chiron.db.migrate import Migration, bundled, check, migrate, status
from chiron.db.pool import Pool
from chiron.errors import SetupError

_numbers = itertools.count(1)

FIRST = Migration("0001_first.sql", "CREATE TABLE first (id integer);")
SECOND = Migration("0002_second.sql", "CREATE TABLE second (id integer); INSERT INTO second VALUES (1);")

UNCLASSED = """
    SELECT format('%I.%I', c.relname, a.attname)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname NOT IN ('schema_migration', 'instance')
      AND coalesce(col_description(c.oid, a.attnum), '') !~ '^(public|shared|personal|secret|system): .'
    ORDER BY 1
"""
"""Columns whose comment does not begin with a privacy class (`0001_spine.sql` says what the classes mean)."""


@pytest.fixture
async def empty(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """Address of a database without tables."""
    name = f"empty_{next(_numbers)}"
    operator = await asyncpg.connect(postgres.superuser_dsn)
    await operator.execute(f"CREATE DATABASE {name} OWNER chiron")
    yield postgres.dsn.replace("/chiron?", f"/{name}?")
    await operator.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await operator.close()


async def _tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def test_every_column_has_a_privacy_class(database: MigratedDatabase) -> None:
    rows = await database.pool.read(lambda tx: tx.fetch(UNCLASSED))
    assert [row["format"] for row in rows] == []


async def test_a_column_without_privacy_class_would_be_found(database: MigratedDatabase) -> None:
    await database.pool.run(lambda tx: tx.execute("CREATE TABLE diary (entry text)"))
    rows = await database.pool.read(lambda tx: tx.fetch(UNCLASSED))
    assert [row["format"] for row in rows] == ["diary.entry"]


async def test_the_programs_own_files_are_applied_in_order_and_only_once(empty: str) -> None:
    reported: list[str] = []
    applied = await migrate(empty, report=reported.append)
    assert applied == reported == [migration.name for migration in bundled()]
    assert applied[0] == "0001_spine.sql"
    assert {"person", "message", "schema_migration"} <= await _tables(empty)
    assert await migrate(empty) == []


def test_a_checksum_is_that_of_the_file() -> None:
    folder = Path(__file__).parents[2] / "db" / "migrations"
    assert {migration.name: migration.checksum for migration in bundled()} == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.sql")
    }


async def test_status_tells_what_waits_and_changes_nothing(empty: str) -> None:
    assert [row.applied_at for row in await status(empty, migrations=[FIRST])] == [None]
    assert await _tables(empty) == set()
    await migrate(empty, migrations=[FIRST])
    first, second = await status(empty, migrations=[FIRST, SECOND])
    assert first.applied_at is not None
    assert second.applied_at is None


async def test_programs_that_start_together_take_turns(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty, migrations=[FIRST, SECOND]) for _ in range(5)))
    assert sorted(name for names in applied for name in names) == [FIRST.name, SECOND.name]
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT count(*) FROM second") == 1
    await connection.close()


async def test_a_changed_file_is_refused(empty: str) -> None:
    await migrate(empty, migrations=[FIRST])
    changed = Migration(FIRST.name, FIRST.sql + " -- more")
    for call in (migrate, status):
        with pytest.raises(SetupError, match=r"0001_first\.sql was changed"):
            await call(empty, migrations=[changed, SECOND])
    assert "second" not in await _tables(empty)


async def test_a_missing_file_is_refused(empty: str) -> None:
    await migrate(empty, migrations=[FIRST, SECOND])
    with pytest.raises(SetupError, match=r"has migration 0001_first\.sql, which this program does not"):
        await migrate(empty, migrations=[SECOND])


async def test_a_database_newer_than_the_program_is_refused(empty: str) -> None:
    await migrate(empty, migrations=[FIRST, SECOND])
    with pytest.raises(SetupError, match=r"newer than this program: it has 0002_second\.sql") as caught:
        await migrate(empty, migrations=[FIRST])
    assert caught.value.exit_status == 78


async def test_a_file_that_slips_in_before_an_applied_one_is_refused(empty: str) -> None:
    await migrate(empty, migrations=[SECOND])
    with pytest.raises(SetupError, match=r"0001_first\.sql is older"):
        await migrate(empty, migrations=[FIRST, SECOND])


async def test_a_file_that_fails_leaves_nothing_and_those_before_it_stay(empty: str) -> None:
    broken = Migration("0002_broken.sql", "CREATE TABLE half (id integer); SELECT 1/0;")
    with pytest.raises(SetupError, match=r"0002_broken\.sql failed.*division by zero"):
        await migrate(empty, migrations=[FIRST, broken])
    assert await _tables(empty) == {"first", "schema_migration"}
    assert await migrate(empty, migrations=[FIRST, SECOND]) == [SECOND.name]


async def test_a_database_is_well_once_it_has_what_this_program_needs(empty: str) -> None:
    pool = Pool(empty, size=2)
    await pool.start()
    try:
        assert await check(pool, migrations=[FIRST]) == "The database has not been migrated."
        await migrate(empty, migrations=[FIRST])
        assert await check(pool, migrations=[FIRST]) is None
        missing = await check(pool, migrations=[FIRST, SECOND])
        assert missing is not None
        assert SECOND.name in missing
        other = await check(pool, migrations=[Migration(FIRST.name, "CREATE TABLE other ();")])
        assert other is not None
        await migrate(empty, migrations=[FIRST, SECOND])
        assert await check(pool, migrations=[FIRST]) is None, "a newer program may have been here"
    finally:
        await pool.stop()
