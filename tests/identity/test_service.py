from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from chiron.errors import Refused, Unavailable
from chiron.server.identity import passwords as passwords_module
from chiron.server.identity.model import LogIn, Register
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.service import Identity
from chiron.server.identity.tokens import ACCESS_SECONDS, REPEATABLE, AccessTokens
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.keys import Sealer, generate
from chiron.server.ports import Principal

PASSWORD = "correct horse battery"


@dataclass
class TestClock:
    __test__ = False
    time: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class World:
    identity: Identity
    database: Any
    clock: TestClock
    ended: list[UUID] = field(default_factory=list)

    async def register(self, email: str = "ada@example.org", **given: Any) -> Any:
        return await self.identity.register(Register(**{"email": email, "password": PASSWORD, "name": "Ada"} | given))

    async def rows(self, table: str) -> int:
        async def count(tx: Any) -> Any:
            return await tx.fetchval(f"SELECT count(*) FROM {table}")

        return int(await self.database.read(count))


@pytest.fixture
async def world(database: Any) -> AsyncIterator[World]:
    clock = TestClock()
    ids = UuidV7(clock)
    hashing = Passwords()
    ended: list[UUID] = []
    # The service only needs something that signs; the real signer has tests of its own.
    access = AccessTokens(lambda claims: claims.decode(), "chiron", "chiron", ids)
    identity = Identity(database.pool, clock, ids, hashing, Sealer(generate().sealing), access, ended.append)
    yield World(identity, database.pool, clock, ended)
    hashing.close()


