"""The SQL of moderation, on `finding` and `moderator`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from chiron.server.moderation.model import Choice, Detail
from chiron.server.ports import Row, Tx


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of `finding`."""

    message: UUID
    conversation: UUID
    kind: str
    offset: int | None
    sender: UUID
    verdict: str
    done: str
    reasons: Sequence[str]
    scores: Sequence[float]
    severity: int
    detail: Detail
    created_at: datetime
    model: str = ""
    decision: Choice | None = None
    decided_at: datetime | None = None


_COLUMNS = (
    'message, conversation, kind, "offset", sender, verdict, done, reasons, scores, severity, detail, created_at, '
    "model, decision, decided_at"
)
_decode_detail = msgspec.json.Decoder(Detail).decode


def _kept(row: Row) -> Kept:
    return Kept(**{**row, "detail": _decode_detail(row["detail"])})


async def insert(tx: Tx, findings: Sequence[Kept]) -> None:
    await tx.executemany(
        """INSERT INTO finding (message, conversation, kind, "offset", sender, verdict, done, reasons, scores, severity,
                                detail, created_at, model)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)""",
        [
            (
                *(found.message, found.conversation, found.kind, found.offset, found.sender),
                *(found.verdict, found.done, list(found.reasons), list(found.scores), found.severity),
                *(msgspec.json.encode(found.detail).decode(), found.created_at, found.model),
            )
            for found in findings
        ],
    )


async def is_kept(tx: Tx, message: UUID) -> bool:
    return await tx.fetchval("SELECT true FROM finding WHERE message = $1", message) is True


async def finding(tx: Tx, message: UUID) -> Kept | None:
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM finding WHERE message = $1", message)  # noqa: S608 - constant
    return _kept(row) if row else None


# The oldest first: the index finding_held (message). Nobody is shown what is their own.
HELD = f"""
SELECT {_COLUMNS} FROM finding
WHERE done = 'hold' AND decision IS NULL AND message > $1 AND sender <> $2 ORDER BY message LIMIT $3
"""  # noqa: S608 - constant


async def held(tx: Tx, after: UUID, but_of: UUID, limit: int) -> list[Kept]:
    return [_kept(row) for row in await tx.fetch(HELD, after, but_of, limit)]


async def decide(tx: Tx, message: UUID, decision: Choice, by: UUID, now: datetime) -> bool:
    """False when it was decided before, or is not held."""
    decided = await tx.fetchval(
        """UPDATE finding SET decision = $2, decided_by = $3, decided_at = $4
           WHERE message = $1 AND done = 'hold' AND decision IS NULL RETURNING true""",
        message,
        decision,
        by,
        now,
    )
    return decided is True


# --- who decides ------------------------------------------------------------------------------------------------------


async def is_moderator(tx: Tx, person: UUID) -> bool:
    return await tx.fetchval("SELECT true FROM moderator WHERE person = $1", person) is True


async def moderators(tx: Tx) -> list[tuple[UUID, datetime]]:
    """(person, since when), in the order in which they became it."""
    rows = await tx.fetch("SELECT person, granted_at FROM moderator ORDER BY granted_at, person")
    return [(row["person"], row["granted_at"]) for row in rows]


async def grant(tx: Tx, person: UUID, now: datetime) -> bool:
    """False when they are one already."""
    granted = await tx.fetchval(
        "INSERT INTO moderator (person, granted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true", person, now
    )
    return granted is True


async def revoke(tx: Tx, person: UUID) -> bool:
    """False when they are none."""
    return await tx.fetchval("DELETE FROM moderator WHERE person = $1 RETURNING true", person) is True
