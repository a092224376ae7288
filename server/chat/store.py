"""The SQL of chat, on `conversation`, `member` and `message`. Each paged query names the index that serves it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chiron.server.ports import ALLOWED, ChannelView, Judgements, Record, Row, Tx

# --- offsets: what the committer runs ---------------------------------------------------------------------------------


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row that asks for an offset."""

    id: UUID
    conversation: UUID
    sender: UUID
    client_id: str
    kind: str
    body: bytes
    body_hash: bytes
    time: datetime
    ref: UUID | None = None
    counts: bool = True
    """Whether it counts as unread, and moves its sender's own watermark."""
    as_member: bool = True
    """Whether the sender must be a member: false for what the server logs itself."""
    judgements: Judgements = ALLOWED


class Written(msgspec.Struct, frozen=True, gc=False):
    """What became of an `Entry`."""

    record: Record | None
    """The row of (conversation, sender, client id), from now or from before; None: it is blocked, or the sender is not
    a member."""
    kind: str
    """Of the conversation; empty when there is none."""
    blocked: bool
    duplicate: bool
    body_hash: bytes
    """Of that row."""


async def limit_waits(tx: Tx, milliseconds: int) -> None:
    """No lock of this transaction is waited for longer."""
    await tx.execute("SELECT set_config('lock_timeout', $1, true)", f"{milliseconds}ms")


# The limit of waits is set by the filter of the scan, so before the first of its rows is locked: a statement of its own
# would be one round trip of five.
_LOCK = """
SELECT id FROM conversation WHERE id = ANY($1) AND set_config('lock_timeout', $2, true) IS NOT NULL
ORDER BY id FOR NO KEY UPDATE
"""


async def lock(tx: Tx, conversations: Collection[UUID], *, wait: bool, lock_timeout_ms: int) -> set[UUID]:
    """Lock rows in one order for everybody, so that committers queue and never deadlock; those that were locked.

    What is missing does not exist or, without `wait`, is locked by somebody else. Where one exists, no lock of this
    transaction is waited for longer than `lock_timeout_ms` from here on.
    """
    statement = _LOCK if wait else f"{_LOCK} SKIP LOCKED"
    rows = await tx.fetch(statement, sorted(conversations), f"{lock_timeout_ms}ms")
    return {row["id"] for row in rows}


async def existing(tx: Tx, conversations: Collection[UUID]) -> set[UUID]:
    rows = await tx.fetch("SELECT id FROM conversation WHERE id = ANY($1)", list(conversations))
    return {row["id"] for row in rows}


