"""The SQL of identity, on `person`, `person_private` and `login`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chiron.server.identity.model import Login, Me
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Row, Tx


def _me(row: Row) -> Me:
    return Me(
        person=row["id"],
        number=row["number"],
        name=row["name"],
        email=row["email"],
        locale=row["locale"],
        zone=row["zone"],
        created_at=milliseconds(row["created_at"]),
    )


async def insert_person(
    tx: Tx, *, id: UUID, email: str, name: str, password: str, locale: str, zone: str, now: datetime
) -> bool:
    """False when the address is taken; then nothing was written that a commit would keep."""
    await tx.execute(
        "INSERT INTO person (id, number, locale, zone, created_at) VALUES ($1, nextval('channel_number'), $2, $3, $4)",
        id,
        locale,
        zone,
        now,
    )
    inserted = await tx.fetchval(
        """INSERT INTO person_private (person, email, name, password) VALUES ($1, $2, $3, $4)
           ON CONFLICT (email) DO NOTHING RETURNING person""",
        id,
        email,
        name,
        password,
    )
    return inserted is not None


async def me(tx: Tx, person: UUID) -> Me | None:
    row = await tx.fetchrow(
        """SELECT p.id, p.number, p.locale, p.zone, p.created_at, v.name, v.email
           FROM person p JOIN person_private v ON v.person = p.id WHERE p.id = $1""",
        person,
    )
    return _me(row) if row else None


async def credentials(tx: Tx, email: str) -> tuple[UUID, str] | None:
    """(person, password hash) of an address."""
    row = await tx.fetchrow("SELECT person, password FROM person_private WHERE email = $1", email)
    return (row["person"], row["password"]) if row else None


async def insert_login(tx: Tx, *, id: UUID, person: UUID, secret: bytes, device: str, now: datetime) -> None:
    await tx.execute(
        """INSERT INTO login (id, person, secret, device, created_at, refreshed_at) VALUES ($1, $2, $3, $4, $5, $5)""",
        id,
        person,
        secret,
        device,
        now,
    )


async def login(tx: Tx, id: UUID) -> Login | None:
    row = await tx.fetchrow(
        "SELECT id, person, secret, generation, refreshed_at, ended_at FROM login WHERE id = $1", id
    )
    return Login(**row) if row else None


async def lock_login(tx: Tx, id: UUID) -> Login | None:
    """The same; nobody else changes it before this transaction ends."""
    row = await tx.fetchrow(
        "SELECT id, person, secret, generation, refreshed_at, ended_at FROM login WHERE id = $1 FOR UPDATE", id
    )
    return Login(**row) if row else None


async def advance_login(tx: Tx, id: UUID, generation: int, now: datetime) -> None:
    await tx.execute("UPDATE login SET generation = $2, refreshed_at = $3 WHERE id = $1", id, generation, now)


async def end_login(tx: Tx, id: UUID, now: datetime) -> bool:
    return (
        await tx.fetchval("UPDATE login SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING id", id, now)
        is not None
    )


async def ended_since(tx: Tx, since: datetime) -> list[UUID]:
    """Logins that ended after `since` (index `login_ended`)."""
    return [row["id"] for row in await tx.fetch("SELECT id FROM login WHERE ended_at > $1", since)]


async def names(tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
    rows = await tx.fetch("SELECT person, name FROM person_private WHERE person = ANY($1)", list(people))
    return {row["person"]: row["name"] for row in rows}


async def person_of(tx: Tx, email: str) -> UUID | None:
    person: UUID | None = await tx.fetchval("SELECT person FROM person_private WHERE email = $1", email)
    return person
