"""Units of work, and what becomes of them when PostgreSQL, the network or the caller fails in the middle."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from database import MigratedDatabase
from proxy import Direction, Fate, Proxy

from chiron.db.embedded import EmbeddedPostgres
from chiron.db.pool import Pool
from chiron.errors import Unavailable, Unknown
from chiron.server.ports import StatementError, Tx, in_transaction


@pytest.fixture
async def ledger(database: MigratedDatabase) -> MigratedDatabase:
    """A database with a table whose rows may be doubled."""
    await _create_ledger(database.pool)
    return database


async def _create_ledger(pool: Pool) -> None:
    await pool.run(lambda tx: tx.execute("CREATE TABLE ledger (entry integer NOT NULL, once integer UNIQUE)"))


async def _entries(pool: Pool) -> list[int]:
    rows = await pool.read(lambda tx: tx.fetch("SELECT entry FROM ledger ORDER BY entry"))
    return [row["entry"] for row in rows]


@dataclass
class Unit:
    """A unit of work that adds one row, and looks for it. Counts its calls."""

    entry: int
    calls: int = 0
    looks: int = 0

    async def work(self, tx: Tx) -> str:
        self.calls += 1
        await tx.execute("INSERT INTO ledger (entry) VALUES ($1)", self.entry)
        return "written"

    async def landed(self, tx: Tx) -> str | None:
        self.looks += 1
        found = await tx.fetchval("SELECT count(*) FROM ledger WHERE entry = $1", self.entry)
        return "found" if found else None


@asynccontextmanager
async def _behind_proxy(database: MigratedDatabase, **settings: Any) -> AsyncIterator[tuple[Pool, Proxy]]:
    """A pool that reaches the database through a proxy."""
    parts = urlsplit(database.tcp_dsn)
    port = int(parse_qs(parts.query)["port"][0])
    async with Proxy("127.0.0.1", port) as proxy:
        pool = Pool(
            f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}", size=4, **settings
        )
        await pool.start()
        try:
            yield pool, proxy
        finally:
            await pool.stop()


async def _end_backend(ledger: MigratedDatabase, tx: Tx) -> None:
    """Have the server process of this unit of work ended by another one."""
    own = await tx.fetchval("SELECT pg_backend_pid()")
    other = await asyncpg.connect(ledger.dsn)
    await other.execute("SELECT pg_terminate_backend($1, 5000)", own)
    await other.close()


# --- the plain path ------------------------------------------------------------------------------------------------


async def test_run_commits_and_returns_what_the_work_returns(ledger: MigratedDatabase) -> None:
    unit = Unit(1)
    assert await ledger.pool.run(unit.work, landed=unit.landed) == "written"
    assert await _entries(ledger.pool) == [1]
    assert (unit.calls, unit.looks) == (1, 0)


async def test_an_exception_of_the_work_rolls_back_and_reaches_the_caller(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO ledger (entry) VALUES (1)")
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await ledger.pool.run(work)
    assert await _entries(ledger.pool) == []


async def test_read_sees_one_snapshot_and_may_not_write(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> tuple[int, int]:
        before = await tx.fetchval("SELECT count(*) FROM ledger")
        other = await asyncpg.connect(ledger.dsn)
        await other.execute("INSERT INTO ledger (entry) VALUES (7)")
        await other.close()
        return before, await tx.fetchval("SELECT count(*) FROM ledger")

    assert await ledger.pool.read(work) == (0, 0)
    assert await _entries(ledger.pool) == [7]
    with pytest.raises(StatementError) as caught:
        await ledger.pool.read(Unit(8).work)
    assert caught.value.sqlstate == "25006"


async def test_a_single_statement_is_a_transaction_of_its_own(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> Any:
        await tx.execute("INSERT INTO ledger (entry, once) VALUES (1, 1)")
        other = await asyncpg.connect(ledger.dsn)
        try:
            return await other.fetchval("SELECT count(*) FROM ledger")
        finally:
            await other.close()

    assert await ledger.pool.single(work) == 1
    with pytest.raises(StatementError) as caught:
        await ledger.pool.single(lambda tx: tx.execute("INSERT INTO ledger (entry, once) VALUES (2, 1)"))
    assert caught.value.sqlstate == "23505"
    assert await _entries(ledger.pool) == [1]


async def test_a_single_statement_that_collides_runs_again(ledger: MigratedDatabase) -> None:
    calls = 0

    async def work(tx: Tx) -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END $$")
        return calls

    assert await ledger.pool.single(work) == 3


async def test_json_is_text_both_ways_and_times_are_utc(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> Any:
        return await tx.fetchrow('SELECT $1::json AS body, now() AS "when"', '{"b": 1,  "a": [null]}')

    row = await ledger.pool.run(work)
    assert row["body"] == '{"b": 1,  "a": [null]}'
    assert row["when"].utcoffset().total_seconds() == 0


async def test_executemany_is_part_of_the_unit(ledger: MigratedDatabase) -> None:
    await ledger.pool.run(lambda tx: tx.executemany("INSERT INTO ledger (entry) VALUES ($1)", [(1,), (2,)]))
    assert await _entries(ledger.pool) == [1, 2]


async def test_what_may_not_be_awaited_inside_a_unit_can_tell(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> bool:
        with pytest.raises(RuntimeError, match="unit of work"):
            await ledger.pool.read(lambda tx: tx.fetchval("SELECT 1"))
        return in_transaction.get()

    assert not in_transaction.get()
    assert await ledger.pool.run(work)
    assert not in_transaction.get()


# --- refusals ------------------------------------------------------------------------------------------------------


async def test_a_refused_statement_names_its_constraint_and_quotes_no_value(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO ledger (entry, once) VALUES (1, 4711), (2, 4711)")

    with pytest.raises(StatementError) as caught:
        await ledger.pool.run(work)
    assert caught.value.sqlstate == "23505"
    assert caught.value.constraint == "ledger_once_key"
    assert "4711" not in "".join(traceback.format_exception(caught.value)).replace("(1, 4711), (2, 4711)", "")
    assert await _entries(ledger.pool) == []


async def test_an_argument_of_the_wrong_type_is_refused_without_quoting_it(ledger: MigratedDatabase) -> None:
    with pytest.raises(StatementError) as caught:
        await ledger.pool.run(lambda tx: tx.execute("INSERT INTO ledger (entry) VALUES ($1)", "a secret"))
    assert caught.value.sqlstate == "22000"
    assert "a secret" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_work_that_swallows_a_refusal_is_not_taken_for_committed(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> str:
        await tx.execute("INSERT INTO ledger (entry) VALUES (1)")
        with pytest.raises(StatementError):
            await tx.execute("SELECT 1/0")
        return "done"

    with pytest.raises(StatementError) as caught:
        await ledger.pool.run(work)
    assert caught.value.sqlstate == "25P02"
    assert await _entries(ledger.pool) == []


async def test_a_constraint_checked_at_commit_is_a_refusal(ledger: MigratedDatabase) -> None:
    await ledger.pool.run(
        lambda tx: tx.execute("ALTER TABLE ledger ADD CONSTRAINT late UNIQUE (entry) DEFERRABLE INITIALLY DEFERRED")
    )

    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO ledger (entry) VALUES (1), (1)")

    with pytest.raises(StatementError) as caught:
        await ledger.pool.run(work)
    assert (caught.value.sqlstate, caught.value.constraint) == ("23505", "late")


async def test_two_statements_at_once_on_one_transaction_are_a_mistake_and_not_unavailable(
    ledger: MigratedDatabase,
) -> None:
    async def work(tx: Tx) -> None:
        await asyncio.gather(tx.fetchval("SELECT pg_sleep(0.05)"), tx.fetchval("SELECT 2"))

    with pytest.raises(asyncpg.InterfaceError, match="in progress"):
        await ledger.pool.run(work)
    assert await _entries(ledger.pool) == []


# --- collisions and limits -----------------------------------------------------------------------------------------


async def test_a_deadlock_runs_the_victim_again(ledger: MigratedDatabase) -> None:
    await ledger.pool.run(lambda tx: tx.execute("INSERT INTO ledger (entry, once) VALUES (0, 1), (0, 2)"))
    both_hold_one = asyncio.Barrier(2)

    def unit(first: int, second: int) -> Any:
        waited = False

        async def work(tx: Tx) -> None:
            nonlocal waited
            await tx.execute("UPDATE ledger SET entry = entry + 1 WHERE once = $1", first)
            if not waited:
                waited = True
                await both_hold_one.wait()
            await tx.execute("UPDATE ledger SET entry = entry + 1 WHERE once = $1", second)

        return work

    await asyncio.gather(ledger.pool.run(unit(1, 2)), ledger.pool.run(unit(2, 1)))
    assert await _entries(ledger.pool) == [2, 2]


async def test_endless_collisions_end_in_busy(ledger: MigratedDatabase) -> None:
    calls = 0

    async def work(tx: Tx) -> None:
        nonlocal calls
        calls += 1
        await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END $$")

    with pytest.raises(Unavailable) as caught:
        await ledger.pool.run(work)
    assert caught.value.code == "busy"
    assert 1 < calls < 20


async def test_a_slow_statement_is_ended_and_the_connection_stays(ledger: MigratedDatabase) -> None:
    pool = Pool(ledger.dsn, size=1, statement_timeout=0.1)
    with pytest.raises(Unavailable) as caught:
        await pool.run(lambda tx: tx.execute("SELECT pg_sleep(60)"))
    assert caught.value.code == "busy"
    assert await pool.read(lambda tx: tx.fetchval("SELECT 1")) == 1
    await pool.stop()


async def test_a_full_pool_says_busy_and_serves_those_who_wait_long_enough(ledger: MigratedDatabase) -> None:
    pool = Pool(ledger.dsn, size=1, acquire_timeout=0.2)
    holds, go_on = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        await tx.execute("SELECT 1")
        holds.set()
        await go_on.wait()

    holder = asyncio.create_task(pool.run(hold))
    await holds.wait()
    with pytest.raises(Unavailable) as caught:
        await pool.run(Unit(1).work)
    assert caught.value.code == "busy"
    waiter = asyncio.create_task(pool.run(Unit(2).work))
    go_on.set()
    await asyncio.gather(holder, waiter)
    assert await _entries(pool) == [2]
    await pool.stop()


async def _under_way(pool: Pool) -> asyncio.Task[None]:
    """A unit of work that has written and will not end by itself."""
    written = asyncio.Event()

    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO ledger (entry) VALUES (1)")
        written.set()
        await tx.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(pool.run(work))
    await written.wait()
    return task


async def test_cancelled_work_is_rolled_back_and_gives_its_place_back(ledger: MigratedDatabase) -> None:
    pool = Pool(ledger.dsn, size=1)
    task = await _under_way(pool)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _entries(pool) == []
    await pool.stop()


async def test_a_changed_schema_does_not_surface(ledger: MigratedDatabase) -> None:
    unit = Unit(1)
    await ledger.pool.run(unit.work)
    pool = Pool(ledger.dsn, size=1)
    assert len((await pool.read(lambda tx: tx.fetch("SELECT * FROM ledger")))[0]) == 2
    await ledger.pool.run(lambda tx: tx.execute("ALTER TABLE ledger ADD COLUMN more text"))
    assert len((await pool.read(lambda tx: tx.fetch("SELECT * FROM ledger")))[0]) == 3
    await pool.stop()


async def test_stop_ends_units_under_way_and_refuses_later_ones(ledger: MigratedDatabase) -> None:
    pool = Pool(ledger.dsn, size=2)
    task = await _under_way(pool)
    await pool.stop(timeout=0.1)
    with pytest.raises(Unavailable):
        await task
    with pytest.raises(Unavailable):
        await pool.run(Unit(2).work)
    assert await _entries(ledger.pool) == []


# --- lost connections ----------------------------------------------------------------------------------------------


async def test_a_connection_lost_inside_a_unit_means_that_nothing_was_changed(ledger: MigratedDatabase) -> None:
    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO ledger (entry) VALUES (1)")
        await _end_backend(ledger, tx)
        await tx.execute("INSERT INTO ledger (entry) VALUES (2)")

    with pytest.raises(Unavailable) as caught:
        await ledger.pool.run(work)
    assert caught.value.code == "unavailable"
    assert await _entries(ledger.pool) == []


@pytest.mark.parametrize("single", [False, True])
async def test_connections_that_broke_while_they_waited_do_not_surface(ledger: MigratedDatabase, single: bool) -> None:
    await asyncio.gather(*(ledger.pool.read(lambda tx: tx.fetchval("SELECT pg_sleep(0.02)")) for _ in range(4)))
    other = await asyncpg.connect(ledger.superuser_dsn)
    await other.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await other.close()
    if single:
        assert await ledger.pool.single(lambda tx: tx.fetchval("SELECT 7")) == 7
    for entry in range(5):
        await ledger.pool.run(Unit(entry).work)
    assert await _entries(ledger.pool) == [0, 1, 2, 3, 4]


async def test_a_single_statement_on_a_connection_that_is_lost_again_is_unavailable(ledger: MigratedDatabase) -> None:
    calls = 0

    async def work(tx: Tx) -> None:
        nonlocal calls
        calls += 1
        await _end_backend(ledger, tx)
        await tx.execute("INSERT INTO ledger (entry) VALUES (2)")

    with pytest.raises(Unavailable) as caught:
        await ledger.pool.single(work)
    assert caught.value.code == "unavailable"
    assert calls == 2
    assert await _entries(ledger.pool) == []


async def test_a_black_hole_ends_in_unavailable_within_the_statement_timeout(ledger: MigratedDatabase) -> None:
    async with _behind_proxy(ledger, statement_timeout=0.2, acquire_timeout=0.3) as (pool, proxy):
        proxy.apply(Fate.HOLD)
        started_at = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            await pool.run(Unit(1).work)
        assert asyncio.get_running_loop().time() - started_at < 4
        assert await pool.check() is not None
        proxy.apply(Fate.PASS)
        assert await pool.check() is None
        assert await _entries(pool) == []


async def test_kill_9_of_a_backend_inside_a_unit_then_recovery_without_help(own_server: EmbeddedPostgres) -> None:
    pool = Pool(own_server.dsn, size=3)
    await _create_ledger(pool)
    await pool.run(Unit(1).work)

    async def work(tx: Tx) -> None:
        await tx.execute("INSERT INTO ledger (entry) VALUES (2)")
        os.kill(await tx.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        await tx.execute("INSERT INTO ledger (entry) VALUES (3)")

    with pytest.raises(Unavailable) as caught:
        await pool.run(work)
    assert caught.value.code == "unavailable"
    await _until_well(pool)
    assert await _entries(pool) == [1]
    await pool.stop()


async def test_a_restart_of_the_server_is_survived_and_only_ever_unavailable(own_server: EmbeddedPostgres) -> None:
    pool = Pool(own_server.dsn, size=3, acquire_timeout=1.0)
    await _create_ledger(pool)
    acknowledged: set[int] = set()
    refused = 0
    stopping = False

    async def keep_writing(start: int) -> None:
        nonlocal refused
        entry = start
        while not stopping:
            entry += 3
            unit = Unit(entry)
            try:
                await pool.run(unit.work, landed=unit.landed)
                acknowledged.add(entry)
            except (Unavailable, Unknown):
                refused += 1
                await asyncio.sleep(0.005)

    writers = [asyncio.create_task(keep_writing(start)) for start in range(3)]
    for kill in (True, False):
        count = len(acknowledged)
        await _until(lambda count=count: len(acknowledged) > count + 10)
        if kill:
            assert own_server.pid is not None
            os.kill(own_server.pid, signal.SIGKILL)
            await own_server.wait_exit()
        else:
            await own_server.stop()
        await own_server.start()
    count = len(acknowledged)
    await _until(lambda: len(acknowledged) > count + 10)
    stopping = True
    await asyncio.gather(*writers)
    entries = await _entries(pool)
    assert len(entries) == len(set(entries))
    assert acknowledged <= set(entries)
    assert refused
    await pool.stop()


# --- an interrupted COMMIT -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.DROP])
async def test_a_commit_lost_on_its_way_is_done_again_exactly_once(ledger: MigratedDatabase, fate: Fate) -> None:
    async with _behind_proxy(ledger, commit_timeout=0.2, acquire_timeout=1.0) as (pool, proxy):
        seen = proxy.watch(b"; COMMIT", Direction.UP, fate)
        heal = asyncio.create_task(_heal(proxy, seen))
        unit = Unit(1)
        assert await pool.run(unit.work, landed=unit.landed) == "written"
        assert unit.calls == 2
        assert unit.looks >= 1
        await heal
        assert await _entries(ledger.pool) == [1]


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.DROP, Fate.HOLD])
async def test_a_commit_that_landed_unanswered_is_found_and_not_repeated(ledger: MigratedDatabase, fate: Fate) -> None:
    async with _behind_proxy(ledger, commit_timeout=0.2, acquire_timeout=1.0) as (pool, proxy):
        seen = proxy.watch(b"; COMMIT", Direction.UP, Fate.PASS, opposite=fate)
        heal = asyncio.create_task(_heal(proxy, seen))
        unit = Unit(1)
        assert await pool.run(unit.work, landed=unit.landed) == "found"
        assert unit.calls == 1
        await heal
        assert await _entries(ledger.pool) == [1]


async def _heal(proxy: Proxy, seen: asyncio.Event) -> None:
    """Let everything pass again once the client has given up on the connection that was harmed."""
    await seen.wait()
    accepted = proxy.accepted
    await _until(lambda: proxy.accepted > accepted)
    proxy.apply(Fate.PASS)


async def test_a_commit_still_on_its_way_cannot_land_after_it_was_looked_for(ledger: MigratedDatabase) -> None:
    """The case that looking alone gets wrong: the look finds nothing, the work runs again, and then COMMIT arrives."""
    async with _behind_proxy(ledger, commit_timeout=0.1) as (pool, proxy):
        seen = proxy.watch(b"; COMMIT", Direction.UP, Fate.HOLD)
        unit = Unit(1)
        task = asyncio.create_task(pool.run(unit.work, landed=unit.landed))
        await seen.wait()
        proxy.let_others_pass(Direction.UP)
        assert await task == "written"
        proxy.apply(Fate.PASS)
        await pool.check()
        assert await _entries(ledger.pool) == [1]


async def test_without_a_way_to_look_an_interrupted_commit_is_unknown(ledger: MigratedDatabase) -> None:
    async with _behind_proxy(ledger) as (pool, proxy):
        proxy.watch(b"; COMMIT", Direction.UP, Fate.PASS, opposite=Fate.CUT)
        with pytest.raises(Unknown):
            await pool.run(Unit(1).work)
        assert await _entries(pool) == [1]


async def test_a_database_that_does_not_come_back_leaves_it_unknown_in_bounded_time(ledger: MigratedDatabase) -> None:
    async with _behind_proxy(ledger, commit_timeout=0.1, acquire_timeout=0.1, settle_timeout=0.5) as (pool, proxy):
        proxy.watch(b"; COMMIT", Direction.UP, Fate.PASS, opposite=Fate.HOLD)
        unit = Unit(1)
        started_at = asyncio.get_running_loop().time()
        with pytest.raises(Unknown):
            await pool.run(unit.work, landed=unit.landed)
        assert asyncio.get_running_loop().time() - started_at < 5
        assert unit.calls == 1
        proxy.apply(Fate.PASS)
        assert await _entries(pool) == [1]


async def test_random_cuts_neither_lose_nor_double_anything(ledger: MigratedDatabase) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    acknowledged: set[int] = set()
    async with _behind_proxy(ledger, acquire_timeout=2.0) as (pool, proxy):

        async def write(entry: int) -> None:
            unit = Unit(entry)
            try:
                await pool.run(unit.work, landed=unit.landed)
                acknowledged.add(entry)
            except (Unavailable, Unknown):
                pass

        async def harm() -> None:
            while True:
                proxy.cut_after(rng.randrange(1, 4000), rng.choice(list(Direction)))
                await asyncio.sleep(rng.uniform(0, 0.01))

        harming = asyncio.create_task(harm())
        entries = iter(range(300))

        async def writer() -> None:
            for entry in entries:
                await write(entry)

        await asyncio.gather(*(writer() for _ in range(4)))
        harming.cancel()
    found = await _entries(ledger.pool)
    assert len(found) == len(set(found)), f"doubled, seed {seed}"
    assert acknowledged <= set(found), f"lost, seed {seed}"
    assert acknowledged, f"nothing got through, seed {seed}"


async def test_a_commit_that_no_standby_confirmed_is_not_acknowledged_before_one_has_it(
    own_server: EmbeddedPostgres,
) -> None:
    pool = Pool(own_server.dsn, size=2)
    await _create_ledger(pool)
    operator = await asyncpg.connect(own_server.superuser_dsn)

    async def waits_for_standby(*, other_than: int = 0) -> int:
        """Process id of a server process of the pool whose COMMIT waits."""
        async with asyncio.timeout(10):
            while True:
                pid = await operator.fetchval(
                    "SELECT pid FROM pg_stat_activity"
                    " WHERE wait_event = 'SyncRep' AND application_name = 'chiron' AND pid <> $1",
                    other_than,
                )
                if pid is not None:
                    return int(pid)
                await asyncio.sleep(0.01)

    await operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    await operator.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(10):
        while await operator.fetchval("SHOW synchronous_standby_names") != "absent":
            await asyncio.sleep(0.01)
    unit = Unit(1)
    task = asyncio.create_task(pool.run(unit.work, landed=unit.landed))
    first = await waits_for_standby()
    # PostgreSQL answers this with COMMIT and a warning, as if all were well.
    await operator.execute("SELECT pg_cancel_backend($1)", first)
    await waits_for_standby(other_than=first)
    assert not task.done(), "acknowledged although no standby has it"
    await operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
    await operator.execute("SELECT pg_reload_conf()")
    assert await asyncio.wait_for(task, 10) == "found"
    assert unit.calls == 1
    assert await _entries(pool) == [1]
    await operator.close()
    await pool.stop()


# --- waiting -------------------------------------------------------------------------------------------------------


async def _until(condition: Any, timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


async def _until_well(pool: Pool) -> None:
    async with asyncio.timeout(20):
        while await pool.check() is not None:
            await asyncio.sleep(0.02)