# Each look-up is lateral and limited: the planner may then only probe an index per row, and never reads a whole table
# because it has misjudged the length of the arrays.
WRITE = """
WITH input AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::bytea[],
        $9::timestamptz[], $10::boolean[], $11::boolean[], $12::text[], $13::text[]
    ) WITH ORDINALITY AS i (
        id, conversation, sender, client_id, kind, ref, body, body_hash, created_at, counts, as_member,
        in_direct, in_group, position)
), judged AS MATERIALIZED (
    SELECT i.*, c.number, c.room, c.head, c.ordinal AS head_ordinal,
           CASE c.room WHEN 'direct' THEN i.in_direct ELSE i.in_group END AS verdict,
           e.id AS old_id, e."offset" AS old_offset, e.ordinal AS old_ordinal, e.kind AS old_kind,
           e.created_at AS old_created_at, e.body_hash AS old_body_hash, e.verdict AS old_verdict,
           e.id IS NULL AND (m.is_member OR NOT i.as_member) AS fresh
    FROM input i LEFT JOIN LATERAL (
        SELECT number, kind AS room, head, ordinal FROM conversation WHERE id = i.conversation LIMIT 1
    ) c ON true LEFT JOIN LATERAL (
        SELECT * FROM message
        WHERE conversation = i.conversation AND sender = i.sender AND client_id = i.client_id LIMIT 1
    ) e ON true LEFT JOIN LATERAL (
        SELECT true AS is_member FROM member
        WHERE conversation = i.conversation AND person = i.sender AND left_at IS NULL LIMIT 1
    ) m ON true
), numbered AS MATERIALIZED (
    SELECT j.position, j.id, j.conversation, j.sender, j.client_id, j.kind, j.ref, j.body, j.body_hash, j.created_at,
           j.verdict, j.counts AND j.as_member AS own, j.head + row_number() OVER rows AS "offset",
           j.head_ordinal + count(*) FILTER (WHERE j.counts AND j.verdict <> 'hold') OVER rows AS ordinal
    FROM judged j
    WHERE j.fresh AND j.verdict <> 'block' AND j.number IS NOT NULL
    WINDOW rows AS (PARTITION BY j.conversation ORDER BY j.position)
), inserted AS (
    INSERT INTO message
        (conversation, "offset", id, ordinal, sender, client_id, kind, ref, body, body_hash, verdict, created_at)
    SELECT conversation, "offset", id, ordinal, sender, client_id, kind, ref, body::json, body_hash, verdict, created_at
    FROM numbered
), headed AS (
    UPDATE conversation c
    SET head = n.head, ordinal = n.ordinal, changed_at = greatest(c.changed_at, n.changed_at)
    FROM (SELECT conversation, max("offset") AS head, max(ordinal) AS ordinal, max(created_at) AS changed_at
          FROM numbered GROUP BY conversation) n
    WHERE c.id = n.conversation
), own AS (
    UPDATE member m
    SET received = greatest(m.received, n."offset"), read = greatest(m.read, n."offset"),
        read_ordinal = greatest(m.read_ordinal, n.ordinal)
    FROM (SELECT conversation, sender, max("offset") AS "offset", max(ordinal) AS ordinal
          FROM numbered WHERE own GROUP BY conversation, sender) n
    WHERE m.conversation = n.conversation AND m.person = n.sender
)
SELECT j.number, j.room, j.fresh AND j.verdict = 'block' AS blocked, j.old_id IS NOT NULL AS duplicate,
       coalesce(n.id, j.old_id) AS id,
       coalesce(n."offset", j.old_offset) AS "offset", coalesce(n.ordinal, j.old_ordinal) AS ordinal,
       coalesce(n.created_at, j.old_created_at) AS created_at, coalesce(j.old_kind, j.kind) AS kind,
       coalesce(j.old_body_hash, j.body_hash) AS body_hash, coalesce(j.old_verdict, j.verdict) AS verdict
FROM judged j LEFT JOIN numbered n ON n.position = j.position
ORDER BY j.position
"""


def arguments(entries: Sequence[Entry]) -> tuple[list[Any], ...]:
    """Of `WRITE`: a list per column."""
    return (
        [e.id for e in entries],
        [e.conversation for e in entries],
        [e.sender for e in entries],
        [e.client_id for e in entries],
        [e.kind for e in entries],
        [e.ref for e in entries],
        [e.body.decode() for e in entries],
        [e.body_hash for e in entries],
        [e.time for e in entries],
        [e.counts for e in entries],
        [e.as_member for e in entries],
        [e.judgements.direct.done for e in entries],
        [e.judgements.group.done for e in entries],
    )


async def write(tx: Tx, entries: Sequence[Entry]) -> list[Written]:
    """Give offsets to the rows that are new and not blocked, in the order given, and say what became of each.

    What is held does not count as unread: it will when it is released.

    The caller holds the locks of the conversations, taken in an earlier statement: in READ COMMITTED this one then sees
    every head and row that the holders before it have committed. No (conversation, sender, client id) comes twice.
    """
    rows = await tx.fetch(WRITE, *arguments(entries))
    return [_written(entry, row) for entry, row in zip(entries, rows, strict=True)]


