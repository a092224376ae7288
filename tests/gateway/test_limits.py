"""What a client is told of its limits, and that each limit counts what it says."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiron._core import Limiter
from chiron.errors import Unavailable
from chiron.server.gateway import Limits, Pages, Rates
from chiron.server.gateway.limits import headers
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Command, Principal, Rate, Route

# RFC 9651 §3.1: a List of Strings, each with Integer parameters.
MEMBER = r'"[a-z]+"(?:;[a-z]+=\d{1,15})+'
LIST = re.compile(rf"{MEMBER}(?:, {MEMBER})*")

RATES = Rates(address=Rate(10.0, 100.0), person=Rate(2.0, 20.0))


def members(value: str) -> dict[str, dict[str, int]]:
    assert LIST.fullmatch(value), value
    found = {}
    for member in value.split(", "):
        name, *parameters = member.split(";")
        found[name.strip('"')] = {key: int(number) for key, number in (each.split("=") for each in parameters)}
    return found


async def nothing(_call: Call) -> None:
    return None


OPEN = Route("GET", "/open", nothing, ANYONE)
MINE = Route("GET", "/mine", nothing, SIGNED_IN, cost=3.0)
GUARDED = Route("POST", "/guarded", nothing, ANYONE, limit=Rate(0.5, 2.0))
COUNTED = Route("POST", "/counted/{n:int}", nothing, SIGNED_IN, limit=Rate(1.0, 5.0))


async def test_a_person_is_told_of_the_persons_limit_and_not_of_whom_they_share_an_address_with(house: Any) -> None:
    answer = await house([MINE], rates=RATES, limiter=Limiter(9)).ask("GET", "/mine", token="ada")
    assert answer.headers["ratelimit"] == '"person";r=17;t=2'
    assert answer.headers["ratelimit-policy"] == '"person";q=20;w=10'


async def test_a_free_route_frees_nobody_from_the_persons_limit_at_the_same_path(house: Any) -> None:
    free = Route("GET", "/both", nothing, ANYONE, cost=0.0)
    mine = Route("POST", "/both", nothing, SIGNED_IN, cost=3.0)
    built = house([free, mine], rates=RATES, limiter=Limiter(9))
    assert "ratelimit" not in (await built.ask("GET", "/both")).headers
    answer = await built.ask("POST", "/both", token="ada")
    assert (answer.status, answer.headers["ratelimit"]) == (204, '"person";r=17;t=2')


async def test_who_is_not_signed_in_is_told_of_the_addresss_limit(house: Any) -> None:
    built = house([OPEN, MINE], rates=RATES, limiter=Limiter(9))
    assert members((await built.ask("GET", "/open")).headers["ratelimit"]) == {"address": {"r": 99, "t": 1}}
    refused = await built.ask("GET", "/mine")
    assert refused.status == 401
    assert members(refused.headers["ratelimit"]) == {"address": {"r": 98, "t": 1}}
    missing = await built.ask("GET", "/nowhere")
    assert members(missing.headers["ratelimit-policy"]) == {"address": {"q": 100, "w": 10}}


async def test_files_of_the_page_say_nothing_of_limits(house: Any, tmp_path: Any) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    assert "ratelimit" not in (await house(pages=Pages(tmp_path)).ask("GET", "/")).headers


async def test_a_route_may_have_a_limit_of_its_own_for_each_address(house: Any) -> None:
    built = house([GUARDED, OPEN], rates=RATES, limiter=Limiter(9))
    answers = [await built.ask("POST", "/guarded") for _ in range(3)]
    assert [answer.status for answer in answers] == [204, 204, 429]
    assert [members(answer.headers["ratelimit"])["endpoint"]["r"] for answer in answers] == [1, 0, 0]
    assert members(answers[0].headers["ratelimit-policy"])["endpoint"] == {"q": 2, "w": 4}
    assert answers[2].headers["retry-after"] == "2"
    assert (await built.ask("GET", "/open")).status == 204
    assert (await built.ask("POST", "/guarded", address="192.0.2.2")).status == 204
    built.clock.seconds += 2
    assert (await built.ask("POST", "/guarded")).status == 204


async def test_the_limit_of_a_signed_in_route_is_the_persons_wherever_they_are_and_for_all_its_places(
    house: Any,
) -> None:
    built = house([COUNTED], rates=RATES, limiter=Limiter(9))
    for n in range(5):
        assert (await built.ask("POST", f"/counted/{n}", token="ada", address=f"192.0.2.{n}")).status == 204
    answer = await built.ask("POST", "/counted/9", token="ada", address="192.0.2.9")
    assert (answer.status, members(answer.headers["ratelimit"])["endpoint"]) == (429, {"r": 0, "t": 1})
    assert answer.headers["retry-after"] == "1"


async def test_commands_have_limits_of_their_own_too(house: Any) -> None:
    command = Command("dear", nothing, SIGNED_IN, limit=Rate(1.0, 1.0))
    built = house(commands=[command], rates=RATES, limiter=Limiter(9))
    principal = Principal(person=UUID(int=1), login=UUID(int=11), expires_at=2e9)
    await built.commands.run("dear", principal, b"{}")
    with pytest.raises(Unavailable) as caught:
        await built.commands.run("dear", principal, b"{}")
    assert (caught.value.code, caught.value.retry_after) == ("limited", 1.0)


async def test_other_rates_count_from_now_on_and_what_was_taken_stays_taken(house: Any) -> None:
    built = house([OPEN], rates=Rates(address=Rate(1.0, 3.0)), limiter=Limiter(9))
    assert [(await built.ask("GET", "/open")).status for _ in range(4)] == [204, 204, 204, 429]
    built.limits.reload(Rates(address=Rate(1.0, 5.0)))
    answers = [await built.ask("GET", "/open") for _ in range(3)]
    assert [answer.status for answer in answers] == [204, 204, 429]
    assert members(answers[0].headers["ratelimit-policy"])["address"]["q"] == 5


async def test_the_factor_reaches_limits_of_single_routes_alone(house: Any) -> None:
    built = house([GUARDED], rates=Rates(address=Rate(1.0, 100.0), endpoint_factor=2.0), limiter=Limiter(9))
    answers = [await built.ask("POST", "/guarded") for _ in range(5)]
    assert [answer.status for answer in answers] == [204] * 4 + [429]
    assert members(answers[0].headers["ratelimit-policy"]) == {
        "address": {"q": 100, "w": 100},
        "endpoint": {"q": 4, "w": 4},
    }


def test_refusals_are_counted_by_policy() -> None:
    limits = Limits(Limiter(9), Rates(person=Rate(1.0, 1.0)))
    for _ in range(3):
        limits.person(UUID(int=1), 1.0, 10.0)
    assert limits.denied == {"person": 2}


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 30.0)), min_size=1, max_size=40),
    st.floats(0.01, 1000.0),
    st.floats(1.0, 10_000.0),
)
def test_what_is_said_to_be_left_is_granted_and_the_header_can_be_read(
    steps: list[tuple[float, float]], per_second: float, burst: float
) -> None:
    limits, now = Limits(Limiter(9), Rates(person=Rate(per_second, burst))), 1.0
    for pause, cost in steps:
        now += pause
        standing = limits.person(UUID(int=1), cost, now)
        fields = dict(headers([standing]))
        said = members(fields["ratelimit"])["person"]
        policy = members(fields["ratelimit-policy"])["person"]
        assert said["r"] <= policy["q"]
        assert said["t"] <= policy["w"]
        assert said["r"] <= standing.left
        # Nothing is taken by looking: what was said stays true until somebody takes it.
        assert limits.person(UUID(int=1), 0.0, now).left == pytest.approx(standing.left, abs=1e-6)
        assert limits.person(UUID(int=1), max(0.0, said["r"] - 1e-6), now).wait == 0.0