def claims(session: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(session.access_token)
    return found


async def test_registering_signs_in_and_shows_the_account(world: World) -> None:
    session = await world.register("  Ada@Example.ORG ", name="  Ada   Lovelace ", locale="en-GB", zone="Europe/London")
    me = await world.identity.me(session.person.person)
    assert (me.email, me.name, me.locale, me.zone) == ("ada@example.org", "Ada Lovelace", "en-GB", "Europe/London")
    assert me == session.person
    issued = int(world.clock.now().timestamp())
    assert claims(session)["sub"] == str(me.person)
    assert (claims(session)["iat"], claims(session)["exp"]) == (issued, issued + ACCESS_SECONDS)
    assert session.expires_in == ACCESS_SECONDS


async def test_an_address_has_one_account_however_it_is_written_and_nothing_half_is_left(world: World) -> None:
    await world.register("ada@example.org")
    with pytest.raises(Refused) as refused:
        await world.register("ADA@example.org")
    assert refused.value.code == "email_taken"
    assert [await world.rows(table) for table in ("person", "person_private", "login")] == [1, 1, 1]


async def test_one_of_two_simultaneous_registrations_wins(world: World) -> None:
    results = await asyncio.gather(*(world.register() for _ in range(4)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Refused)]
    assert len(refused) == 3
    assert {error.code for error in refused} == {"email_taken"}
    assert [await world.rows(table) for table in ("person", "person_private", "login")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": f"{'a' * 250}@example.org"}, "email"),
        ({"name": "  "}, "name"),
        ({"name": "a" * 81}, "name"),
        ({"name": "a\u0007b"}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"zone": "Middle-earth/Shire"}, "zone"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(world: World, given: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        await world.register(**given)
    assert refused.value.code == "invalid"
    assert refused.value.params["field"] == field
    assert await world.rows("person") == 0


async def test_signing_in(world: World) -> None:
    registered = await world.register()
    session = await world.identity.log_in(LogIn(email="ADA@example.org", password=PASSWORD))
    assert session.person == registered.person
    assert claims(session)["sid"] != claims(registered)["sid"]


@pytest.mark.parametrize(
    ("email", "password"), [("ada@example.org", "wrong"), ("eve@example.org", PASSWORD), ("not an address", PASSWORD)]
)
async def test_wrong_password_and_unknown_address_look_alike(world: World, email: str, password: str) -> None:
    await world.register()
    with pytest.raises(Refused) as refused:
        await world.identity.log_in(LogIn(email=email, password=password))
    assert (refused.value.code, refused.value.params) == ("credentials", {})


async def test_a_refresh_token_gives_the_next_and_is_used_up(world: World) -> None:
    first = await world.register()
    world.clock.time += timedelta(minutes=9)
    second = await world.identity.refresh(first.refresh_token)
    third = await world.identity.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert claims(third)["sid"] == claims(first)["sid"]
    assert claims(second)["exp"] == int(world.clock.now().timestamp()) + ACCESS_SECONDS
    world.clock.time += REPEATABLE + timedelta(seconds=1)
    for used in (first, second):
        with pytest.raises(Refused) as refused:
            await world.identity.refresh(used.refresh_token)
        assert refused.value.code == "unauthenticated"


async def test_a_refresh_whose_answer_was_lost_can_be_repeated(world: World) -> None:
    first = await world.register()
    lost = await world.identity.refresh(first.refresh_token)
    world.clock.time += REPEATABLE
    again = await world.identity.refresh(first.refresh_token)
    assert again.refresh_token == lost.refresh_token
    assert claims(again)["exp"] == int(world.clock.now().timestamp()) + ACCESS_SECONDS
    await world.identity.refresh(again.refresh_token)
    with pytest.raises(Refused, match="Sign in first"):
        await world.identity.refresh(first.refresh_token)


async def test_refreshes_at_once_give_one_successor(world: World) -> None:
    session = await world.register()
    results = await asyncio.gather(*(world.identity.refresh(session.refresh_token) for _ in range(4)))
    assert len({result.refresh_token for result in results}) == 1


async def test_a_forged_refresh_token_is_refused(world: World) -> None:
    session = await world.register()
    version, login, generation, mac = session.refresh_token.split(".")
    other = await world.register("alan@example.org")
    forged = [
        "",
        "r1",
        "r1.a.b.c",
        f"r2.{login}.{generation}.{mac}",
        f"{version}.{login}.2.{mac}",
        f"{version}.{login}.{'9' * 30}.{mac}",
        f"{version}.{login}.-1.{mac}",
        f"{version}.{login}.0{generation}.{mac}",
        f"{version}.{other.refresh_token.split('.')[1]}.{generation}.{mac}",
        f"{version}.{login}.{generation}.{mac[:-1]}{'A' if mac[-1] != 'A' else 'B'}",
        # The last character has two bits to spare: the same MAC, written in another way.
        f"{version}.{login}.{generation}.{mac[:-1]}{chr(ord(mac[-1]) + 1)}",
        f"{version}.{'A' * 22}.{generation}.{mac}",
    ]
    for token in forged:
        with pytest.raises(Refused) as refused:
            await world.identity.refresh(token)
        assert refused.value.code == "unauthenticated", token
    assert (await world.identity.refresh(session.refresh_token)).person == session.person


async def test_signing_out_ends_the_login_and_says_so(world: World) -> None:
    session = await world.register()
    login = UUID(claims(session)["sid"])
    await world.identity.end(Principal(session.person.person, login, 0.0))
    assert world.ended == [login]
    with pytest.raises(Refused) as refused:
        await world.identity.refresh(session.refresh_token)
    assert refused.value.code == "login_ended"


async def test_a_login_that_ended_is_known_as_long_as_its_tokens_live(world: World) -> None:
    session = await world.register()
    login = UUID(claims(session)["sid"])
    await world.identity.end(Principal(session.person.person, login, 0.0))
    world.clock.time += timedelta(seconds=ACCESS_SECONDS - 1)
    assert await world.identity.ended_lately() == [login]
    world.clock.time += timedelta(seconds=2)
    assert await world.identity.ended_lately() == []


async def test_secrets_are_not_stored_in_clear(world: World) -> None:
    session = await world.register()

    async def everything(tx: Any) -> str:
        logins = await tx.fetch("SELECT login::text FROM login")
        private = await tx.fetch("SELECT person_private::text AS login FROM person_private")
        return " ".join(row["login"] for row in [*logins, *private])

    stored = await world.database.read(everything)
    assert PASSWORD not in stored
    assert session.refresh_token.split(".")[3] not in stored


async def test_a_queue_of_hashes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords_module, "WAITING", 2)
    hashing = Passwords()
    results = await asyncio.gather(*(hashing.hash(PASSWORD) for _ in range(3)), return_exceptions=True)
    hashing.close()
    assert [type(result) for result in results] == [str, str, Unavailable]
    assert isinstance(results[2], Unavailable)
    assert results[2].code == "busy"