def _written(entry: Entry, row: Row) -> Written:
    kind, blocked = row["room"] or "", row["blocked"] is True
    if row["id"] is None:
        return Written(record=None, kind=kind, blocked=blocked, duplicate=False, body_hash=entry.body_hash)
    record = Record(
        number=row["number"],
        offset=row["offset"],
        message=row["id"],
        ordinal=row["ordinal"],
        time=row["created_at"],
        author=entry.sender,
        kind=row["kind"],
        body=entry.body,
        ref=entry.ref,
        client_id=_public_client_id(row["kind"], entry.client_id),
        verdict=_public_verdict(row["verdict"]),
    )
    return Written(record=record, kind=kind, blocked=False, duplicate=row["duplicate"], body_hash=row["body_hash"])


@dataclass(frozen=True, slots=True)
class Held:
    """A message that was held, as it was written."""

    offset: int
    sender: UUID
    body: bytes


def decided_client_id(message: UUID) -> str:
    """Of the record that tells what became of a held message. Longer than a client's, so that the two never meet."""
    return f"decided:{message}"


async def held(tx: Tx, conversation: UUID, message: UUID, offset: int) -> Held | None:
    """None when it is not held, or was decided."""
    row = await tx.fetchrow(
        """SELECT m."offset", m.sender, m.body FROM message m
           WHERE m.conversation = $1 AND m."offset" = $2 AND m.id = $3 AND m.verdict = 'hold' AND NOT EXISTS (
               SELECT FROM message d
               WHERE d.conversation = m.conversation AND d.sender = m.sender AND d.client_id = 'decided:' || m.id)""",
        conversation,
        offset,
        message,
    )
    return Held(row["offset"], row["sender"], row["body"].encode()) if row else None


# By the primary key (conversation, offset), each by itself.
TEXTS = """
SELECT m.id, m.text FROM unnest($1::uuid[], $2::bigint[]) AS i (conversation, "offset") JOIN LATERAL (
    SELECT id, body ->> 'text' AS text FROM message
    WHERE conversation = i.conversation AND "offset" = i."offset" LIMIT 1
) m ON true
"""


async def texts(tx: Tx, places: Sequence[tuple[UUID, int]]) -> dict[UUID, str]:
    """By message, of those at (conversation, offset)."""
    rows = await tx.fetch(TEXTS, [place[0] for place in places], [place[1] for place in places])
    return {row["id"]: row["text"] or "" for row in rows}


async def is_written(tx: Tx, conversation: UUID, offset: int, id: UUID) -> bool:
    """Whether this very row took this offset."""
    return (
        await tx.fetchval(
            'SELECT true FROM message WHERE conversation = $1 AND "offset" = $2 AND id = $3', conversation, offset, id
        )
        is True
    )


# --- memberships: run by units of the committer, under the conversation's lock -------------------------------------


@dataclass(frozen=True, slots=True)
class Room:
    """A conversation's own row."""

    id: UUID
    number: int
    kind: str
    title: str
    head: int
    ordinal: int
    members: int


async def insert_conversation(
    tx: Tx, *, id: UUID, kind: str, title: str, pair: str | None, by: UUID, now: datetime
) -> int:
    """Its channel number."""
    number: int = await tx.fetchval(
        """INSERT INTO conversation (id, number, kind, title, pair, created_by, created_at, changed_at)
           VALUES ($1, nextval('channel_number'), $2, $3, $4, $5, $6, $6) RETURNING number""",
        id,
        kind,
        title,
        pair,
        by,
        now,
    )
    return number


async def direct(tx: Tx, pair: str) -> UUID | None:
    found: UUID | None = await tx.fetchval("SELECT id FROM conversation WHERE pair = $1", pair)
    return found


async def room(tx: Tx, conversation: UUID) -> Room | None:
    row = await tx.fetchrow(
        "SELECT id, number, kind, title, head, ordinal, members FROM conversation WHERE id = $1", conversation
    )
    return Room(**row) if row else None


