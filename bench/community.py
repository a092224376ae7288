"""People and rooms for a run, made in bulk in the database, and access tokens of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from chiron._core import Signer
from chiron.server.config import ISSUER
from chiron.server.identity.tokens import CLIENT, VERSION
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.keys import FILE, Keys
from chiron.server.ports import VERIFIED_SCOPE

TOKEN_SECONDS = 4 * 3600
"""Longer than any run: links that are measured are not to refresh meanwhile."""


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    token: str


class Community:
    """Makes people and rooms on the database of a data folder whose server runs."""

    def __init__(self, connection: asyncpg.Connection, keys: Keys) -> None:
        self._connection = connection
        key = keys.signing[0]
        self._signer = Signer(key.kid, key.seed)
        self._ids = UuidV7(SystemClock())

    @classmethod
    async def on(cls, data: Path, dsn: str) -> Community:
        keys = msgspec.json.decode((data / FILE).read_bytes(), type=Keys)
        return cls(await asyncpg.connect(dsn), keys)

    async def close(self) -> None:
        await self._connection.close()

    async def people(self, count: int) -> list[Person]:
        now = datetime.now(UTC)
        ids = [self._ids.new() for _ in range(count)]
        logins = [self._ids.new() for _ in range(count)]
        async with self._connection.transaction():
            await self._connection.execute(
                """INSERT INTO person (id, number, created_at)
                   SELECT id, nextval('channel_number'), $2 FROM unnest($1::uuid[]) AS id""",
                ids,
                now,
            )
            await self._connection.execute(
                """INSERT INTO person_private (person, email, name, password, verified_at)
                   SELECT id, id || '@bench.invalid', 'Person ' || position, '', $2
                   FROM unnest($1::uuid[]) WITH ORDINALITY AS p (id, position)""",
                ids,
                now,
            )
            await self._connection.execute(
                """INSERT INTO login (id, person, secret, created_at, refreshed_at)
                   SELECT l.id, l.person, '', $3, $3 FROM unnest($1::uuid[], $2::uuid[]) AS l (id, person)""",
                logins,
                ids,
                now,
            )
        return [Person(id, self._token(id, login, now)) for id, login in zip(ids, logins, strict=True)]

    async def room(self, people: list[Person]) -> str:
        """A group of these people, the first one its owner; its channel's name."""
        now = datetime.now(UTC)
        room = self._ids.new()
        members = [person.id for person in people]
        async with self._connection.transaction():
            await self._connection.execute(
                """INSERT INTO conversation (id, number, kind, title, members, created_by, created_at, changed_at)
                   VALUES ($1, nextval('channel_number'), 'group', 'Room', $2, $3, $4, $4)""",
                room,
                len(members),
                members[0],
                now,
            )
            await self._connection.execute(
                """INSERT INTO member (conversation, person, role, visible_from, joined_at)
                   SELECT $1, id, CASE WHEN position = 1 THEN 'owner' ELSE 'member' END, 0, $3
                   FROM unnest($2::uuid[]) WITH ORDINALITY AS m (id, position)""",
                room,
                members,
                now,
            )
        return f"conv:{room}"

    async def rooms(self, people: list[Person], each: int) -> list[str]:
        """Rooms of `each` people in turn; the channel of every person's room, in the order of `people`."""
        channels: list[str] = []
        for first in range(0, len(people), each):
            members = people[first : first + each]
            channels += [await self.room(members)] * len(members)
        return channels

    async def pairs(self, people: list[Person]) -> list[str]:
        """A direct conversation of each two of them; the channel of every person's, in the order of `people`."""
        now = datetime.now(UTC)
        channels: list[str] = []
        async with self._connection.transaction():
            for first in range(0, len(people), 2):
                conversation = self._ids.new()
                pair = sorted(person.id for person in people[first : first + 2])
                await self._connection.execute(
                    """INSERT INTO conversation (id, number, kind, pair, members, created_by, created_at, changed_at)
                       VALUES ($1, nextval('channel_number'), 'direct', $2, 2, $3, $4, $4)""",
                    conversation,
                    ":".join(map(str, pair)),
                    pair[0],
                    now,
                )
                await self._connection.execute(
                    """INSERT INTO member (conversation, person, role, visible_from, joined_at)
                       SELECT $1, id, 'member', 0, $3 FROM unnest($2::uuid[]) AS id""",
                    conversation,
                    pair,
                    now,
                )
                channels += [f"conv:{conversation}"] * 2
        return channels

    async def settle(self) -> None:
        """Statistics of what was made in bulk, which the planner would else wait for."""
        await self._connection.execute("ANALYZE")

    async def messages(self) -> int:
        count: int = await self._connection.fetchval("SELECT count(*) FROM message")
        return count

    async def batches(self, since: int) -> list[int]:
        """Rows of each transaction that has written messages, but for the first `since` messages of the log."""
        rows = await self._connection.fetch(
            """SELECT count(*) AS rows FROM (
                   SELECT written_by FROM message ORDER BY written_by::text::bigint OFFSET $1) AS newest
               GROUP BY written_by ORDER BY written_by::text::bigint""",
            since,
        )
        return [row["rows"] for row in rows]

    def _token(self, person: UUID, login: UUID, now: datetime) -> str:
        issued = int(now.timestamp())
        claims = {
            "iss": ISSUER,
            "sub": str(person),
            "aud": ISSUER,
            "exp": issued + TOKEN_SECONDS,
            "iat": issued,
            "jti": str(login),
            "sid": str(login),
            "client_id": CLIENT,
            "scope": VERIFIED_SCOPE,
            "version": VERSION,
        }
        return self._signer.sign(msgspec.json.encode(claims))
