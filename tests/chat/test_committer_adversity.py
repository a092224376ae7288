"""The committer when locks are held, server processes die, COMMITs go unanswered and PostgreSQL is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proxy import Direction, Fate, Proxy
from town import CLOCK, IDS, Office, Recorder, eventually, text_entry, ulid

from chiron.db.pool import Pool
from chiron.errors import ChironError, Unavailable
from chiron.server.chat import membership
from chiron.server.chat.committer import Bounds
from chiron.server.ports import Ack, Run

COMMIT = b"; COMMIT"


@asynccontextmanager
async def holding(office: Office, sql: str, *args: Any) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Somebody else's transaction, which holds what the statement locks."""
    connection = await asyncpg.connect(office.migrated.superuser_dsn)
    try:
        async with connection.transaction():
            await connection.execute(sql, *args)
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def behind_proxy(office: Office, **timeouts: float) -> AsyncIterator[tuple[Proxy, Pool]]:
    """The same database through a proxy that can harm what passes."""
    address = urlsplit(office.migrated.tcp_dsn)
    (port,) = parse_qs(address.query)["port"]
    async with Proxy("127.0.0.1", int(port)) as proxy:
        through = address._replace(query=f"host=127.0.0.1&port={proxy.port}")
        pool = Pool(through.geturl(), size=3, **timeouts)
        try:
            yield proxy, pool
        finally:
            proxy.apply(Fate.PASS)
            await pool.stop(timeout=1)


async def answer(call: asyncio.Future[Ack]) -> Ack | str:
    try:
        return await call
    except ChironError as error:
        return error.code


async def backends_waiting(office: Office) -> list[int]:
    """Process ids of those that wait for a lock, once there are any."""
    async with asyncio.timeout(10):
        while True:
            rows = await office.fetch(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if rows:
                return [row["pid"] for row in rows]


# --- locks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held",
    [
        "SELECT FROM conversation WHERE id = $1 FOR UPDATE",
        "SELECT FROM member WHERE conversation = $1 FOR UPDATE",
    ],
)
async def test_a_locked_conversation_delays_no_other(office: Office, held: str) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    slow, fast = [await office.room(anna, bert, committer=committer) for _ in range(2)]
    async with holding(office, held, slow):
        waiting = [asyncio.ensure_future(committer.append(text_entry(slow, anna, ulid(), str(n)))) for n in range(3)]
        beside = [asyncio.ensure_future(committer.append(text_entry(fast, anna, ulid(), str(n)))) for n in range(3)]
        await asyncio.gather(*beside)
        begun = time.monotonic()
        for n in range(40):
            waiting.append(asyncio.ensure_future(committer.append(text_entry(slow, bert, ulid(), str(n)))))
            await committer.append(text_entry(fast, bert, ulid(), str(n)))
        assert time.monotonic() - begun < 40 * 0.25 / 2, "nobody waits for the lock of another conversation"
        assert not any(call.done() for call in waiting)
    acks = await asyncio.gather(*waiting)
    assert [ack.offset for ack in acks] == list(range(2, 45)), "what waited is written in its order"
    for room in (slow, fast):
        await office.check(room)
    assert (await committer.append(text_entry(slow, anna, ulid(), "as before"))).offset == 45


async def test_a_locked_person_holds_up_only_changes_that_tell_them(office: Office) -> None:
    committer = await office.make()
    anna, bert, carl, dora = office.people
    first, second = [await office.room(anna, bert, committer=committer) for _ in range(2)]
    async with holding(office, "SELECT FROM person WHERE id = $1 FOR UPDATE", carl):
        now = CLOCK.now()
        held_up = asyncio.ensure_future(committer.change(membership.AddMember(first, anna, IDS, now, carl, "Carl")))
        behind = asyncio.ensure_future(committer.append(text_entry(first, carl, ulid(), "here I am")))
        await committer.change(membership.AddMember(second, anna, IDS, now, dora, "Dora"))
        assert not held_up.done()
    await held_up
    assert (await behind).offset == 3, "what carl says waited for his being added"


async def test_a_lock_that_is_never_given_back_ends_in_busy(office: Office) -> None:
    committer = await office.make(bounds=Bounds(lock_timeout_ms=20, patience=0.1))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    run = Run()
    async with holding(office, "SELECT FROM conversation WHERE id = $1 FOR UPDATE", room):
        calls = [asyncio.ensure_future(committer.append(text_entry(room, anna, ulid(), "x"), run=run)) for _ in "ab"]
        assert [await answer(call) for call in calls] == ["busy", "after_failed"]
    assert isinstance(await committer.append(text_entry(room, anna, ulid(), "again")), Ack)
    assert committer.waiting == 0
    await office.check(room)