async def role(tx: Tx, conversation: UUID, person: UUID) -> str | None:
    """Of a current member."""
    found: str | None = await tx.fetchval(
        "SELECT role FROM member WHERE conversation = $1 AND person = $2 AND left_at IS NULL", conversation, person
    )
    return found


async def admit(tx: Tx, conversation: UUID, people: Sequence[UUID], *, role: str, now: datetime) -> None:
    """Make members of people who are none. They see what comes from here on, and nothing of it is unread.

    A returning member keeps the row: their messages and client ids stay theirs.
    """
    await tx.execute(
        """INSERT INTO member (conversation, person, role, visible_from, received, read, read_ordinal, joined_at)
           SELECT c.id, p, $3, c.head, c.head, c.head, c.ordinal, $4
           FROM conversation c, unnest($2::uuid[]) AS p WHERE c.id = $1
           ON CONFLICT (conversation, person) DO UPDATE
           SET role = excluded.role, visible_from = excluded.visible_from, left_at = NULL,
               received = excluded.received, read = excluded.read, read_ordinal = excluded.read_ordinal,
               joined_at = excluded.joined_at""",
        conversation,
        list(people),
        role,
        now,
    )
    await tx.execute("UPDATE conversation SET members = members + $2 WHERE id = $1", conversation, len(people))


async def dismiss(tx: Tx, conversation: UUID, person: UUID) -> bool:
    """End a membership with the next offset; False when there was none."""
    gone = await tx.fetchval(
        """UPDATE member m SET left_at = c.head + 1, role = 'member' FROM conversation c
           WHERE c.id = $1 AND m.conversation = $1 AND m.person = $2 AND m.left_at IS NULL RETURNING true""",
        conversation,
        person,
    )
    if gone:
        await tx.execute("UPDATE conversation SET members = members - 1 WHERE id = $1", conversation)
    return gone is True


async def hand_over(tx: Tx, conversation: UUID) -> UUID | None:
    """Make the longest-standing member the owner; None when nobody is left."""
    heir: UUID | None = await tx.fetchval(
        """UPDATE member SET role = 'owner' WHERE conversation = $1 AND person = (
               SELECT person FROM member WHERE conversation = $1 AND left_at IS NULL ORDER BY joined_at, person LIMIT 1)
           RETURNING person""",
        conversation,
    )
    return heir


# --- reading ----------------------------------------------------------------------------------------------------------

# What became of a held message since, by the record that tells of it (`DECIDED`): the unique index on (conversation,
# sender, client_id) finds it.
_MESSAGE = """
m."offset", m.id, m.ordinal, m.sender, m.client_id, m.kind, m.ref, m.body, m.created_at, CASE
    WHEN m.verdict = 'hold' THEN coalesce((
        SELECT d.body ->> 'verdict' FROM message d
        WHERE d.conversation = m.conversation AND d.sender = m.sender AND d.client_id = 'decided:' || m.id LIMIT 1
    ), 'hold')
    ELSE m.verdict
END AS verdict
"""

WITHHELD = ("hold", "block")
"""Verdicts of what its author alone may read."""


def _record_for(reader: UUID, row: Row, number: int) -> Record:
    record = Record(
        number=number,
        offset=row["offset"],
        message=row["id"],
        ordinal=row["ordinal"],
        time=row["created_at"],
        author=row["sender"],
        kind=row["kind"],
        body=row["body"].encode(),
        ref=row["ref"],
        client_id=_public_client_id(row["kind"], row["client_id"]),
        verdict=_public_verdict(row["verdict"]),
    )
    return record.redacted() if record.verdict in WITHHELD and record.author != reader else record


def _public_client_id(kind: str, client_id: str) -> str | None:
    """Of what the server logged itself, the client id is its own affair."""
    return client_id if kind == "text" else None


def _public_verdict(verdict: str) -> str | None:
    return None if verdict == "allow" else verdict


