"""How late the loop is, measured where somebody blocks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from chiron.server.platform import lag
from chiron.server.platform.lag import LoopLag

DEADLINE = 30.0


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop


def block(seconds: float) -> None:
    time.sleep(seconds)


async def until_measured(measured: LoopLag, more: int) -> None:
    before = sum(measured.seconds.counts)
    async with asyncio.timeout(DEADLINE):
        while sum(measured.seconds.counts) < before + more:
            await asyncio.sleep(0.01)


def test_a_loop_that_turns_is_well_and_a_blocked_one_is_found_out(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "LIVE", 1.5)

    async def main() -> None:
        measured = LoopLag()
        measured.start()
        await until_measured(measured, 3)
        assert await measured.check() is None
        began = time.monotonic()
        block(lag.LIVE + lag.PERIOD + 0.2)
        # Before the timer had a chance to say so.
        assert 1.5 < measured.worst() <= time.monotonic() - began
        await until_measured(measured, 2)
        found = await measured.check()
        assert found is not None
        assert found.startswith("was late by ")
        assert 1.5 < measured.worst() <= time.monotonic() - began
        assert sum(measured.seconds.counts[measured.seconds.bounds.index(2.5) :]) >= 1
        assert measured.seconds.total > 1.5
        measured.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_what_is_over_is_forgotten_after_the_window(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "WINDOW", 0.4)

    async def main() -> None:
        measured = LoopLag()
        measured.start()
        block(lag.PERIOD + 0.2)
        await until_measured(measured, 1)
        assert measured.worst() > 0.15
        async with asyncio.timeout(DEADLINE):
            while measured.worst() > 0.15:
                await asyncio.sleep(0.01)
        measured.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
