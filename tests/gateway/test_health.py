"""What a load balancer sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chiron.server.gateway import health
from chiron.server.gateway.limits import Rates
from chiron.server.ports import Health, Rate

NOTHING = Health({})


async def well() -> str | None:
    return None


async def ill() -> str | None:
    return "the database does not answer"


class Asked:
    """A check that counts how often it was asked, and waits to be told."""

    def __init__(self) -> None:
        self.times = 0
        self.answer = asyncio.Event()

    async def __call__(self) -> str | None:
        self.times += 1
        await self.answer.wait()
        return f"the answer {self.times}"


async def test_a_server_whose_parts_are_well_is_ready(house: Any) -> None:
    built = house(health.routes(Health({"loop": well}), Health({"database": well})))
    for path in ("/livez", "/readyz"):
        answer = await built.ask("GET", path)
        assert (answer.status, answer.json) == (200, {"status": "ok", "trouble": {}})


async def test_what_is_ill_is_named_and_the_process_still_lives(house: Any) -> None:
    built = house(health.routes(NOTHING, Health({"database": ill, "disk": well})))
    answer = await built.ask("GET", "/readyz")
    assert answer.status == 503
    assert answer.json["trouble"] == {"database": "the database does not answer"}
    assert (await built.ask("GET", "/livez")).status == 200


async def test_a_process_that_does_not_live_says_so(house: Any) -> None:
    answer = await house(health.routes(Health({"loop": ill}), NOTHING)).ask("GET", "/livez")
    assert (answer.status, answer.json["status"], list(answer.json["trouble"])) == (503, "unavailable", ["loop"])


async def test_a_part_that_hangs_does_not_hang_the_answer(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.0)

    async def hang() -> str | None:
        await asyncio.Event().wait()
        return None

    answer = await house(health.routes(NOTHING, Health({"database": hang}))).ask("GET", "/readyz")
    assert (answer.status, answer.json["trouble"]) == (503, {"database": "does not answer"})


async def test_polls_share_one_look_and_its_answer_for_a_second(house: Any) -> None:
    built = house()
    asked = Asked()
    check = health.remembered(asked, built.clock)
    waiting = [asyncio.ensure_future(check()) for _ in range(3)]
    await asyncio.sleep(0)
    asked.answer.set()
    assert await asyncio.gather(*waiting) == ["the answer 1"] * 3
    built.clock.seconds += 0.9
    assert await check() == "the answer 1"
    built.clock.seconds += 0.2
    assert await check() == "the answer 2"


async def test_who_asks_and_leaves_takes_the_answer_from_nobody(house: Any) -> None:
    asked = Asked()
    check = health.remembered(asked, house().clock)
    first, second = asyncio.ensure_future(check()), asyncio.ensure_future(check())
    await asyncio.sleep(0)
    first.cancel()
    asked.answer.set()
    assert await second == "the answer 1"
    assert first.cancelled()


async def test_nobody_is_limited_here(house: Any) -> None:
    rates = Rates(address=Rate(1.0, 2.0))
    built = house(health.routes(NOTHING, NOTHING), rates=rates)
    assert [(await built.ask("GET", "/nothing")).status for _ in range(3)] == [404, 404, 429]
    for path in ("/livez", "/readyz"):
        assert {(await built.ask("GET", path)).status for _ in range(5)} == {200}