async def test_stop_waits_for_what_a_lock_holds_up(office: Office) -> None:
    committer = await office.make(bounds=Bounds(lock_timeout_ms=20))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    async with holding(office, "SELECT FROM conversation WHERE id = $1 FOR UPDATE", room):
        call = asyncio.ensure_future(committer.append(text_entry(room, anna, ulid(), "x")))
        await backends_waiting(office)
        stopping = asyncio.ensure_future(committer.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
    await stopping
    assert isinstance(await call, Ack)


async def test_committers_that_want_each_others_conversations_do_not_deadlock(office: Office) -> None:
    committers = [await office.make() for _ in range(3)]
    anna, bert, *_ = office.people
    rooms = [await office.room(anna, bert, committer=committers[0]) for _ in range(6)]
    (before,) = await office.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    calls = []
    for index, committer in enumerate(committers):
        order = rooms if index % 2 else rooms[::-1]
        calls += [committer.append(text_entry(room, anna, ulid(), "x")) for _ in range(100) for room in order]
    await asyncio.gather(*calls)
    for room in rooms:
        await office.check(room)
        assert len(await office.texts(room)) == 300
    (after,) = await office.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert after["deadlocks"] == before["deadlocks"]


async def test_one_direct_conversation_however_many_ask_for_it_at_once(office: Office) -> None:
    committers = [await office.make() for _ in range(3)]
    anna, bert, *_ = office.people

    def create(index: int) -> asyncio.Future[tuple[UUID, bool]]:
        by, other = (anna, bert) if index % 2 else (bert, anna)
        change = membership.CreateDirect(IDS.new(), by, IDS, CLOCK.now(), other)
        return asyncio.ensure_future(committers[index % 3].change(change))

    made = await asyncio.gather(*(create(index) for index in range(12)))
    assert len({conversation for conversation, _ in made}) == 1
    assert sum(created for _, created in made) == 1
    assert len(await office.fetch("SELECT FROM conversation")) == 1


# --- the server ---------------------------------------------------------------------------------------------------


async def test_a_server_process_killed_within_a_batch_leaves_nothing_half_done(office: Office) -> None:
    committer = await office.make(bounds=Bounds(lock_timeout_ms=8_000))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    run = Run()
    entries = [text_entry(room, anna, ulid(), str(n)) for n in range(50)]
    async with holding(office, "SELECT FROM conversation WHERE id = $1 FOR UPDATE", room) as holder:
        calls = [asyncio.ensure_future(committer.append(entry, run=run)) for entry in entries]
        for pid in await backends_waiting(office):
            await holder.execute("SELECT pg_terminate_backend($1)", pid)
        answers = [await answer(call) for call in calls]
    assert answers == ["unavailable"] + ["after_failed"] * 49, "nothing was acknowledged"
    assert await office.texts(room) == []
    again = await asyncio.gather(*(committer.append(entry) for entry in entries))
    assert [(ack.offset, ack.duplicate) for ack in again] == [(offset, False) for offset in range(2, 52)]
    await office.check(room)


async def test_while_postgres_is_away_everything_fails_and_nothing_is_acknowledged(office: Office) -> None:
    direct = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=direct)
    async with behind_proxy(office, acquire_timeout=0.3, statement_timeout=0.5) as (proxy, pool):
        committer = await office.make(on=pool, publisher=(publisher := Recorder()))
        await committer.append(text_entry(room, anna, ulid(), "before"))
        proxy.cut()
        proxy.apply(Fate.DROP)
        entries = [text_entry(room, anna, ulid(), str(n)) for n in range(700)]
        calls = [asyncio.ensure_future(committer.append(entry)) for entry in entries]
        assert {await answer(call) for call in calls} == {"unavailable"}
        assert len(publisher.calls) == 1
        assert committer.waiting == 0
        proxy.apply(Fate.PASS)
        proxy.cut()
        acks = await asyncio.gather(*(committer.append(entry) for entry in entries))
        assert [ack.offset for ack in acks] == list(range(3, 703))
        await committer.stop()
    await office.check(room)


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_without_an_answer_is_looked_for(office: Office, arrives: bool) -> None:
    direct = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=direct)
    async with behind_proxy(office) as (proxy, pool):
        committer = await office.make(on=pool, publisher=(publisher := Recorder()))
        await committer.append(text_entry(room, anna, ulid(), "before"))
        if arrives:
            cut = proxy.watch(COMMIT, Direction.UP, Fate.PASS, opposite=Fate.CUT)
        else:
            cut = proxy.watch(COMMIT, Direction.UP, Fate.CUT)
        acks = await asyncio.gather(*(committer.append(text_entry(room, anna, ulid(), str(n))) for n in range(5)))
        assert cut.is_set()
        assert [(ack.offset, ack.duplicate) for ack in acks] == [(offset, False) for offset in range(3, 8)]
        assert [call[1].offset for call in publisher.calls] == list(range(2, 8)), "published once, in order"
        await committer.stop()
    await office.check(room)


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_batch_in_doubt_is_settled_before_anything_else_is_written(office: Office, arrives: bool) -> None:
    """COMMIT goes unanswered and PostgreSQL stays away for longer than anybody looks for it."""
    direct = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=direct)
    async with behind_proxy(
        office, acquire_timeout=0.2, commit_timeout=0.2, settle_timeout=0.5, statement_timeout=0.5
    ) as (proxy, pool):
        committer = await office.make(on=pool, publisher=(publisher := Recorder()))
        if arrives:
            proxy.watch(COMMIT, Direction.UP, Fate.PASS, opposite=Fate.DROP)
        else:
            proxy.watch(COMMIT, Direction.UP, Fate.DROP)
        entries = [text_entry(room, anna, ulid(), str(n)) for n in range(3)]
        calls = [asyncio.ensure_future(committer.append(entry)) for entry in entries]
        assert [await answer(call) for call in calls] == ["unavailable"] * 3
        assert publisher.calls == []

        proxy.apply(Fate.PASS)
        proxy.cut()
        answers: list[Ack | str] = []

        async def send_again() -> bool:
            answers[:] = [
                await answer(asyncio.ensure_future(committer.append(entry)))
                for entry in [*entries, text_entry(room, bert, ulid(), "new")]
            ]
            return all(isinstance(got, Ack) for got in answers)

        async with asyncio.timeout(30):
            while not await send_again():
                pass
        assert [got.duplicate for got in answers[:3] if isinstance(got, Ack)] == [arrives] * 3
        assert [call[1].offset for call in publisher.calls][:4] == [2, 3, 4, 5], "delivered in order, and all of it"
        await committer.stop()
    await office.check(room)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(st.integers(200, 60_000), st.sampled_from(Direction)), min_size=1, max_size=6))
