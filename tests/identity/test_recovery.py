"""Verification, resets and changes of passwords: what a mail opens, for whom, and how often."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from accounts import ADA, ANOTHER, PASSWORD, SITE, World, claims, principal

from chiron.errors import Refused, Unavailable
from chiron.server.identity.model import ChangePassword, Reset, Session
from chiron.server.platform import base64url


async def refusal(work: Any) -> str:
    with pytest.raises((Refused, Unavailable)) as refused:
        await work
    return refused.value.code


def login(session: Session) -> UUID:
    return UUID(claims(session)["sid"])


# --- verification -----------------------------------------------------------------------------------------------------


async def test_the_link_in_the_mail_makes_the_address_theirs(world: World) -> None:
    session = await world.register()
    (mail,) = await world.mails()
    assert mail.to == ADA
    assert f"{SITE}/#/verify/" in mail.text
    assert "Ada" not in mail.text, "nobody can write to others through us"
    await world.recovery.verify(mail.text.split("/#/verify/")[1].split()[0])
    refreshed = await world.identity.refresh(session.refresh_token)
    assert refreshed.person.verified
    assert claims(refreshed)["scope"] == "verified"
    assert (await world.log_in()).person == refreshed.person


async def test_who_registers_an_address_that_has_an_account_learns_nothing_and_its_owner_is_told(world: World) -> None:
    owner = await world.resident()
    other = await world.register("new@example.org")
    await world.mails()
    again = await world.register("ADA@example.org", password=ANOTHER, name="Eve")
    assert claims(again).keys() == claims(other).keys()
    assert (again.person.verified, again.person.email) == (False, ADA)
    (mail,) = await world.mails()
    assert (mail.to, mail.subject) == (ADA, "You already have an account")
    assert "/#/verify/" not in mail.text
    assert "/#/forgot" in mail.text
    # Nothing has changed for the owner, and the newcomer gets in nowhere.
    assert (await world.log_in()).person == owner.person
    assert await refusal(world.log_in(password=ANOTHER)) == "credentials"


async def test_a_link_works_once(world: World) -> None:
    await world.register()
    token = await world.token()
    results = await asyncio.gather(*(world.recovery.verify(token) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results].count(type(None)) == 1
    assert {result.code for result in results if isinstance(result, Refused)} == {"link_expired"}


async def test_a_link_works_for_a_day(world: World) -> None:
    await world.register()
    token = await world.token()
    world.clock.time += timedelta(hours=24)
    assert await refusal(world.recovery.verify(token)) == "link_expired"


async def test_a_newer_link_takes_the_place_of_the_older(world: World) -> None:
    session = await world.register()
    first = await world.token()
    await world.recovery.ask_verification(session.person.person)
    second = await world.token()
    assert await refusal(world.recovery.verify(first)) == "link_expired"
    await world.recovery.verify(second)
    await world.recovery.ask_verification(session.person.person)
    assert await world.mails() == [], "there is nothing left to verify"


async def test_an_address_is_of_the_first_who_verifies_it(world: World) -> None:
    first, second = await world.register(), await world.register(password=ANOTHER)
    one, two = [mail.text.split("/#/verify/")[1].split()[0] for mail in await world.mails()]
    results = await asyncio.gather(world.recovery.verify(two), world.recovery.verify(one), return_exceptions=True)
    (lost,) = (result for result in results if result is not None)
    assert isinstance(lost, Refused)
    assert lost.code == "link_expired"
    verified = [(await world.identity.me(each.person.person)).verified for each in (first, second)]
    assert sorted(verified) == [False, True]


async def test_what_is_no_token_opens_nothing(world: World) -> None:
    await world.register()
    id, mac = (await world.token()).split(".")
    await world.recovery.ask_reset(ADA)
    reset = await world.token()
    changed = base64url.encode(bytes([base64url.decode(mac)[0] ^ 1]) + base64url.decode(mac)[1:])
    for token in ("", ".", id, f"{id}.", f".{mac}", f"{id}.{changed}", f"{reset.split('.')[0]}.{mac}", reset, "\ud800"):
        assert await refusal(world.recovery.verify(token)) == "link_expired", token
    assert await refusal(world.recovery.reset(Reset(token=f"{id}.{mac}", password=ANOTHER))) == "link_expired"
    await world.recovery.verify(f"{id}.{mac}")


async def test_at_most_three_mails_an_hour_go_to_one_address_and_the_last_link_still_works(world: World) -> None:
    session = await world.register()
    for _ in range(5):
        await world.recovery.ask_verification(session.person.person)
    sent = await world.mails()
    assert len(sent) == 3
    await world.register(ADA, password=ANOTHER)
    assert await world.mails() == [], "also not by registering again"
    await world.recovery.verify(sent[-1].text.split("/#/verify/")[1].split()[0])


async def test_what_never_reached_the_database_takes_nothing_from_the_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("unavailable")

    with monkeypatch.context() as outage:
        outage.setattr(world.database, "run", away)
        for _ in range(5):
            assert await refusal(world.register()) == "unavailable"
            assert await refusal(world.recovery.ask_reset(ADA)) == "unavailable"
    await world.register()
    await world.recovery.ask_reset(ADA)
    assert len(await world.mails()) == 2


# --- resets -----------------------------------------------------------------------------------------------------------


async def test_a_reset_sets_the_password_and_ends_every_login(world: World) -> None:
    first = await world.resident()
    second = await world.log_in()
    await world.mails()
    await world.recovery.ask_reset("Ada@Example.org")
    token = await world.token()
    await world.recovery.reset(Reset(token=token, password=ANOTHER))
    assert set(world.ended) == {login(first), login(second)}
    for session in (first, second):
        assert await refusal(world.identity.refresh(session.refresh_token)) == "login_ended"
    assert await refusal(world.log_in()) == "credentials"
    await world.log_in(password=ANOTHER)
    assert await refusal(world.recovery.reset(Reset(token=token, password=PASSWORD))) == "link_expired"
    (mail,) = await world.mails()
    assert mail.subject == "Your password was changed"


async def test_nothing_is_sent_to_who_has_no_account(world: World) -> None:
    await world.resident()
    await world.mails()
    await world.recovery.ask_reset("eve@example.org")
    assert await world.mails() == []
    assert await world.rows("proof") == 1, "the same work is done"
    assert await refusal(world.recovery.ask_reset("nobody")) == "invalid"


async def test_a_reset_reads_the_mail_and_so_verifies_the_address(world: World) -> None:
    session = await world.register()
    verification = await world.token()
    await world.recovery.ask_reset(ADA)
    await world.recovery.reset(Reset(token=await world.token(), password=ANOTHER))
    assert (await world.log_in(password=ANOTHER)).person.verified
    assert world.ended == [login(session)], "whoever registered without owning the address is out"
    assert await refusal(world.recovery.verify(verification)) == "link_expired"


async def test_a_reset_works_for_an_hour(world: World) -> None:
    await world.resident()
    await world.recovery.ask_reset(ADA)
    token = await world.token()
    world.clock.time += timedelta(hours=1)
    assert await refusal(world.recovery.reset(Reset(token=token, password=ANOTHER))) == "link_expired"
    await world.log_in()


async def test_of_several_resets_at_once_one_sets_the_password(world: World) -> None:
    await world.resident()
    await world.recovery.ask_reset(ADA)
    token = await world.token()
    passwords = [f"{ANOTHER} {number}" for number in range(4)]
    resets = (world.recovery.reset(Reset(token=token, password=password)) for password in passwords)
    results = await asyncio.gather(*resets, return_exceptions=True)
    (winner,) = (password for password, result in zip(passwords, results, strict=True) if result is None)
    await world.log_in(password=winner)
    for password in {*passwords} - {winner}:
        assert await refusal(world.log_in(password=password)) == "credentials"


@pytest.mark.parametrize("password", ["short", "password1234", "adalovelace1", "chiron-rules"])
async def test_a_password_that_is_guessed_first_is_not_taken_and_the_link_still_works(
    world: World, password: str
) -> None:
    await world.resident("adalovelace@example.org")
    await world.recovery.ask_reset("adalovelace@example.org")
    token = await world.token("adalovelace@example.org")
    assert await refusal(world.recovery.reset(Reset(token=token, password=password))) == "invalid"
    await world.recovery.reset(Reset(token=token, password=ANOTHER))


# --- changes ----------------------------------------------------------------------------------------------------------


async def test_a_change_needs_the_current_password_and_ends_the_other_logins(world: World) -> None:
    mine, other, foreign = await world.resident(), await world.log_in(), await world.register("alan@example.org")
    await world.mails()
    me = principal(mine)
    wrong = ChangePassword(current=ANOTHER, password=ANOTHER)
    assert await refusal(world.recovery.change_password(me, wrong)) == "credentials"
    common = ChangePassword(current=PASSWORD, password="letmein123")
    assert await refusal(world.recovery.change_password(me, common)) == "invalid"
    assert world.ended == []
    await world.recovery.change_password(me, ChangePassword(current=PASSWORD, password=ANOTHER))
    assert world.ended == [login(other)]
    await world.identity.refresh(mine.refresh_token)
    await world.identity.refresh(foreign.refresh_token)
    await world.log_in(password=ANOTHER)
    (mail,) = await world.mails()
    assert (mail.to, mail.subject) == (ADA, "Your password was changed")


async def test_an_address_that_nobody_has_verified_is_not_written_to_by_changing_a_password(world: World) -> None:
    stranger = principal(await world.register("alan@example.org"))
    await world.mails()
    await world.recovery.change_password(stranger, ChangePassword(current=PASSWORD, password=ANOTHER))
    assert await world.mails() == []


async def test_a_change_ends_a_reset_that_was_asked_for(world: World) -> None:
    mine = await world.resident()
    await world.recovery.ask_reset(ADA)
    token = await world.token()
    await world.recovery.change_password(principal(mine), ChangePassword(current=PASSWORD, password=ANOTHER))
    assert await refusal(world.recovery.reset(Reset(token=token, password=PASSWORD))) == "link_expired"


async def test_who_found_a_device_open_does_not_try_its_password_for_long(world: World) -> None:
    me = principal(await world.resident())
    for _ in range(10):
        attempt = ChangePassword(current="wrong", password=ANOTHER)
        assert await refusal(world.recovery.change_password(me, attempt)) == "credentials"
    right = ChangePassword(current=PASSWORD, password=ANOTHER)
    assert await refusal(world.recovery.change_password(me, right)) == "limited"


async def test_of_two_changes_at_once_one_is_told_that_the_password_is_another(world: World) -> None:
    me = principal(await world.resident())
    changes = [ChangePassword(current=PASSWORD, password=f"{ANOTHER} {number}") for number in range(2)]
    results = await asyncio.gather(
        *(world.recovery.change_password(me, change) for change in changes), return_exceptions=True
    )
    (lost,) = (result for result in results if result is not None)
    assert isinstance(lost, Refused)
    assert lost.code == "credentials"
    await world.log_in(password=changes[results.index(None)].password)
