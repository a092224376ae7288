"""A request under a key is done once, whatever happens at the same time, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from database import MigratedDatabase

from chiron.errors import Refused
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.once import FIND, KEPT, SWEEP, SWEEP_ROWS, Kept, Sweep, keep, recall
from chiron.server.ports import Database, Once, StatementError, Tx

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROWS = 1_000_000


class Standing:
    """A clock."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


IDS = UuidV7(Standing())


async def somebody(database: Database) -> UUID:
    person = IDS.new()
    await database.run(
        lambda tx: tx.execute(
            "INSERT INTO person (id, number, created_at) VALUES ($1, nextval('channel_number'), $2)", person, NOW
        )
    )
    return person


class Till:
    """Whatever is done is counted in the database itself, so that what is rolled back does not count."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.numbers = itertools.count(1)

    async def open(self) -> None:
        await self.database.run(lambda tx: tx.execute("CREATE TABLE rung (number integer PRIMARY KEY)"))

    async def ring(self, once: Once, *, number: int | None = None, fail: bool = False) -> bytes:
        async def work(tx: Tx) -> bytes:
            kept = await recall(tx, once)
            if kept is not None:
                return kept
            outcome = number or next(self.numbers)
            await tx.execute("INSERT INTO rung VALUES ($1)", outcome)
            if fail:
                raise Refused("forbidden")
            await keep(tx, once, str(outcome).encode(), NOW)
            return str(outcome).encode()

        return await self.database.run(work)

    async def rung(self) -> list[int]:
        rows = await self.database.read(lambda tx: tx.fetch("SELECT number FROM rung ORDER BY number"))
        return [row["number"] for row in rows]


@pytest.fixture
async def till(database: MigratedDatabase) -> Till:
    till = Till(database.pool)
    await till.open()
    return till


def request(person: UUID, key: str = "k", *, route: str = "POST /x", body: bytes = b"a" * 32) -> Once:
    return Once(person, route, key, body)


async def test_a_repeat_finds_the_outcome_and_does_nothing(till: Till) -> None:
    person = await somebody(till.database)
    first, again = request(person), request(person)
    assert await till.ring(first) == await till.ring(again) == b"1"
    assert (first.outcome, again.outcome) == (None, b"1"), "the second one knows that it is a replay"
    assert await till.rung() == [1]


async def test_a_repeat_is_found_without_a_unit_of_work(till: Till) -> None:
    person = await somebody(till.database)
    once = request(person)
    await Kept(till.database).find(once)
    assert once.outcome is None
    await till.ring(request(person))
    await Kept(till.database).find(once)
    assert once.outcome == b"1"


async def test_another_body_under_the_key_is_refused(till: Till) -> None:
    person = await somebody(till.database)
    await till.ring(request(person))
    other = request(person, body=b"b" * 32)
    with pytest.raises(Refused, match="another request"):
        await till.ring(other)
    with pytest.raises(Refused, match="another request"):
        await Kept(till.database).find(other)
    assert await till.rung() == [1]


async def test_keys_of_other_people_and_routes_are_other_keys(till: Till) -> None:
    one, other = [await somebody(till.database) for _ in range(2)]
    for once in (request(one), request(other), request(one, route="POST /y"), request(one, "l")):
        assert await till.ring(once) is not None
        assert once.outcome is None
    assert await till.rung() == [1, 2, 3, 4]


async def test_nothing_is_kept_of_what_was_refused(till: Till) -> None:
    person = await somebody(till.database)
    with pytest.raises(Refused):
        await till.ring(request(person), fail=True)
    assert await till.rung() == []
    once = request(person)
    assert await till.ring(once) == b"2"
    assert once.outcome is None, "it was done, not found"


async def test_of_many_at_the_same_time_one_is_done_and_the_others_find_it(till: Till) -> None:
    person = await somebody(till.database)
    asked = [request(person) for _ in range(20)]
    answers = await asyncio.gather(*(till.ring(once) for once in asked))
    assert len(set(answers)) == 1
    assert len(await till.rung()) == 1
    assert sum(once.outcome is None for once in asked) == 1


async def test_the_second_waits_for_the_first_and_takes_over_when_it_fails(
    till: Till, database: MigratedDatabase
) -> None:
    person = await somebody(till.database)
    connection = await asyncpg.connect(database.dsn)
    transaction = connection.transaction()
    await transaction.start()

    class Raw:
        """`ports.Tx` of a worker that is slow."""

        fetchrow = staticmethod(connection.fetchrow)
        execute = staticmethod(connection.execute)

    slow: Any = Raw()
    first = request(person)
    assert await recall(slow, first) is None
    await keep(slow, first, b"7", NOW)
    waiting = asyncio.create_task(till.ring(request(person)))
    await blocked(database)
    assert not waiting.done()
    await transaction.rollback()
    assert await waiting == b"1"
    assert await till.rung() == [1]
    await connection.close()


async def blocked(database: MigratedDatabase) -> None:
    """Returns when somebody waits for an advisory lock."""
    async with asyncio.timeout(10):
        while not await database.pool.read(
            lambda tx: tx.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        ):
            await asyncio.sleep(0.005)


async def test_what_fails_in_the_database_leaves_the_key_free(till: Till) -> None:
    person = await somebody(till.database)
    await till.ring(request(person, "before"), number=1)
    with pytest.raises(StatementError):
        await till.ring(request(person), number=1)
    assert await till.ring(request(person), number=2) == b"2"


# --- the sweep --------------------------------------------------------------------------------------------------------


async def fill(database: MigratedDatabase, rows: int, oldest: datetime, newest: datetime) -> None:
    connection = await asyncpg.connect(database.superuser_dsn)
    await connection.execute(
        """INSERT INTO once (person, name, request, outcome, made_at)
           SELECT p.id, sha256(n::text::bytea), '', 'x', $1::timestamptz + ($2::timestamptz - $1) * n / $3::float8
           FROM generate_series(1, $3) AS n, (SELECT id FROM person LIMIT 1) AS p""",
        oldest,
        newest,
        rows,
    )
    await connection.execute("ANALYZE once")
    await connection.close()


async def test_a_sweep_deletes_what_is_a_day_old_and_nothing_younger(database: MigratedDatabase) -> None:
    await somebody(database.pool)
    old, young = 2 * SWEEP_ROWS + 7, 50
    await fill(database, old, NOW - timedelta(days=3), NOW - KEPT - timedelta(seconds=1))
    connection = await asyncpg.connect(database.superuser_dsn)
    await connection.execute(
        """INSERT INTO once SELECT (SELECT id FROM person LIMIT 1), sha256(n::text::bytea), '', '', $1
           FROM generate_series(-$2::integer, -1) AS n""",
        NOW - KEPT + timedelta(seconds=1),
        young,
    )
    await connection.close()
    slept: asyncio.Queue[float] = asyncio.Queue()
    turns = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        slept.put_nowait(seconds)
        await turns.acquire()

    sweeps = [Sweep(database.pool, Standing(), sleep=sleep) for _ in range(2)]
    for sweep in sweeps:
        await sweep.start()
    pauses = [await slept.get() for _ in sweeps]
    for _ in sweeps:
        turns.release()
    pauses += [await slept.get() for _ in sweeps]
    assert await database.pool.read(lambda tx: tx.fetchval("SELECT count(*) FROM once")) == young
    for sweep in sweeps:
        await sweep.stop()
    assert all(1800 <= pause <= 5400 for pause in pauses)
    assert len(set(pauses)) == len(pauses), "workers do not come at the same time"


async def test_a_sweep_that_fails_is_followed_by_the_next_one() -> None:
    tried: asyncio.Queue[None] = asyncio.Queue()

    class Broken:
        async def read(self, work: Any) -> Any:
            raise AssertionError("it deletes")

        async def run(self, work: Any, *, landed: Any = None) -> Any:
            tried.put_nowait(None)
            raise RuntimeError("a defect")

        async def single(self, work: Any) -> Any:
            raise AssertionError("it deletes page by page")

    sweep = Sweep(Broken(), Standing(), sleep=lambda _: asyncio.sleep(0))
    await sweep.start()
    async with asyncio.timeout(10):
        for _ in range(2):
            await tried.get()
    await sweep.stop()


async def test_with_a_million_rows_nothing_reads_the_table(database: MigratedDatabase) -> None:
    person = await somebody(database.pool)
    await fill(database, ROWS, NOW - timedelta(days=2), NOW)
    connection = await asyncpg.connect(database.superuser_dsn)
    for sql, args, index in (
        (FIND, (person, b"n"), "once_pkey"),
        (SWEEP, (NOW - KEPT, SWEEP_ROWS), "once_made_at"),
    ):
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *args)
        assert "Seq Scan" not in plan, plan
        assert index in plan, plan
    await connection.close()