async def test_wherever_the_connection_is_cut_senders_that_retry_lose_and_double_nothing(
    office: Office, cuts: list[tuple[int, Direction]]
) -> None:
    direct = await office.make()
    rooms = [await office.room(*office.people[:3], committer=direct) for _ in range(2)]
    acknowledged: dict[tuple[UUID, UUID], list[Ack]] = {}
    async with behind_proxy(office, acquire_timeout=0.5) as (proxy, pool):
        committer = await office.make(on=pool)

        async def sender(room: UUID, person: UUID) -> None:
            acks = acknowledged[room, person] = []
            for n in range(60):
                entry = text_entry(room, person, ulid(), f"{n}")
                while True:
                    got = await answer(asyncio.ensure_future(committer.append(entry)))
                    if isinstance(got, Ack):
                        acks.append(got)
                        break
                    assert got in ("unavailable", "busy")

        async def saboteur() -> None:
            for count, direction in cuts:
                proxy.cut_after(count, direction)
                accepted = proxy.accepted
                await eventually(lambda before=accepted: proxy.accepted > before or finished.is_set(), "a cut")  # type: ignore[misc]

        finished = asyncio.Event()
        sabotage = asyncio.ensure_future(saboteur())
        await asyncio.gather(*(sender(room, person) for room in rooms for person in office.people[:3]))
        finished.set()
        await sabotage
        await committer.stop()
    for room in rooms:
        await office.check(room)
        rows = await office.texts(room)
        assert len(rows) == 180
        for person in office.people[:3]:
            mine = [(row["id"], row["offset"]) for row in rows if row["sender"] == person]
            assert [(ack.message, ack.offset) for ack in acknowledged[room, person]] == mine
            assert [row["body"] for row in rows if row["sender"] == person] == [f'{{"text":"{n}"}}' for n in range(60)]


async def test_nobody_waits_for_ever(office: Office) -> None:
    """Acceptance after a failure works at once: no state of the failure is left behind."""
    async with behind_proxy(office, acquire_timeout=0.2) as (proxy, pool):
        committer = await office.make(on=pool)
        anna, bert, *_ = office.people
        proxy.apply(Fate.DROP)
        with pytest.raises(Unavailable):
            await office.room(anna, bert, committer=committer)
        proxy.apply(Fate.PASS)
        proxy.cut()
        room = await office.room(anna, bert, committer=committer)
        await office.check(room)
        await committer.stop()
