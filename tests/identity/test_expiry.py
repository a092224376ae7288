"""Accounts that were never verified are erased, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from accounts import ANOTHER, World, claims, principal

from chiron.errors import Refused
from chiron.server.identity import expiry
from chiron.server.identity.model import Reset


async def test_after_two_weeks_without_verification_only_a_number_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAGE", 2)
    old = [await world.register(f"{number}@example.org") for number in range(5)]
    kept = await world.resident()
    world.clock.time += timedelta(days=14)
    young = await world.register("young@example.org")
    await world.expiry.sweep()
    assert await world.rows("person_private") == 7, "a day is not over before it is"
    world.clock.time += timedelta(seconds=1)
    await world.expiry.sweep()
    assert set(world.ended) == {UUID(claims(session)["sid"]) for session in old}
    assert await world.rows("person_private") == 2
    assert await world.rows("person") == 7
    assert await world.rows("proof") == 1, "links whose time is over are gone too"
    for session in old:
        with pytest.raises(Refused) as refused:
            await world.identity.refresh(session.refresh_token)
        assert refused.value.code == "login_ended"
        with pytest.raises(Refused, match="person"):
            await world.identity.me(session.person.person)
    await world.identity.refresh(young.refresh_token)
    await world.identity.refresh(kept.refresh_token)
    # The address is free, as if nothing had been.
    await world.register("0@example.org")


async def test_a_link_of_somebody_who_was_erased_opens_nothing(world: World) -> None:
    await world.register("old@example.org")
    await world.mails()
    world.clock.time += timedelta(days=14)
    await world.recovery.ask_reset("old@example.org")
    token = await world.token("old@example.org")
    world.clock.time += timedelta(seconds=1)
    await world.expiry.sweep()
    with pytest.raises(Refused) as refused:
        await world.recovery.reset(Reset(token=token, password=ANOTHER))
    assert refused.value.code == "link_expired"


async def test_a_login_that_ended_is_forgotten_after_a_month(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "PAGE", 2)
    mine = await world.resident()
    phones = [await world.log_in() for _ in range(5)]
    await world.logins.end_others(principal(mine))
    world.clock.time += timedelta(days=30)
    await world.expiry.sweep()
    for phone in phones:
        with pytest.raises(Refused) as refused:
            await world.identity.refresh(phone.refresh_token)
        assert refused.value.code == "login_ended"
    world.clock.time += timedelta(seconds=1)
    await world.expiry.sweep()
    assert await world.rows("login") == 1
    for phone in phones:
        with pytest.raises(Refused) as refused:
            await world.identity.refresh(phone.refresh_token)
        assert refused.value.code == "unauthenticated"
    await world.identity.refresh(mine.refresh_token)
