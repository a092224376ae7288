"""Migrations: plain SQL files, forward only, each applied once and never changed afterwards."""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from chiron.db.external import connect
from chiron.errors import SetupError, Unavailable
from chiron.server.ports import Database, StatementError, Tx

NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
LOCK = int.from_bytes(hashlib.sha256(b"chiron migrations").digest()[:8], "big", signed=True)
"""Key of the session advisory lock under which migrations run: two programs that start together take turns."""

APPLIED = "SELECT name, checksum, applied_at FROM schema_migration ORDER BY name"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `db/migrations`."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration as program and database know it; `applied_at` is None while it waits."""

    name: str
    applied_at: datetime | None


def bundled() -> list[Migration]:
    """The migrations of this program, in order. Raises `SetupError` when two have the same number."""
    folder = importlib.resources.files("chiron.db") / "migrations"
    files = sorted((file for file in folder.iterdir() if NAME.fullmatch(file.name)), key=lambda file: file.name)
    numbers = [file.name[:4] for file in files]
    if len(set(numbers)) != len(numbers):
        raise SetupError(f"Two migrations have the same number: {', '.join(file.name for file in files)}.")
    return [Migration(file.name, file.read_text(encoding="utf-8")) for file in files]


async def migrate(
    dsn: str, *, report: Callable[[str], None] = lambda _: None, migrations: Sequence[Migration] | None = None
) -> list[str]:
    """Bring the database up to this program; the names of what was applied. `report` gets each name before it runs.

    A file runs in one transaction with its entry in `schema_migration`. Raises `SetupError` when an applied file was
    changed or is missing here, when the database is newer than this program, or when a file fails.
    """
    known = bundled() if migrations is None else list(migrations)
    connection = await connect(dsn)
    try:
        # Ends with the connection. The wait is not bounded: the other program may be in a long migration.
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            report("waiting for another program that migrates this database")
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration"
            " (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL)"
        )
        applied = await _applied(connection)
        _compare(known, applied)
        waiting = [migration for migration in known if migration.name not in applied]
        for migration in waiting:
            report(migration.name)
            await _apply(connection, migration)
        return [migration.name for migration in waiting]
    finally:
        await connection.close(timeout=5)


async def status(dsn: str, *, migrations: Sequence[Migration] | None = None) -> list[MigrationStatus]:
    """Every migration of this program, in order, with the time at which the database got it.

    Changes nothing. Raises `SetupError` where `migrate` would refuse.
    """
    known = bundled() if migrations is None else list(migrations)
    connection = await connect(dsn)
    try:
        exists = await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL")
        applied = await _applied(connection) if exists else {}
    finally:
        await connection.close(timeout=5)
    _compare(known, applied)
    return [
        MigrationStatus(migration.name, applied[migration.name][1] if migration.name in applied else None)
        for migration in known
    ]


async def check(database: Database, *, migrations: Sequence[Migration] | None = None) -> str | None:
    """For `ports.Health`: None when the database has every migration of this program, else a sentence.

    Those of a newer one do no harm to what runs already: while servers are replaced one by one, the first migrates.
    """
    known = bundled() if migrations is None else list(migrations)

    async def look(tx: Tx) -> dict[str, str]:
        return {row["name"]: row["checksum"] for row in await tx.fetch(APPLIED)}

    try:
        applied = await database.read(look)
    except Unavailable as error:
        return str(error)
    except StatementError:
        return "The database has not been migrated."
    waiting = [migration.name for migration in known if applied.get(migration.name) != migration.checksum]
    return f"The database has not got {', '.join(waiting)} as this program has." if waiting else None


async def _applied(connection: asyncpg.Connection[Any]) -> dict[str, tuple[str, datetime]]:
    rows = await connection.fetch(APPLIED)
    return {row["name"]: (row["checksum"], row["applied_at"]) for row in rows}


def _compare(known: Sequence[Migration], applied: dict[str, tuple[str, datetime]]) -> None:
    ours = {migration.name: migration for migration in known}
    newest = max(ours, default="")
    newer = [name for name in applied if name > newest]
    if newer:
        raise SetupError(
            f"The database is newer than this program: it has {', '.join(newer)}. Install the newer version; "
            "migrations do not run backwards."
        )
    for name, (checksum, _) in applied.items():
        if name not in ours:
            raise SetupError(f"The database has migration {name}, which this program does not. Is it another build?")
        if ours[name].checksum != checksum:
            raise SetupError(
                f"Migration {name} was changed after it was applied to this database. Restore the file, and put the "
                "change into a migration of its own."
            )
    skipped = [name for name in ours if name not in applied and name < max(applied, default="")]
    if skipped:
        raise SetupError(f"Migration {skipped[0]} is older than what this database already has; give it a new number.")


async def _apply(connection: asyncpg.Connection[Any], migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql, timeout=None)
            await connection.execute(
                "INSERT INTO schema_migration (name, checksum, applied_at) VALUES ($1, $2, statement_timestamp())",
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        raise SetupError(f"Migration {migration.name} failed and left nothing behind: {error}") from error