async def view(tx: Tx, conversation: UUID, person: UUID) -> ChannelView | None:
    """None unless the person is a member now."""
    row = await tx.fetchrow(
        """SELECT c.number, c.head, greatest(c.floor, m.visible_from) AS floor
           FROM conversation c JOIN member m ON m.conversation = c.id
           WHERE c.id = $1 AND m.person = $2 AND m.left_at IS NULL""",
        conversation,
        person,
    )
    return ChannelView(**row) if row else None


# Both directions: a range of the primary key (conversation, offset).
RECORDS_AFTER = (
    f'SELECT {_MESSAGE} FROM message m WHERE m.conversation = $1 AND m."offset" > $2 '  # noqa: S608
    'ORDER BY m."offset" LIMIT $3'
)
RECORDS_BEFORE = (
    f'SELECT {_MESSAGE} FROM message m WHERE m.conversation = $1 AND m."offset" < $2 AND m."offset" > $4 '  # noqa: S608
    'ORDER BY m."offset" DESC LIMIT $3'
)


async def records_after(tx: Tx, reader: UUID, conversation: UUID, number: int, after: int, limit: int) -> list[Record]:
    """As `reader` may see them."""
    return [_record_for(reader, row, number) for row in await tx.fetch(RECORDS_AFTER, conversation, after, limit)]


async def records_before(
    tx: Tx, reader: UUID, conversation: UUID, number: int, before: int, floor: int, limit: int
) -> list[Record]:
    """The newest below `before` and above `floor`, in rising order, as `reader` may see them."""
    rows = await tx.fetch(RECORDS_BEFORE, conversation, before, limit, floor)
    return [_record_for(reader, row, number) for row in reversed(rows)]


# Of a released message the text is one level down. What is held and newest is not decided on yet: that would be newer.
_TEXT = "left(coalesce(body ->> 'text', body #>> '{body,text}', ''), {preview})"

_CONVERSATION = """
SELECT c.id, c.number, c.kind, c.title, c.pair, c.created_at, c.head, c.ordinal, c.members, m.role, m.received, m.read,
       greatest(c.floor, m.visible_from) AS floor, greatest(c.ordinal - m.read_ordinal, 0) AS unread,
       l."offset" AS last_offset, l.sender AS last_author, l.kind AS last_kind, l.created_at AS last_time, l.last_text,
       l.last_verdict
FROM member m JOIN conversation c ON c.id = m.conversation LEFT JOIN LATERAL (
    SELECT "offset", sender, kind, created_at, {text} AS last_text, verdict AS last_verdict
    FROM message WHERE conversation = c.id AND "offset" = c.head AND c.head > greatest(c.floor, m.visible_from) LIMIT 1
) l ON true
WHERE m.left_at IS NULL AND m.person = $1
"""

# By conversation id, the newest conversation first: the order of the index member_of_person (person, conversation).
# Sorting by last activity is left to the client, which hears of activity anyway: that order changes while one pages.
CONVERSATIONS = (
    _CONVERSATION.replace("{text}", _TEXT.replace("{preview}", "$4"))
    + " AND m.conversation < $2 ORDER BY m.conversation DESC LIMIT $3"
)
CONVERSATION = _CONVERSATION.replace("{text}", _TEXT.replace("{preview}", "$3")) + " AND m.conversation = $2"


async def conversations(tx: Tx, person: UUID, before: UUID, limit: int, preview: int) -> Sequence[Row]:
    return await tx.fetch(CONVERSATIONS, person, before, limit, preview)


async def conversation(tx: Tx, person: UUID, conversation: UUID, preview: int) -> Row | None:
    return await tx.fetchrow(CONVERSATION, person, conversation, preview)


# By person id: the order of the primary key (conversation, person).
MEMBERS = """
SELECT person, role, received, read, joined_at FROM member
WHERE conversation = $1 AND person > $2 AND left_at IS NULL ORDER BY person LIMIT $3
"""


async def members(tx: Tx, conversation: UUID, after: UUID, limit: int) -> Sequence[Row]:
    return await tx.fetch(MEMBERS, conversation, after, limit)


