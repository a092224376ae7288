"""Every paged query walks its index, however large the tables are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from database import MigratedDatabase
from town import CLOCK, IDS, register, text_entry, ulid

from chiron.server.chat import personal, store

MESSAGES = 200_000
ROOMS = 2_000
LAST = UUID(int=2**128 - 1)


class Large:
    """A database with a large conversation, a person in many, and statistics."""

    def __init__(self, connection: asyncpg.Connection[Any], room: UUID, person: UUID, rooms: list[UUID]) -> None:
        self.connection = connection
        self.room = room
        self.person = person
        self.rooms = rooms

    async def scans(self, sql: str, *args: Any) -> dict[str, str]:
        """Scan by table, for these arguments. Sorts are `sort`."""
        plan = await self.connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *args)
        found = {}
        for node in nodes(orjson.loads(plan)[0]["Plan"]):
            if "Sort" in node["Node Type"]:
                found["sort"] = ", ".join(node["Sort Key"])
            if "Relation Name" in node:
                table = node["Relation Name"].rstrip("0123456789").rstrip("_")
                found[table] = " ".join(
                    node[part] for part in ("Node Type", "Scan Direction", "Index Name") if part in node
                )
        return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture
async def large(database: MigratedDatabase) -> AsyncIterator[Large]:
    people = await register(database.pool, 300)
    rooms = [IDS.new() for _ in range(ROOMS)]
    connection = await asyncpg.connect(database.superuser_dsn)
    now = CLOCK.now()
    await connection.executemany(
        """INSERT INTO conversation (id, number, kind, title, head, ordinal, created_by, created_at, changed_at)
           VALUES ($1, nextval('channel_number'), 'group', 'x', 100, 100, $2, $3, $3)""",
        [(room, people[0], now) for room in rooms],
    )
    await connection.executemany(
        "INSERT INTO member (conversation, person, role, visible_from, joined_at) VALUES ($1, $2, 'member', 0, $3)",
        [(room, person, now) for index, room in enumerate(rooms) for person in (people if index < 20 else people[:5])],
    )
    await connection.execute(
        """INSERT INTO message
               (conversation, "offset", id, ordinal, sender, client_id, kind, body, body_hash, created_at)
           SELECT ($1::uuid[])[1 + n % $2], 1 + n / $2, gen_random_uuid(), 1 + n / $2, $3, n::text, 'text',
                  '{"text":"x"}', '', $4
           FROM generate_series(0, $5 - 1) AS n""",
        rooms,
        ROOMS,
        people[0],
        now,
        MESSAGES,
    )
    await connection.execute(
        """INSERT INTO person_log (person, "offset", id, kind, body, created_at)
           SELECT p, n, gen_random_uuid(), 'membership.added', '{}', $2
           FROM unnest($1::uuid[]) AS p, generate_series(1, 100) AS n""",
        people,
        now,
    )
    await connection.execute("ANALYZE")
    yield Large(connection, rooms[0], people[0], rooms)
    await connection.close()


async def test_every_paged_query_uses_its_index(large: Large) -> None:
    pages = {
        "history after": await large.scans(store.RECORDS_AFTER, large.room, 50, 100),
        "history before": await large.scans(store.RECORDS_BEFORE, large.room, 50, 100, 0),
        "conversations": await large.scans(store.CONVERSATIONS, large.person, LAST, 50, 200),
        "members": await large.scans(store.MEMBERS, large.room, UUID(int=0), 50),
        "personal after": await large.scans(personal.RECORDS_AFTER, large.person, 50, 100),
        "personal before": await large.scans(personal.RECORDS_BEFORE, large.person, 50, 100),
    }
    assert pages["history after"].keys() == pages["history before"].keys() == {"message"}
    for name, scans in pages.items():
        assert not any("Seq Scan" in scan for scan in scans.values()), f"{name}: {scans}"
        assert "sort" not in scans, f"{name}: {scans}"
    assert pages["conversations"]["member"] == "Index Scan Backward member_of_person"
    assert pages["members"]["member"] == "Index Scan Forward member_pkey"
    assert pages["personal after"] == {"person_log": "Index Scan Forward person_log_pkey"}


async def test_what_runs_often_scans_no_table(large: Large) -> None:
    marks: list[Any] = [[large.room], [large.person], [5], [5]]
    few = store.arguments([text_entry(large.room, large.person, ulid(), "x")])
    many = store.arguments([text_entry(room, large.person, ulid(), "x") for room in large.rooms[:512]])
    for name, scans in {
        "write": await large.scans(store.WRITE, *few),
        "write many": {
            table: scan
            for table, scan in (await large.scans(store.WRITE, *many)).items()
            # Reading 2,000 conversations at once is right when 512 of them are written to.
            if table != "conversation"
        },
        "watermarks": await large.scans(store.MOVE_WATERMARKS, *marks),
        "heads": await large.scans(store.HEADS, large.rooms[:10], 200),
        "one conversation": await large.scans(store.CONVERSATION, large.person, large.room, 200),
    }.items():
        assert not any("Seq Scan" in scan for scan in scans.values()), f"{name}: {scans}"
