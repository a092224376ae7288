"""The SQL of identity, on `person`, `person_private`, `login`, `proof`, `mentor_profile` and `mentee_profile`.

Who locks rows of several tables takes them in this order: proof, person_private, login.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chiron.server.identity.model import Login, Me, Profile, ProfileKind, ProfileState, StoredLogin, StoredProof
from chiron.server.identity.proofs import Purpose
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Row, Tx

ONE_VERIFIED = "person_private_verified"
"""The constraint that an address is verified by one person."""

# --- people -----------------------------------------------------------------------------------------------------------


def _me(row: Row) -> Me:
    return Me(
        person=row["id"],
        number=row["number"],
        name=row["name"],
        email=row["email"],
        verified=row["verified_at"] is not None,
        locale=row["locale"],
        zone=row["zone"],
        created_at=milliseconds(row["created_at"]),
    )


async def insert_person(
    tx: Tx,
    *,
    id: UUID,
    email: str,
    name: str,
    password: str,
    locale: str,
    zone: str,
    now: datetime,
    verified_at: datetime | None,
) -> bool:
    """False when the address is verified by another; then nothing was written that a commit would keep."""
    await tx.execute(
        "INSERT INTO person (id, number, locale, zone, created_at) VALUES ($1, nextval('channel_number'), $2, $3, $4)",
        id,
        locale,
        zone,
        now,
    )
    inserted = await tx.fetchval(
        """INSERT INTO person_private (person, email, name, password, verified_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (email) WHERE verified_at IS NOT NULL DO NOTHING RETURNING person""",
        id,
        email,
        name,
        password,
        verified_at,
    )
    return inserted is not None


async def me(tx: Tx, person: UUID) -> Me | None:
    row = await tx.fetchrow(
        """SELECT p.id, p.number, p.locale, p.zone, p.created_at, v.name, v.email, v.verified_at
           FROM person p JOIN person_private v ON v.person = p.id WHERE p.id = $1""",
        person,
    )
    return _me(row) if row else None


async def change_me(tx: Tx, person: UUID, *, name: str | None, locale: str | None, zone: str | None) -> None:
    """None leaves what is there."""
    await tx.execute("UPDATE person_private SET name = coalesce($2, name) WHERE person = $1", person, name)
    await tx.execute(
        "UPDATE person SET locale = coalesce($2, locale), zone = coalesce($3, zone) WHERE id = $1", person, locale, zone
    )


async def credentials(tx: Tx, email: str) -> tuple[UUID, str] | None:
    """(person, password hash) of a verified address."""
    row = await tx.fetchrow(
        "SELECT person, password FROM person_private WHERE email = $1 AND verified_at IS NOT NULL", email
    )
    return (row["person"], row["password"]) if row else None


async def own_credentials(tx: Tx, person: UUID) -> tuple[str, str, bool] | None:
    """(e-mail address, password hash, whether the address is verified)."""
    row = await tx.fetchrow("SELECT email, password, verified_at FROM person_private WHERE person = $1", person)
    return (row["email"], row["password"], row["verified_at"] is not None) if row else None


async def lock_password(tx: Tx, person: UUID, password: str) -> bool:
    """Whether this is the stored hash, until this transaction ends."""
    found: UUID | None = await tx.fetchval(
        "SELECT person FROM person_private WHERE person = $1 AND password = $2 FOR SHARE", person, password
    )
    return found is not None


async def replace_password(tx: Tx, person: UUID, old: str, new: str) -> bool:
    """Both are hashes; False when the old one is no longer it."""
    changed = await tx.fetchval(
        "UPDATE person_private SET password = $3 WHERE person = $1 AND password = $2 RETURNING person", person, old, new
    )
    return changed is not None


async def reset_password(tx: Tx, person: UUID, email: str, password: str, now: datetime) -> bool:
    """Set the hash, and the address verified. False when the account is gone or has another address.

    Raises StatementError of ONE_VERIFIED when somebody else has verified the address.
    """
    changed = await tx.fetchval(
        """UPDATE person_private SET password = $3, verified_at = coalesce(verified_at, $4)
           WHERE person = $1 AND email = $2 RETURNING person""",
        person,
        email,
        password,
        now,
    )
    return changed is not None


async def has_password(tx: Tx, person: UUID, password: str) -> bool:
    """Whether this is the stored hash: its salt is random, so it tells one change from every other."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM person_private WHERE person = $1 AND password = $2)", person, password
    )
    return found


async def verify(tx: Tx, person: UUID, email: str, now: datetime) -> bool:
    """False when the account is gone or has another address.

    Raises StatementError of ONE_VERIFIED when somebody else has verified the address.
    """
    verified = await tx.fetchval(
        """UPDATE person_private SET verified_at = coalesce(verified_at, $3)
           WHERE person = $1 AND email = $2 RETURNING person""",
        person,
        email,
        now,
    )
    return verified is not None


async def who_resets(tx: Tx, email: str) -> UUID | None:
    """Who verified the address, else who registered last with it: the mail proves whose it is."""
    person: UUID | None = await tx.fetchval(
        "SELECT person FROM person_private WHERE email = $1 ORDER BY verified_at IS NULL, person DESC LIMIT 1", email
    )
    return person


