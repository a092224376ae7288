"""Nobody learns by trying whether an address has an account: not by the words, and not by the work.

What can be counted is counted: answers, statements and their order, password hashes, what is put into the outbox and of
which size, mails that are made. What cannot, the CPU time of what is left, is compared on interleaved samples: the CPU
time of this process, since wall time is the machine's and the scheduler's.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from accounts import ADA, ANOTHER, PASSWORD, World, world_of

from chiron.errors import Refused
from chiron.server.identity import store
from chiron.server.identity.model import Session
from chiron.server.identity.passwords import Passwords
from chiron.server.ports import Row, Tx

T = TypeVar("T")

HOUR = timedelta(hours=1)

SAMPLES = 40
"""Of each kind."""


class Counted:
    """`ports.Tx` that notes its statements, and the sizes of what they carry."""

    def __init__(self, tx: Tx, work: list[Any]) -> None:
        self._tx = tx
        self._work = work

    def _note(self, sql: str, args: tuple[Any, ...]) -> None:
        # Addresses differ from each other in length also between people who are there.
        self._work.append((" ".join(sql.split()), [len(arg) for arg in args if isinstance(arg, bytes)]))

    async def fetch(self, sql: str, *args: Any) -> Any:
        self._note(sql, args)
        return await self._tx.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        self._note(sql, args)
        return await self._tx.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        self._note(sql, args)
        return await self._tx.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        self._note(sql, args)
        return await self._tx.execute(sql, *args)

    async def executemany(self, sql: str, args: Any) -> None:
        self._note(sql, ())
        await self._tx.executemany(sql, args)


class CountingDatabase:
    """`ports.Database` that notes what is done in it."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.work: list[Any] = []

    async def run(self, work: Callable[[Tx], Awaitable[T]], *, landed: Any = None) -> Any:
        self.work.append("write")
        return await self._database.run(lambda tx: work(Counted(tx, self.work)), landed=landed)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> Any:
        self.work.append("read")
        return await self._database.read(lambda tx: work(Counted(tx, self.work)))

    async def single(self, work: Callable[[Tx], Awaitable[T]]) -> Any:
        self.work.append("single")
        return await self._database.single(lambda tx: work(Counted(tx, self.work)))


class CountingPasswords(Passwords):
    def __init__(self, database: CountingDatabase) -> None:
        super().__init__()
        self._database = database

    async def hash(self, password: str) -> str:
        self._database.work.append("hash")
        return await super().hash(password)

    async def matches(self, stored: str | None, password: str) -> bool:
        self._database.work.append("match")
        return await super().matches(stored, password)


@pytest.fixture
async def house(database: Any) -> AsyncIterator[tuple[World, CountingDatabase]]:
    """With one resident, whose address is ADA."""
    counting = CountingDatabase(database.pool)
    async with world_of(counting, passwords=CountingPasswords(counting)) as world:
        await world.resident()
        await world.mails()
        yield world, counting


async def register(world: World, email: str) -> Any:
    return await world.register(email, password=ANOTHER)


async def log_in(world: World, email: str) -> Any:
    return await world.log_in(email, "not the right one")


async def ask_reset(world: World, email: str) -> Any:
    return await world.recovery.ask_reset(email)


def shape(answer: Any) -> Any:
    """What the caller sees, without what differs for everybody: ids, tokens and the address itself."""
    if isinstance(answer, Session):
        built: dict[str, Any] = msgspec.to_builtins(answer)
        person = built.pop("person")
        lengths = {name: len(value) if isinstance(value, str) else value for name, value in built.items()}
        return lengths | {name: person[name] for name in ("name", "verified", "locale", "zone")}
    return answer


NEAR: dict[Any, float] = {register: 0.1, log_in: 0.1, ask_reset: 0.2}
"""By which medians may differ: a few times what they move by on a busy machine, which is more where there is less to
do. A hash more or less doubles or halves them; a statement more is seen by counting."""


async def move_in(world: World, password: str, email: str) -> None:
    """A resident, by the shortest way."""
    id, now = world.ids.new(), world.clock.now()

    async def work(tx: Tx) -> None:
        await store.insert_person(
            tx, id=id, email=email, name="Ada", password=password, locale="en", zone="UTC", now=now, verified_at=now
        )

    await world.database.run(work)


async def attempt(world: World, counting: CountingDatabase, ask: Any, email: Any) -> tuple[Any, list[Any], float]:
    """(what the caller sees, the work done, CPU seconds of this process)."""
    counting.work.clear()
    began = time.process_time()
    try:
        answer: Any = shape(await ask(world, email))
    except Refused as refused:
        answer = (refused.code, refused.params)
    spent = time.process_time() - began
    return answer, list(counting.work), spent


@pytest.mark.parametrize("ask", [register, log_in, ask_reset])
async def test_known_and_unknown_addresses_get_the_same_answer_by_the_same_work(
    house: tuple[World, CountingDatabase], ask: Any
) -> None:
    world, counting = house
    known = await attempt(world, counting, ask, ADA)
    unknown = await attempt(world, counting, ask, "eve@example.org")
    assert known[0] == unknown[0]
    assert known[1] == unknown[1]
    assert known[1], "nothing was counted"
    hashes = [step for step in known[1] if step in ("hash", "match")]
    assert hashes == {register: ["hash"], log_in: ["match"], ask_reset: []}[ask]


async def test_also_the_mail_that_is_asked_for_again(house: tuple[World, CountingDatabase]) -> None:
    world, counting = house

    async def again(_: World, person: Any) -> Any:
        return await world.recovery.ask_verification(person)

    taken, free = await world.register(ADA, password=ANOTHER), await world.register("eve@example.org")
    seen = [await attempt(world, counting, again, each.person.person) for each in (taken, free)]
    assert seen[0][:2] == seen[1][:2]
    assert [mail.subject for mail in await world.mails()][-2:] == [
        "You already have an account",
        "Confirm your e-mail address",
    ]


@pytest.mark.parametrize("ask", [register, log_in, ask_reset])
async def test_known_and_unknown_addresses_cost_the_same(house: tuple[World, CountingDatabase], ask: Any) -> None:
    world, counting = house
    password = await world.passwords.hash(PASSWORD)
    rng = random.Random(7)
    spent: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * SAMPLES):
        known = number % 2 == 0
        # Each asks after an address of its own that is as long, so that no limit and no cache is in the way.
        email = f"{rng.getrandbits(64):016x}@example.org"
        # Somebody moves in before each attempt, so that the same goes before it.
        await move_in(world, password, email if known else f"{rng.getrandbits(64):016x}@example.org")
        world.clock.time += HOUR
        spent[known].append((await attempt(world, counting, ask, email))[2])
    for samples in spent.values():
        del samples[: SAMPLES // 10]
    ratio = statistics.median(spent[True]) / statistics.median(spent[False])
    assert abs(ratio - 1) < NEAR[ask], f"a known address costs {ratio:.3f} of an unknown one"


async def test_a_difference_would_be_seen(house: tuple[World, CountingDatabase]) -> None:
    """The test itself: who skips the hash for unknown addresses, as is natural, is found out by both measures."""
    world, counting = house

    async def natural(world: World, email: str) -> Any:
        found: UUID | None = await world.database.read(lambda tx: world.identity.by_email(tx, email, asker=UUID(int=1)))
        if found is not None:
            await world.passwords.matches(None, PASSWORD)
        raise Refused("credentials")

    known = await attempt(world, counting, natural, ADA)
    unknown = await attempt(world, counting, natural, "eve@example.org")
    assert known[0] == unknown[0]
    assert known[1] != unknown[1]
    assert known[2] > 2 * unknown[2]
