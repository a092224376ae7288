"""What the units of work of identity have committed, row by row: a log that the database itself keeps.

Triggers copy each new row beside it, in the same transaction: of what is rolled back there is no trace.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from chiron.db.embedded import running_dsn
from chiron.server.platform.keys import Sealer, load_or_create

INSTALL = """
CREATE SCHEMA trail;
CREATE TABLE trail.made (unit xid8 NOT NULL DEFAULT pg_current_xact_id(), relation text NOT NULL, made jsonb NOT NULL);
CREATE FUNCTION trail.follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trail.made (relation, made) VALUES (TG_TABLE_NAME, to_jsonb(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER trail AFTER INSERT ON person FOR EACH ROW EXECUTE FUNCTION trail.follow();
CREATE TRIGGER trail AFTER INSERT ON person_private FOR EACH ROW EXECUTE FUNCTION trail.follow();
CREATE TRIGGER trail AFTER INSERT ON login FOR EACH ROW EXECUTE FUNCTION trail.follow();
CREATE TRIGGER trail AFTER INSERT ON outbox_mail FOR EACH ROW EXECUTE FUNCTION trail.follow();
CREATE TRIGGER trail AFTER INSERT OR UPDATE ON proof FOR EACH ROW EXECUTE FUNCTION trail.follow();
"""


@dataclass(frozen=True)
class Put:
    """A mail of a unit of work that was committed."""

    id: UUID
    to: str
    subject: str
    text: str
    put_at: datetime


@dataclass
class Unit:
    """The new rows of one transaction, by relation."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def shape(self) -> Counter[str]:
        return Counter({relation: len(rows) for relation, rows in self.rows.items()})


async def connected(data: Path) -> asyncpg.Connection[Any]:
    dsn = running_dsn(data)
    assert dsn is not None
    return await asyncpg.connect(dsn)


async def install(data: Path) -> None:
    """On the database of a server that runs."""
    connection = await connected(data)
    await connection.execute(INSTALL)
    await connection.close()


async def units(connection: asyncpg.Connection[Any]) -> list[Unit]:
    found: dict[str, Unit] = defaultdict(Unit)
    for row in await connection.fetch("SELECT unit::text, relation, made FROM trail.made"):
        found[row["unit"]].rows[row["relation"]].append(json.loads(row["made"]))
    return list(found.values())


def mails(units: list[Unit], keys: Path) -> dict[UUID, Put]:
    """Those that are to somebody, by id."""
    sealer = Sealer(load_or_create(keys).sealing)
    found = {}
    for unit in units:
        for row in unit.rows["outbox_mail"]:
            to, content = (_opened(sealer, column, row) for column in ("recipient", "content"))
            subject, _, text = content.partition("\n")
            if to:
                id = UUID(row["id"])
                found[id] = Put(id, to, subject, text, datetime.fromisoformat(row["put_at"]))
    return found


def _opened(sealer: Sealer, column: str, row: dict[str, Any]) -> str:
    sealed = bytes.fromhex(row[column].removeprefix("\\x"))
    return sealer.open(sealed, f"outbox_mail.{column} {row['id']}".encode()).rstrip(b"\0").decode()
