"""Accounts and sessions."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from accounts import ADA, ANOTHER, HOME, PASSWORD, World, claims

from chiron.errors import Refused, Unavailable
from chiron.server.identity import passwords as passwords_module
from chiron.server.identity.model import ChangeMe, LogIn
from chiron.server.identity.passwords import Passwords
from chiron.server.identity.tokens import ACCESS_SECONDS, REPEATABLE


async def test_registering_signs_in_and_shows_the_account(world: World) -> None:
    session = await world.register("  Ada@Example.ORG ", name="  Ada   Lovelace ", locale="en-GB", zone="Europe/London")
    me = await world.identity.me(session.person.person)
    assert (me.email, me.name, me.locale, me.zone) == (ADA, "Ada Lovelace", "en-GB", "Europe/London")
    assert me == session.person
    assert not me.verified
    issued = int(world.clock.now().timestamp())
    assert claims(session)["sub"] == str(me.person)
    assert claims(session)["scope"] == ""
    assert (claims(session)["iat"], claims(session)["exp"]) == (issued, issued + ACCESS_SECONDS)
    assert session.expires_in == ACCESS_SECONDS


async def test_without_verification_an_address_has_one_account_and_nothing_half_is_left(open_world: World) -> None:
    session = await open_world.register(ADA)
    assert session.person.verified
    assert claims(session)["scope"] == "verified"
    with pytest.raises(Refused) as refused:
        await open_world.register("ADA@example.org")
    assert refused.value.code == "email_taken"
    assert [await open_world.rows(table) for table in ("person", "person_private", "login")] == [1, 1, 1]
    assert await open_world.mails() == []


async def test_one_of_several_simultaneous_registrations_wins(open_world: World) -> None:
    results = await asyncio.gather(*(open_world.register() for _ in range(4)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Refused)]
    assert len(refused) == 3
    assert {error.code for error in refused} == {"email_taken"}
    assert [await open_world.rows(table) for table in ("person", "person_private", "login")] == [1, 1, 1]


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
        ({"password": "qwerty12345"}, "password"),
        ({"zone": "Middle-earth/Shire"}, "zone"),
        ({"device": "a\u001bb"}, "device"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(world: World, given: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        await world.register(**given)
    assert refused.value.code == "invalid"
    assert refused.value.params["field"] == field
    assert await world.rows("person") == 0
    assert await world.mails() == []


async def test_signing_in(world: World) -> None:
    registered = await world.resident()
    session = await world.log_in("ADA@example.org")
    assert session.person == registered.person
    assert claims(session)["scope"] == "verified"
    assert claims(session)["sid"] != claims(registered)["sid"]


@pytest.mark.parametrize(
    ("email", "password"),
    [(ADA, "wrong"), ("eve@example.org", PASSWORD), ("not an address", PASSWORD), ("new@example.org", PASSWORD)],
)
async def test_wrong_password_unknown_and_unverified_address_look_alike(
    world: World, email: str, password: str
) -> None:
    await world.resident()
    await world.register("new@example.org")
    with pytest.raises(Refused) as refused:
        await world.log_in(email, password)
    assert (refused.value.code, refused.value.params) == ("credentials", {})


async def test_a_password_is_the_same_however_its_characters_are_composed(world: World) -> None:
    await world.resident(password="Cr\u00e8me br\u00fbl\u00e9e")
    await world.log_in(password="Cre\u0300me bru\u0302le\u0301e")


@pytest.mark.parametrize("email", [ADA, "eve@example.org"])
async def test_attempts_at_one_account_are_limited_whether_or_not_it_exists(world: World, email: str) -> None:
    await world.resident()
    for _ in range(10):
        with pytest.raises(Refused, match="wrong"):
            await world.log_in(email, "wrong")
    with pytest.raises(Unavailable) as limited:
        await world.log_in(email, PASSWORD)
    assert limited.value.code == "limited"
    assert limited.value.retry_after == pytest.approx(60)
    with pytest.raises(Refused, match="wrong"):
        await world.log_in("other@example.org", "wrong")
    world.clock.time += timedelta(seconds=61)
    with pytest.raises(Refused, match="wrong"):
        await world.log_in(email, "wrong")


async def test_who_is_attacked_from_elsewhere_still_gets_in_until_many_places_join(world: World) -> None:
    await world.resident()
    for place in range(9):
        for _ in range(10):
            with pytest.raises(Refused, match="wrong"):
                await world.log_in(password="wrong", address=f"203.0.113.{place}")
    await world.log_in(address=HOME)
    for _ in range(9):
        with pytest.raises(Refused, match="wrong"):
            await world.log_in(password="wrong", address="203.0.113.200")
    with pytest.raises(Unavailable, match="Too many"):
        await world.log_in(address=HOME)


async def test_a_refresh_token_gives_the_next_and_is_used_up(world: World) -> None:
    first = await world.register()
    world.clock.time += timedelta(minutes=9)
    second = await world.identity.refresh(first.refresh_token)
    third = await world.identity.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert claims(third)["sid"] == claims(first)["sid"]
    assert claims(second)["exp"] == int(world.clock.now().timestamp()) + ACCESS_SECONDS


async def test_a_refresh_whose_answer_was_lost_can_be_repeated(world: World) -> None:
    first = await world.register()
    lost = await world.identity.refresh(first.refresh_token)
    world.clock.time += REPEATABLE
    again = await world.identity.refresh(first.refresh_token)
    assert again.refresh_token == lost.refresh_token
    assert claims(again)["exp"] == int(world.clock.now().timestamp()) + ACCESS_SECONDS
    assert world.ended == []


async def _late(world: World, first: str) -> None:
    """Used, and used again after the grace."""
    await world.identity.refresh(first)
    world.clock.time += REPEATABLE + timedelta(seconds=1)


async def _overtaken(world: World, first: str) -> None:
    """Used, and again after its successor was, within the grace."""
    second = await world.identity.refresh(first)
    await world.identity.refresh(second.refresh_token)


async def _ancient(world: World, first: str) -> None:
    token = first
    for _ in range(5):
        token = (await world.identity.refresh(token)).refresh_token


@pytest.mark.parametrize("use", [_late, _overtaken, _ancient])
async def test_a_token_that_two_must_have_ends_the_login(world: World, use: Any) -> None:
    session = await world.register()
    other = await world.register("alan@example.org")
    await use(world, session.refresh_token)
    with pytest.raises(Refused) as refused:
        await world.identity.refresh(session.refresh_token)
    assert refused.value.code == "refresh_reused"
    login = UUID(claims(session)["sid"])
    assert world.ended == [login]
    assert await world.database.read(lambda tx: _ended(tx, login))
    with pytest.raises(Refused) as refused:
        await world.identity.refresh(session.refresh_token)
    assert refused.value.code == "login_ended"
    await world.identity.refresh(other.refresh_token)


async def _ended(tx: Any, login: UUID) -> bool:
    return bool(
        await tx.fetchval("SELECT ended_at IS NOT NULL AND ended_by IS NOT NULL FROM login WHERE id = $1", login)
    )


async def test_twenty_tabs_that_refresh_at_once_get_one_successor(world: World) -> None:
    session = await world.register()
    results = await asyncio.gather(*(world.identity.refresh(session.refresh_token) for _ in range(20)))
    assert len({result.refresh_token for result in results}) == 1
    assert world.ended == []
    # It is the one that works on.
    next_round = await asyncio.gather(*(world.identity.refresh(result.refresh_token) for result in results))
    assert len({result.refresh_token for result in next_round}) == 1


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
    assert world.ended == []
    assert (await world.identity.refresh(session.refresh_token)).person == session.person


async def test_an_account_is_changed_where_something_is_given(world: World) -> None:
    session = await world.register()
    person = session.person.person
    changed = await world.identity.change_me(person, ChangeMe(name=" Ada  King ", zone="Europe/Rome"))
    assert (changed.name, changed.zone, changed.locale) == ("Ada King", "Europe/Rome", "en")
    assert await world.identity.change_me(person, ChangeMe(locale="fr")) == await world.identity.me(person)
    for wanted, field in ((ChangeMe(name=" "), "name"), (ChangeMe(zone="Mars/Base"), "zone")):
        with pytest.raises(Refused) as refused:
            await world.identity.change_me(person, wanted)
        assert refused.value.params["field"] == field
    assert (await world.identity.me(person)).name == "Ada King"


async def test_roles_are_taken_on_and_paused(world: World) -> None:
    person = (await world.resident()).person.person
    assert (await world.identity.profiles(person)).items == []
    mentor = await world.identity.set_profile(person, "mentor", "active")
    world.clock.time += timedelta(hours=1)
    assert await world.identity.set_profile(person, "mentor", "active") == mentor
    paused = await world.identity.set_profile(person, "mentor", "paused")
    assert (paused.state, paused.created_at) == ("paused", mentor.created_at)
    assert paused.changed_at == mentor.changed_at + 3_600_000
    mentee = await world.identity.set_profile(person, "mentee", "active")
    assert (await world.identity.profiles(person)).items == [paused, mentee]
    with pytest.raises(Refused) as refused:
        await world.identity.set_profile(person, "owner", "active")
    assert refused.value.code == "not_found"


async def test_people_are_found_by_verified_addresses_alone_and_not_without_end(world: World) -> None:
    ada, new = await world.resident(), await world.register("new@example.org")
    asker = ada.person.person

    async def find(email: str) -> UUID | None:
        return await world.database.read(lambda tx: world.identity.by_email(tx, email, asker=asker))

    assert await find("ADA@example.org") == asker
    assert await find("new@example.org") is None
    both = [asker, new.person.person]
    assert await world.database.read(lambda tx: world.identity.by_id(tx, both)) == {asker: "Ada"}
    for number in range(198):
        assert await find(f"{number}@example.org") is None
    with pytest.raises(Unavailable, match="Too many"):
        await find("one.more@example.org")


async def test_secrets_are_not_stored_in_clear(world: World) -> None:
    session = await world.register()
    token = await world.token()

    async def everything(tx: Any) -> str:
        rows = await tx.fetch(
            """SELECT login::text AS row FROM login UNION ALL SELECT person_private::text FROM person_private
               UNION ALL SELECT proof::text FROM proof UNION ALL SELECT outbox_mail::text FROM outbox_mail"""
        )
        return " ".join(row["row"] for row in rows)

    stored = await world.database.read(everything)
    assert PASSWORD not in stored
    assert session.refresh_token.split(".")[3] not in stored
    assert token.split(".")[1] not in stored


async def test_who_signs_in_while_the_password_changes_does_not_get_in_by_the_old_one(world: World) -> None:
    await world.resident()
    await world.recovery.ask_reset(ADA)
    token = await world.token()
    attempt = world.identity.log_in(LogIn(email=ADA, password=PASSWORD), HOME)
    results = await asyncio.gather(attempt, world.recovery.reset(_reset(token)), return_exceptions=True)
    assert results[1] is None
    # Whoever got in before was signed out; whoever came behind was refused.
    with pytest.raises(Refused):
        if isinstance(results[0], Refused):
            raise results[0]
        await world.identity.refresh(results[0].refresh_token)  # type: ignore[union-attr]


def _reset(token: str) -> Any:
    from chiron.server.identity.model import Reset

    return Reset(token=token, password=ANOTHER)


async def test_a_queue_of_hashes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords_module, "WAITING", 2)
    hashing = Passwords()
    results = await asyncio.gather(*(hashing.hash(PASSWORD) for _ in range(3)), return_exceptions=True)
    hashing.close()
    assert [type(result) for result in results] == [str, str, Unavailable]
    assert isinstance(results[2], Unavailable)
    assert results[2].code == "busy"
