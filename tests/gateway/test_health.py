"""What a load balancer sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chiron.server.gateway import health
from chiron.server.ports import Health


async def well() -> str | None:
    return None


async def ill() -> str | None:
    return "the database does not answer"


async def test_a_server_whose_parts_are_well_is_ready(house: Any) -> None:
    built = house(health.routes(Health({"database": well})))
    for path in ("/livez", "/readyz"):
        answer = await built.ask("GET", path)
        assert (answer.status, answer.json) == (200, {"status": "ok", "trouble": {}})


async def test_what_is_ill_is_named_and_the_process_still_lives(house: Any) -> None:
    built = house(health.routes(Health({"database": ill, "disk": well})))
    answer = await built.ask("GET", "/readyz")
    assert answer.status == 503
    assert answer.json["trouble"] == {"database": "the database does not answer"}
    assert (await built.ask("GET", "/livez")).status == 200


async def test_a_part_that_hangs_does_not_hang_the_answer(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.0)

    async def hang() -> str | None:
        await asyncio.Event().wait()
        return None

    answer = await house(health.routes(Health({"database": hang}))).ask("GET", "/readyz")
    assert (answer.status, answer.json["trouble"]) == (503, {"database": "does not answer"})