async def is_member(tx: Tx, conversation: UUID, person: UUID) -> bool:
    return await role(tx, conversation, person) is not None


# --- written behind ---------------------------------------------------------------------------------------------------

# Member rows are taken only if they are free: this statement holds many and waits for none, so it cannot deadlock with
# the committer, which moves a sender's own watermark.
MOVE_WATERMARKS = """
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS i (conversation, person, received, read)
), free AS MATERIALIZED (
    SELECT m.conversation, m.person FROM member m JOIN input i USING (conversation, person)
    WHERE m.left_at IS NULL FOR NO KEY UPDATE OF m SKIP LOCKED
), wanted AS MATERIALIZED (
    SELECT i.conversation, i.person, c.number, c.members, least(greatest(i.received, i.read), c.head) AS received,
           least(i.read, c.head) AS read, coalesce(o.ordinal, 0) AS ordinal
    FROM input i JOIN free USING (conversation, person) JOIN conversation c ON c.id = i.conversation
    LEFT JOIN LATERAL (
        SELECT ordinal FROM message WHERE conversation = c.id AND "offset" <= i.read ORDER BY "offset" DESC LIMIT 1
    ) o ON true
), moved AS (
    UPDATE member m
    SET received = greatest(m.received, w.received), read = greatest(m.read, w.read),
        read_ordinal = greatest(m.read_ordinal, w.ordinal)
    FROM wanted w
    WHERE m.conversation = w.conversation AND m.person = w.person
      AND (m.received < w.received OR m.read < w.read)
    RETURNING m.conversation, m.person, w.number, w.members, m.received, m.read
)
SELECT i.conversation, i.person, moved.number, moved.members, moved.received, moved.read,
       free.person IS NULL AS busy
FROM input i
JOIN member m ON m.conversation = i.conversation AND m.person = i.person AND m.left_at IS NULL
LEFT JOIN free ON free.conversation = i.conversation AND free.person = i.person
LEFT JOIN moved ON moved.conversation = i.conversation AND moved.person = i.person
"""


async def move_watermarks(tx: Tx, marks: Sequence[tuple[UUID, UUID, int, int]]) -> Sequence[Row]:
    """(conversation, person, received, read) of each member: raised, never lowered, never beyond the head.

    A row for each mark of a current member: `busy` when it must be tried again; `number`, `members`, `received` and
    `read` when it moved, else None.
    """
    return await tx.fetch(
        MOVE_WATERMARKS,
        [mark[0] for mark in marks],
        [mark[1] for mark in marks],
        [mark[2] for mark in marks],
        [mark[3] for mark in marks],
    )


HEADS = """
SELECT c.id, c.number, c.head, c.ordinal, l."offset" AS last_offset, l.sender AS last_author, l.kind AS last_kind,
       l.created_at AS last_time, l.last_text, l.last_verdict, m.people, m.floors, m.unread, m.received, m.read
FROM unnest($1::uuid[]) AS k (id) JOIN conversation c ON c.id = k.id
JOIN LATERAL (
    SELECT array_agg(person) AS people, array_agg(visible_from) AS floors,
           array_agg(greatest(c.ordinal - read_ordinal, 0)) AS unread,
           array_agg(received) AS received, array_agg(read) AS read
    FROM member WHERE conversation = c.id AND left_at IS NULL
) m ON m.people IS NOT NULL
LEFT JOIN LATERAL (
    SELECT "offset", sender, kind, created_at, {text} AS last_text, verdict AS last_verdict
    FROM message WHERE conversation = c.id AND "offset" = c.head AND c.head > c.floor LIMIT 1
) l ON true
""".replace("{text}", _TEXT.replace("{preview}", "$2"))


async def heads(tx: Tx, conversations: Collection[UUID], preview: int) -> Sequence[Row]:
    """A row per conversation with members: its head, its newest record, and columns of arrays, one slot a member."""
    return await tx.fetch(HEADS, list(conversations), preview)
