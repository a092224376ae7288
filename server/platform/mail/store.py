"""The SQL of `outbox_mail`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chiron.server.ports import Tx

MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Leased:
    """A mail that nobody else sends until the lease ends."""

    id: UUID
    recipient: bytes = field(repr=False)
    content: bytes = field(repr=False)
    put_at: datetime
    was_due: datetime
    attempts: int
    """This one included; names the lease."""


async def insert(tx: Tx, id: UUID, recipient: bytes, content: bytes, now: datetime) -> None:
    await tx.execute(
        "INSERT INTO outbox_mail (id, recipient, content, put_at, due) VALUES ($1, $2, $3, $4, $4)",
        id,
        recipient,
        content,
        now,
    )


async def lease(tx: Tx, now: datetime, until: datetime, most: int) -> list[Leased]:
    """What is due, in order of due. Rows that another worker is leasing are its own."""
    rows = await tx.fetch(
        """UPDATE outbox_mail SET due = $2, attempts = attempts + 1
           WHERE id = ANY(ARRAY(SELECT id FROM outbox_mail WHERE dead IS NULL AND due <= $1
                                ORDER BY due, id LIMIT $3 FOR UPDATE SKIP LOCKED))
           RETURNING id, recipient, content, put_at, old.due AS was_due, attempts""",
        now,
        until,
        most,
    )
    leased = [Leased(**row) for row in rows]
    return sorted(leased, key=lambda mail: (mail.was_due, mail.id))


async def release(tx: Tx, mails: Collection[Leased]) -> None:
    """Give back what was not tried, as it was."""
    await tx.execute(
        """UPDATE outbox_mail m SET due = r.due, attempts = m.attempts - 1
           FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[]) AS r (id, due, attempts)
           WHERE m.id = r.id AND m.attempts = r.attempts AND m.dead IS NULL""",
        [mail.id for mail in mails],
        [mail.was_due for mail in mails],
        [mail.attempts for mail in mails],
    )


async def postpone(tx: Tx, mail: Leased, due: datetime) -> None:
    await tx.execute(
        "UPDATE outbox_mail SET due = $3 WHERE id = $1 AND attempts = $2 AND dead IS NULL", mail.id, mail.attempts, due
    )


async def bury(tx: Tx, mail: Leased, reason: str, now: datetime) -> None:
    """Try it no more."""
    await tx.execute(
        "UPDATE outbox_mail SET dead = $3, died_at = $4 WHERE id = $1 AND attempts = $2 AND dead IS NULL",
        mail.id,
        mail.attempts,
        reason,
        now,
    )


async def expire(tx: Tx, now: datetime, put_before: datetime) -> list[UUID]:
    """Try no more what is due and was put so long ago; the ids."""
    rows = await tx.fetch(
        """UPDATE outbox_mail SET dead = 'expired', died_at = $1
           WHERE dead IS NULL AND due <= $1 AND put_at < $2 RETURNING id""",
        now,
        put_before,
    )
    return [row["id"] for row in rows]


async def remove(tx: Tx, ids: Collection[UUID]) -> None:
    await tx.execute("DELETE FROM outbox_mail WHERE id = ANY($1)", list(ids))


async def forget_dead(tx: Tx, died_before: datetime) -> None:
    await tx.execute("DELETE FROM outbox_mail WHERE dead IS NOT NULL AND died_at < $1", died_before)


async def count_waiting(tx: Tx) -> int:
    """At most `MOST_COUNTED`: a longer queue costs no more to look at."""
    count: int = await tx.fetchval(
        "SELECT count(*) FROM (SELECT FROM outbox_mail WHERE dead IS NULL LIMIT $1) AS waiting", MOST_COUNTED
    )
    return count