async def names(tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
    """Of verified people."""
    rows = await tx.fetch(
        "SELECT person, name FROM person_private WHERE person = ANY($1) AND verified_at IS NOT NULL", list(people)
    )
    return {row["person"]: row["name"] for row in rows}


async def person_of(tx: Tx, email: str) -> UUID | None:
    """Who verified this address."""
    person: UUID | None = await tx.fetchval(
        "SELECT person FROM person_private WHERE email = $1 AND verified_at IS NOT NULL", email
    )
    return person


async def addresses(tx: Tx, people: Sequence[UUID]) -> dict[UUID, str]:
    """Verified ones, by person."""
    rows = await tx.fetch(
        "SELECT person, email FROM person_private WHERE person = ANY($1) AND verified_at IS NOT NULL", list(people)
    )
    return {row["person"]: row["email"] for row in rows}


async def unverified(tx: Tx, before: UUID, limit: int) -> list[UUID]:
    """People whose ids were made before `before` and who have not verified their address, the oldest first."""
    rows = await tx.fetch(
        "SELECT person FROM person_private WHERE verified_at IS NULL AND person < $1 ORDER BY person LIMIT $2",
        before,
        limit,
    )
    return [row["person"] for row in rows]


async def erase_unverified(tx: Tx, people: Sequence[UUID]) -> list[UUID]:
    """Everything personal of those who have still not verified; the rows of `person` stay. Who was erased."""
    await tx.execute("DELETE FROM proof WHERE person = ANY($1)", list(people))
    rows = await tx.fetch(
        "DELETE FROM person_private WHERE person = ANY($1) AND verified_at IS NULL RETURNING person", list(people)
    )
    return [row["person"] for row in rows]


# --- logins -----------------------------------------------------------------------------------------------------------

_LOGIN = "SELECT id, person, secret, generation, refreshed_at, ended_at FROM login WHERE id = $1"
_ENDED = "ended_at = $1, ended_by = pg_current_xact_id()"
"""Both, always together: `ended_by` is how every worker learns of it."""


def _login(row: Row, current: UUID) -> Login:
    return Login(
        login=row["id"],
        device=row["device"],
        created_at=milliseconds(row["created_at"]),
        refreshed_at=milliseconds(row["refreshed_at"]),
        current=row["id"] == current,
    )


async def insert_login(tx: Tx, *, id: UUID, person: UUID, secret: bytes, device: str, now: datetime) -> None:
    await tx.execute(
        """INSERT INTO login (id, person, secret, device, created_at, refreshed_at) VALUES ($1, $2, $3, $4, $5, $5)""",
        id,
        person,
        secret,
        device,
        now,
    )


async def login(tx: Tx, id: UUID) -> StoredLogin | None:
    row = await tx.fetchrow(_LOGIN, id)
    return StoredLogin(**row) if row else None


async def lock_login(tx: Tx, id: UUID) -> StoredLogin | None:
    """The same; nobody else changes it before this transaction ends."""
    row = await tx.fetchrow(f"{_LOGIN} FOR UPDATE", id)
    return StoredLogin(**row) if row else None


async def advance_login(tx: Tx, id: UUID, generation: int, now: datetime) -> None:
    await tx.execute("UPDATE login SET generation = $2, refreshed_at = $3 WHERE id = $1", id, generation, now)


async def logins_of(tx: Tx, person: UUID, current: UUID, below: UUID, limit: int) -> list[Login]:
    """Those that have not ended, the newest first (index `login_of_person`)."""
    rows = await tx.fetch(
        """SELECT id, device, created_at, refreshed_at FROM login
           WHERE person = $1 AND id < $2 AND ended_at IS NULL ORDER BY id DESC LIMIT $3""",
        person,
        below,
        limit,
    )
    return [_login(row, current) for row in rows]


async def name_device(tx: Tx, person: UUID, login: UUID, current: UUID, device: str) -> Login | None:
    """None when the person has no such login that has not ended."""
    row = await tx.fetchrow(
        """UPDATE login SET device = $3 WHERE id = $2 AND person = $1 AND ended_at IS NULL
           RETURNING id, device, created_at, refreshed_at""",
        person,
        login,
        device,
    )
    return _login(row, current) if row else None


async def end_login(tx: Tx, id: UUID, now: datetime) -> None:
    await tx.execute(f"UPDATE login SET {_ENDED} WHERE id = $2 AND ended_at IS NULL", now, id)  # noqa: S608 - constant


async def end_logins(tx: Tx, people: Sequence[UUID], now: datetime, *, but: UUID | None = None) -> list[UUID]:
    """All logins of these people; what has ended by it."""
    rows = await tx.fetch(
        f"UPDATE login SET {_ENDED} WHERE person = ANY($2) AND id IS DISTINCT FROM $3 AND ended_at IS NULL"  # noqa: S608 - constant
        " RETURNING id",
        now,
        list(people),
        but,
    )
    return [row["id"] for row in rows]


async def ended_at(tx: Tx, people: Sequence[UUID], moment: datetime) -> list[UUID]:
    """Logins of these people that ended at exactly this time."""
    rows = await tx.fetch("SELECT id FROM login WHERE person = ANY($1) AND ended_at = $2", list(people), moment)
    return [row["id"] for row in rows]


async def ended_since(tx: Tx, since: datetime) -> list[UUID]:
    """Logins that ended after `since` (index `login_ended`)."""
    return [row["id"] for row in await tx.fetch("SELECT id FROM login WHERE ended_at > $1", since)]


async def ended_from(tx: Tx, xid: int) -> tuple[int, list[UUID]]:
    """`oldest_running`, and logins that the transaction `xid` or a later one has ended (index `login_ended_by`).

    In one statement, whose snapshot both belong to.
    """
    row = await tx.fetchrow(
        """SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest,
                  ARRAY(SELECT id FROM login WHERE ended_by >= $1::text::xid8) AS ended""",
        str(xid),
    )
    assert row is not None
    return int(row["oldest"]), row["ended"]


async def drop_ended_logins(tx: Tx, before: datetime, limit: int) -> int:
    """Logins that ended before this; how many were dropped, the oldest first."""
    return await _drop_oldest(tx, "login", "ended_at", before, limit)


async def oldest_running(tx: Tx) -> int:
    """The oldest transaction that was still running at this snapshot: every older one it sees, or never will."""
    return int(await tx.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))


