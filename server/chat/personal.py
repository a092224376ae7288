"""The personal channel's log: `person_log` and `person.head`.

It lives in chat and not in identity because its rows are written in the committer's transaction, together with the
membership they tell of; whoever else must tell people something durably hands the committer a unit that does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chiron.server.ports import ChannelView, Record, Row, Tx


@dataclass(frozen=True, slots=True)
class Notice:
    """A row that asks for an offset of a person's own channel."""

    id: UUID
    person: UUID
    kind: str
    body: bytes
    time: datetime


async def lock(tx: Tx, people: Collection[UUID], *, wait: bool) -> set[UUID]:
    """Lock rows of `person` in one order for everybody, after those of conversations; those that were locked.

    What is missing does not exist or, without `wait`, is locked by somebody else.
    """
    rows = await tx.fetch(
        f"SELECT id FROM person WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE {'' if wait else 'SKIP LOCKED'}",  # noqa: S608
        sorted(people),
    )
    return {row["id"] for row in rows}


async def existing(tx: Tx, people: Collection[UUID]) -> set[UUID]:
    rows = await tx.fetch("SELECT id FROM person WHERE id = ANY($1)", list(people))
    return {row["id"] for row in rows}


_WRITE = """
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
        WITH ORDINALITY AS i (id, person, kind, body, created_at, position)
), numbered AS MATERIALIZED (
    SELECT i.*, p.number, p.head + row_number() OVER (PARTITION BY i.person ORDER BY i.position) AS "offset"
    FROM input i JOIN person p ON p.id = i.person
), inserted AS (
    INSERT INTO person_log (person, "offset", id, kind, body, created_at)
    SELECT person, "offset", id, kind, body::json, created_at FROM numbered
), headed AS (
    UPDATE person p SET head = n.head
    FROM (SELECT person, max("offset") AS head FROM numbered GROUP BY person) n WHERE p.id = n.person
)
SELECT number, "offset" FROM numbered ORDER BY position
"""


async def write(tx: Tx, notices: Sequence[Notice]) -> list[Record]:
    """Log notices in the order given. The caller holds the locks of the people, taken in an earlier statement."""
    rows = await tx.fetch(
        _WRITE,
        [n.id for n in notices],
        [n.person for n in notices],
        [n.kind for n in notices],
        [n.body.decode() for n in notices],
        [n.time for n in notices],
    )
    return [
        Record(
            number=row["number"],
            offset=row["offset"],
            message=notice.id,
            ordinal=0,
            time=notice.time,
            author=notice.person,
            kind=notice.kind,
            body=notice.body,
        )
        for notice, row in zip(notices, rows, strict=True)
    ]


async def is_written(tx: Tx, person: UUID, offset: int, id: UUID) -> bool:
    """Whether this very row took this offset."""
    return (
        await tx.fetchval(
            'SELECT true FROM person_log WHERE person = $1 AND "offset" = $2 AND id = $3', person, offset, id
        )
        is True
    )


async def view(tx: Tx, person: UUID) -> ChannelView | None:
    row = await tx.fetchrow("SELECT number, head, 0 AS floor FROM person WHERE id = $1", person)
    return ChannelView(**row) if row else None


# Both directions: a range of the primary key (person, offset).
RECORDS_AFTER = """
SELECT "offset", id, kind, body, created_at FROM person_log
WHERE person = $1 AND "offset" > $2 ORDER BY "offset" LIMIT $3
"""
RECORDS_BEFORE = """
SELECT "offset", id, kind, body, created_at FROM person_log
WHERE person = $1 AND "offset" < $2 ORDER BY "offset" DESC LIMIT $3
"""


async def records_after(tx: Tx, person: UUID, number: int, after: int, limit: int) -> list[Record]:
    return [_record(row, person, number) for row in await tx.fetch(RECORDS_AFTER, person, after, limit)]


async def records_before(tx: Tx, person: UUID, number: int, before: int, limit: int) -> list[Record]:
    """The newest below `before`, in rising order."""
    return [_record(row, person, number) for row in reversed(await tx.fetch(RECORDS_BEFORE, person, before, limit))]


def _record(row: Row, person: UUID, number: int) -> Record:
    return Record(
        number=number,
        offset=row["offset"],
        message=row["id"],
        ordinal=0,
        time=row["created_at"],
        author=person,
        kind=row["kind"],
        body=row["body"].encode(),
    )
