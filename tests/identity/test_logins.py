"""Devices that somebody is signed in on."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from accounts import World, claims, principal

from chiron.errors import Refused
from chiron.server.identity.model import Session


def login(session: Session) -> UUID:
    return UUID(claims(session)["sid"])


async def test_logins_are_listed_newest_first_in_pages(world: World) -> None:
    sessions = [await world.resident(device="phone")]
    for _ in range(4):
        world.clock.time += timedelta(minutes=2)
        sessions.append(await world.log_in())
    await world.register("alan@example.org")
    me = principal(sessions[2])
    first = await world.logins.page(me, None, 3)
    rest = await world.logins.page(me, first.next, 3)
    found = [*first.items, *rest.items]
    assert [item.login for item in found] == [login(session) for session in reversed(sessions)]
    assert [item.current for item in found] == [False, False, True, False, False]
    assert (found[-1].device, rest.next) == ("phone", None)
    assert found[0].created_at == found[-1].created_at + 8 * 60_000
    await world.logins.end(me, login(sessions[4]))
    assert [item.login for item in (await world.logins.page(me, None, 1)).items] == [login(sessions[3])]
    other = principal(await world.register("eve@example.org"))
    with pytest.raises(Refused, match="cursor"):
        await world.logins.page(other, first.next, 3)


async def test_a_device_is_named_by_its_person_alone(world: World) -> None:
    mine, other = await world.resident(), await world.register("alan@example.org")
    named = await world.logins.name(principal(mine), login(mine), "  Ada's   phone ")
    assert (named.device, named.current) == ("Ada's phone", True)
    assert (await world.logins.page(principal(mine), None, 9)).items == [named]
    for who, which in ((other, login(mine)), (mine, uuid4())):
        with pytest.raises(Refused) as refused:
            await world.logins.name(principal(who), which, "x")
        assert refused.value.code == "not_found"
    with pytest.raises(Refused, match="control"):
        await world.logins.name(principal(mine), login(mine), "a\u001b[2Jb")


async def test_ending_a_login_says_so_and_is_harmless_to_repeat(world: World) -> None:
    mine, phone, other = await world.resident(), await world.log_in(), await world.register("alan@example.org")
    with pytest.raises(Refused) as refused:
        await world.logins.end(principal(other), login(phone))
    assert refused.value.code == "not_found"
    assert world.ended == []
    for _ in range(2):
        await world.logins.end(principal(mine), login(phone))
    assert set(world.ended) == {login(phone)}
    with pytest.raises(Refused) as refused:
        await world.identity.refresh(phone.refresh_token)
    assert refused.value.code == "login_ended"
    await world.identity.refresh(mine.refresh_token)


async def test_all_others_are_ended(world: World) -> None:
    mine, phone, tablet = await world.resident(), await world.log_in(), await world.log_in()
    other = await world.register("alan@example.org")
    await world.logins.end_others(principal(mine))
    assert set(world.ended) == {login(phone), login(tablet)}
    assert [item.login for item in (await world.logins.page(principal(mine), None, 9)).items] == [login(mine)]
    await world.identity.refresh(other.refresh_token)