# --- one-time links ---------------------------------------------------------------------------------------------------


async def put_proof(
    tx: Tx, *, id: UUID, person: UUID, purpose: Purpose, email: str, now: datetime, expires_at: datetime
) -> None:
    """In the place of an older one of the same person and purpose."""
    await tx.execute(
        """INSERT INTO proof (person, purpose, id, email, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (person, purpose) DO UPDATE
           SET id = excluded.id, email = excluded.email, created_at = excluded.created_at,
               expires_at = excluded.expires_at""",
        person,
        purpose,
        id,
        email,
        now,
        expires_at,
    )


async def proof(tx: Tx, id: UUID) -> StoredProof | None:
    row = await tx.fetchrow("SELECT id, person, purpose, email, expires_at FROM proof WHERE id = $1", id)
    return StoredProof(**row) if row else None


async def take_proof(tx: Tx, id: UUID) -> StoredProof | None:
    """Use it up: of several at once one gets it, once its transaction commits."""
    row = await tx.fetchrow("DELETE FROM proof WHERE id = $1 RETURNING id, person, purpose, email, expires_at", id)
    return StoredProof(**row) if row else None


async def drop_proofs(tx: Tx, person: UUID, purpose: Purpose) -> None:
    await tx.execute("DELETE FROM proof WHERE person = $1 AND purpose = $2", person, purpose)


async def drop_expired_proofs(tx: Tx, now: datetime, limit: int) -> int:
    """How many were dropped, the oldest first."""
    return await _drop_oldest(tx, "proof", "expires_at", now, limit)


# --- profiles ---------------------------------------------------------------------------------------------------------

_SET_PROFILE: dict[ProfileKind, str] = {
    kind: f"""INSERT INTO {kind}_profile (person, state, created_at, changed_at) VALUES ($1, $2, $3, $3)
              ON CONFLICT (person) DO UPDATE SET state = excluded.state, changed_at = CASE
                  WHEN {kind}_profile.state = excluded.state THEN {kind}_profile.changed_at ELSE excluded.changed_at END
              RETURNING '{kind}' AS kind, state, created_at, changed_at"""  # noqa: S608 - constants
    for kind in ("mentor", "mentee")
}


def _profile(row: Row) -> Profile:
    return Profile(
        kind=row["kind"],
        state=row["state"],
        created_at=milliseconds(row["created_at"]),
        changed_at=milliseconds(row["changed_at"]),
    )


async def profiles(tx: Tx, person: UUID) -> list[Profile]:
    rows = await tx.fetch(
        """SELECT 'mentor' AS kind, state, created_at, changed_at FROM mentor_profile WHERE person = $1
           UNION ALL SELECT 'mentee', state, created_at, changed_at FROM mentee_profile WHERE person = $1""",
        person,
    )
    return [_profile(row) for row in rows]


async def set_profile(tx: Tx, person: UUID, kind: ProfileKind, state: ProfileState, now: datetime) -> Profile:
    row = await tx.fetchrow(_SET_PROFILE[kind], person, state, now)
    assert row is not None, "it returns what it wrote"
    return _profile(row)


# --- forgetting -------------------------------------------------------------------------------------------------------


async def _drop_oldest(tx: Tx, table: str, time: str, before: datetime, limit: int) -> int:
    """Rows whose `time` is before this, the oldest first, but for those that another worker is dropping."""
    status = await tx.execute(
        f"""DELETE FROM {table} WHERE id IN (
                SELECT id FROM {table} WHERE {time} < $1 ORDER BY {time} LIMIT $2 FOR UPDATE SKIP LOCKED)""",  # noqa: S608 - constants
        before,
        limit,
    )
    return int(status.removeprefix("DELETE "))
