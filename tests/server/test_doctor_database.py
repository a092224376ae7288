"""`chiron doctor` and PostgreSQL: servers and databases that lack something, and what it says of them."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from commands import chiron, nobody
from database import MigratedDatabase
from serving import until

from chiron.db.binaries import PostgresBinaries
from chiron.db.embedded import EmbeddedPostgres
from chiron.server.config import Settings
from chiron.server.doctor import Fault, Subject, clock
from chiron.server.doctor import database as postgresql
from chiron.server.doctor.findings import Found

Look = Callable[[str], Awaitable[Found]]


def only(found: Found) -> Fault:
    _, faults = found
    assert len(faults) == 1, faults
    return faults[0]


@pytest.fixture
async def look(tmp_path: Path) -> AsyncIterator[Look]:
    """Examine the database at an address."""
    subjects: list[Subject] = []

    async def examine(dsn: str) -> Found:
        subjects.append(Subject(Settings(data_dir=tmp_path, database=dsn)))
        return await postgresql.database(subjects[-1])

    yield examine
    for subject in subjects:
        if subject.connection is not None:
            await subject.connection.close()


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


# --- one's own --------------------------------------------------------------------------------------------------------


async def test_a_database_as_it_should_be(look: Look, bare_database: str) -> None:
    summary, faults = await look(bare_database)
    assert summary.startswith("PostgreSQL 18.1 at ")
    assert faults == []


@pytest.mark.parametrize(("user", "query"), [("chiron:hunter2", ""), ("chiron", "?password=hunter2")])
async def test_a_database_that_does_not_answer_is_78_and_hides_its_password(
    tmp_path: Path, user: str, query: str
) -> None:
    address = nobody().replace("http://", f"postgresql://{user}@") + f"/chiron{query}"
    outcome = await chiron("doctor", "--data-dir", str(tmp_path / "data"), CHIRON_DATABASE=address)
    assert outcome.status == 78
    assert "problem: PostgreSQL at 127.0.0.1:" in outcome.output
    assert f"    pg_isready -d {address.replace(':hunter2', '').removesuffix(query)}\n" in outcome.output
    assert "hunter2" not in outcome.output + outcome.said
    assert "not compared" in outcome.output


async def test_a_wrong_password_and_a_missing_database_are_told_apart(look: Look, postgres: EmbeddedPostgres) -> None:
    before, _, behind = postgres.dsn.rpartition("@")
    wrong = only(await look(f"{before.rpartition(':')[0]}:guess@{behind}"))
    assert "refuses: password authentication failed" in wrong.sentence
    assert "guess" not in str(wrong)
    missing = only(await look(postgres.dsn.replace("/chiron?", "/none?")))
    assert 'database "none" does not exist' in missing.sentence
    assert missing.mend == ("createdb --encoding=UTF8 --template=template0 --owner=USER none",)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("ALTER DATABASE bare SET synchronous_commit = off", "synchronous_commit = off: a crash loses messages"),
        ("ALTER ROLE chiron SET synchronous_commit = off", "synchronous_commit = off: a crash loses messages"),
        ("ALTER ROLE chiron IN DATABASE bare SET synchronous_commit = off", "synchronous_commit = off"),
        ("ALTER DATABASE bare SET default_transaction_read_only = on", "lets nothing be written"),
    ],
)
async def test_a_setting_that_breaks_a_promise_is_mended_by_what_it_says(
    look: Look, bare_database: str, postgres: EmbeddedPostgres, spoil: str, words: str
) -> None:
    await execute(postgres.superuser_dsn, spoil)
    try:
        fault = only(await look(bare_database))
        assert fault.state == "problem"
        assert words in fault.sentence
        await execute(postgres.superuser_dsn, *fault.mend)
        assert (await look(bare_database))[1] == []
    finally:
        await execute(
            postgres.superuser_dsn, "ALTER ROLE chiron RESET ALL", "ALTER ROLE chiron IN DATABASE bare RESET ALL"
        )


async def test_a_user_without_rights_is_told_which_to_grant(
    look: Look, bare_database: str, postgres: EmbeddedPostgres
) -> None:
    name = f"guest_{uuid4().hex[:8]}"
    await execute(postgres.superuser_dsn, f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    guest = f"postgresql://{name}:guest@{bare_database.rpartition('@')[2]}"
    try:
        fault = only(await look(guest))
        assert fault.sentence == f"User {name} may not make tables in database bare."
        command, _, _ = fault.mend[0].partition("   (")
        await execute(bare_database, command)
        assert (await look(guest))[1] == []

    finally:
        await execute(bare_database, f"REVOKE ALL ON SCHEMA public FROM {name}")
        await execute(postgres.superuser_dsn, f"DROP ROLE {name}")


async def test_a_database_without_unicode_is_a_problem(look: Look, postgres: EmbeddedPostgres) -> None:
    await execute(
        postgres.superuser_dsn,
        "CREATE DATABASE ascii OWNER chiron ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
    )
    try:
        fault = only(await look(postgres.dsn.replace("/chiron?", "/ascii?")))
        assert "stores text as SQL_ASCII" in fault.sentence
        assert "--encoding=UTF8" in fault.mend[0]
    finally:
        await execute(postgres.superuser_dsn, "DROP DATABASE ascii WITH (FORCE)")


# --- migrations and clock ---------------------------------------------------------------------------------------------


async def examined(dsn: str, folder: Path) -> Subject:
    subject = Subject(Settings(data_dir=folder, database=dsn))
    await postgresql.database(subject)
    assert subject.connection is not None
    return subject


async def test_migrations_are_counted(bare_database: str, database_of: Look) -> None:
    summary, faults = await database_of(bare_database)
    assert summary.startswith("none of ")
    assert faults == []


@pytest.fixture
async def database_of(tmp_path: Path) -> AsyncIterator[Look]:
    """Compare the migrations of the database at an address."""
    subjects: list[Subject] = []

    async def compare(dsn: str) -> Found:
        subjects.append(await examined(dsn, tmp_path))
        return await postgresql.migrations(subjects[-1])

    yield compare
    for subject in subjects:
        if subject.connection is not None:
            await subject.connection.close()


async def test_migrations_that_are_missing_or_too_new_are_named(database: MigratedDatabase, database_of: Look) -> None:
    summary, faults = await database_of(database.dsn)
    assert (summary[:4], summary[-8:], faults) == ("all ", " applied", [])
    connection = await asyncpg.connect(database.dsn)
    newest = await connection.fetchval(
        "DELETE FROM schema_migration WHERE name = (SELECT max(name) FROM schema_migration) RETURNING name"
    )
    missing = only(await database_of(database.dsn))
    assert (missing.state, newest in missing.sentence) == ("warning", True)
    assert missing.mend == ("chiron migrate",)
    await connection.execute("INSERT INTO schema_migration VALUES ('9999_of_tomorrow.sql', '', statement_timestamp())")
    newer = only(await database_of(database.dsn))
    assert newer.state == "problem"
    assert "newer than this program: it has 9999_of_tomorrow.sql" in newer.sentence
    await connection.close()


async def test_a_login_of_the_future_says_that_tokens_are_refused(database: MigratedDatabase, tmp_path: Path) -> None:
    subject = await examined(database.dsn, tmp_path)
    assert subject.connection is not None
    assert (await clock.clock(subject))[1] == []
    later = datetime.now(UTC) + timedelta(hours=5)
    connection = await asyncpg.connect(database.dsn)
    person = uuid4()
    await connection.execute("INSERT INTO person (id, number, created_at) VALUES ($1, 1, $2)", person, later)
    await connection.execute(
        "INSERT INTO login (id, person, secret, created_at, refreshed_at) VALUES ($1, $2, '', $3, $3)",
        *(uuid4(), person, later),
    )
    fault = only(await clock.clock(subject))
    assert fault.state == "problem"
    assert "The newest login was made 5 hours in the future" in fault.sentence
    assert "refused" in fault.sentence
    await connection.close()
    await subject.connection.close()


# --- the embedded one -------------------------------------------------------------------------------------------------


@pytest.fixture
async def embedded(short_tmp: Path, postgres_binaries: PostgresBinaries) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(short_tmp, postgres_binaries)
    await server.start()
    yield server
    await server.stop()


async def test_the_embedded_one_is_described_in_every_state(embedded: EmbeddedPostgres, short_tmp: Path) -> None:
    async def now() -> Found:
        subject = Subject(Settings(data_dir=short_tmp))
        found = await postgresql.database(subject)
        if subject.connection is not None:
            await subject.connection.close()
        return found

    assert await now() == (f"PostgreSQL 18.1, process {embedded.pid}, answers", [])
    assert embedded.pid is not None
    os.kill(embedded.pid, signal.SIGKILL)
    await until(lambda: not embedded.running, lambda: "it lives")

    async def alone() -> bool:
        return (await now())[1] == []

    await until(alone, lambda: "backends of the dead server are left")
    assert (await now())[0] == (
        "PostgreSQL 18 is stopped (in production), and will recover at the next start (nothing is lost)"
    )
    await embedded.start()
    await embedded.stop()
    assert await now() == ("PostgreSQL 18 is stopped (shut down)", [])
    version = embedded.home / "cluster" / "PG_VERSION"
    version.write_text("17\n")
    assert "was made by PostgreSQL 17, and this is PostgreSQL 18" in only(await now()).sentence
    version.unlink()
    assert "is not a PostgreSQL cluster" in only(await now()).sentence
