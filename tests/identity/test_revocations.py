"""Nobody who was signed out writes on any worker for longer than two seconds, whatever the order of commits."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from accounts import ADA, ANOTHER, PASSWORD, World, claims, principal
from database import MigratedDatabase

from chiron._core import Verifier
from chiron.errors import Refused, Unavailable
from chiron.server.gateway.tokens import Tokens
from chiron.server.identity.model import ChangePassword, Reset, Session
from chiron.server.identity.revocations import Revocations
from chiron.server.identity.tokens import ACCESS_SECONDS


class Elsewhere:
    """Another worker: what it knows of logins that end."""

    def __init__(self, world: World) -> None:
        self.heard: list[UUID] = []
        self.complete_at: list[float] = []
        self.revocations = Revocations(world.database, world.clock, self, self.heard.append)

    def complete(self, as_of: float) -> None:
        self.complete_at.append(as_of)

    async def open(self) -> Revocations:
        await self.revocations.start()
        await self.revocations.stop()  # from here on it polls when the test says so
        return self.revocations


def login(session: Session) -> UUID:
    return UUID(claims(session)["sid"])


async def test_each_login_that_ends_is_heard_of_once(world: World) -> None:
    mine, phone, tablet = await world.resident(), await world.log_in(), await world.log_in()
    other = Elsewhere(world)
    polling = await other.open()
    assert other.heard == []
    await world.logins.end(principal(mine), login(phone))
    await polling.poll()
    assert other.heard == [login(phone)]
    await world.logins.end(principal(mine), login(tablet))
    await polling.poll()
    await polling.poll()
    assert other.heard == [login(phone), login(tablet)]


async def test_a_worker_that_starts_knows_all_whose_tokens_may_still_be_good(world: World) -> None:
    mine, phone = await world.resident(), await world.log_in()
    await world.logins.end(principal(mine), login(phone))
    world.clock.time += timedelta(seconds=ACCESS_SECONDS)
    other = Elsewhere(world)
    await other.open()
    assert other.heard == [login(phone)]
    world.clock.time += timedelta(hours=1)
    late = Elsewhere(world)
    await late.open()
    assert late.heard == []


async def test_none_is_missed_that_commits_behind_younger_ones(world: World, database: MigratedDatabase) -> None:
    mine = await world.resident()
    sessions = [await world.log_in() for _ in range(3)]
    other = Elsewhere(world)
    polling = await other.open()
    slow = await asyncpg.connect(database.dsn)
    end = "UPDATE login SET ended_at = now(), ended_by = pg_current_xact_id() WHERE id = $1"
    begun = slow.transaction()
    await begun.start()
    await slow.execute(end, login(sessions[0]))
    # Younger ones commit first, and are heard of although an older transaction still runs.
    await world.logins.end(principal(mine), login(sessions[1]))
    await polling.poll()
    assert other.heard == [login(sessions[1])]
    await world.logins.end(principal(mine), login(sessions[2]))
    await polling.poll()
    await begun.commit()
    await slow.close()
    await polling.poll()
    assert other.heard == [login(sessions[1]), login(sessions[2]), login(sessions[0])]


async def test_another_history_is_read_from_its_beginning(world: World) -> None:
    mine, phone = await world.resident(), await world.log_in()
    other = Elsewhere(world)
    polling = await other.open()
    await world.logins.end(principal(mine), login(phone))
    polling._from = 2**60  # as after a failover to a machine with an older state
    await polling.poll()
    assert other.heard == [login(phone)]


async def test_every_way_to_end_a_login_is_heard_of_elsewhere(world: World) -> None:
    other = Elsewhere(world)
    polling = await other.open()
    mine, phone = await world.resident(), await world.log_in()
    await world.recovery.change_password(principal(mine), ChangePassword(current=PASSWORD, password=ANOTHER))
    await polling.poll()
    assert set(other.heard) == {login(phone)}
    second = await world.log_in(password=ANOTHER)
    await world.logins.end_others(principal(mine))
    await polling.poll()
    assert set(other.heard) == {login(phone), login(second)}
    stolen = await world.log_in(password=ANOTHER)
    await world.identity.refresh((await world.identity.refresh(stolen.refresh_token)).refresh_token)
    with pytest.raises(Refused):
        await world.identity.refresh(stolen.refresh_token)
    await polling.poll()
    assert login(stolen) in other.heard
    await world.recovery.ask_reset(ADA)
    await world.recovery.reset(Reset(token=await world.token(), password=PASSWORD))
    await polling.poll()
    assert login(mine) in other.heard
    unverified = await world.register("late@example.org")
    world.clock.time += timedelta(days=15)
    await world.expiry.sweep()
    await polling.poll()
    assert login(unverified) in other.heard
    assert set(other.heard) == set(world.ended)


async def test_without_a_poll_for_two_seconds_it_is_not_known_who_was_signed_out(world: World) -> None:
    tokens = Tokens(Verifier("chiron", "chiron"), world.clock, lifetime=ACCESS_SECONDS)
    with pytest.raises(Unavailable):
        tokens.require_fresh()
    revocations = Revocations(world.database, world.clock, tokens, tokens.end_login)
    await revocations.poll()
    tokens.require_fresh()
    world.clock.time += timedelta(seconds=2)
    tokens.require_fresh()
    world.clock.time += timedelta(milliseconds=1)
    with pytest.raises(Unavailable) as refused:
        tokens.require_fresh()
    assert refused.value.code == "unavailable"
    await revocations.poll()
    tokens.require_fresh()


async def test_what_ended_is_forgotten_when_its_tokens_have_expired(world: World) -> None:
    tokens = Tokens(Verifier("chiron", "chiron"), world.clock, lifetime=ACCESS_SECONDS)
    for _ in range(1000):
        tokens.end_login(uuid4())
        world.clock.time += timedelta(seconds=6)
    assert len(tokens._ended) <= 102


class _Failing:
    """A database that is away for a while."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.away = False

    async def read(self, work: Any) -> Any:
        if self.away:
            raise Unavailable("unavailable")
        return await self._database.read(work)

    async def single(self, work: Any) -> Any:
        if self.away:
            raise Unavailable("unavailable")
        return await self._database.single(work)


async def test_it_goes_on_by_itself_when_the_database_comes_back(world: World) -> None:
    mine, phone = await world.resident(), await world.log_in()
    database = _Failing(world.database)
    other = Elsewhere(world)
    steps: asyncio.Queue[None] = asyncio.Queue()
    idle = asyncio.Event()

    async def sleep(_: float) -> None:
        idle.set()
        await steps.get()

    revocations = Revocations(database, world.clock, other, other.heard.append, sleep=sleep)  # type: ignore[arg-type]
    await revocations.start()

    async def step() -> None:
        """One turn of its loop."""
        await idle.wait()
        idle.clear()
        steps.put_nowait(None)
        await idle.wait()

    database.away = True
    await step()
    assert "cannot read" in (await revocations.check() or "")
    told = len(other.complete_at)
    await world.logins.end(principal(mine), login(phone))
    database.away = False
    await step()
    assert await revocations.check() is None
    assert other.heard == [login(phone)]
    assert len(other.complete_at) == told + 1
    await revocations.stop()
