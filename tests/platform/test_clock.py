from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from chiron.server.platform.clock import SystemClock, milliseconds


def test_times_travel_as_whole_milliseconds_of_the_epoch_whatever_their_zone() -> None:
    moment = datetime(2026, 11, 24, 12, 30, 15, 123_456, tzinfo=UTC)
    assert milliseconds(moment) == 1_795_523_415_123
    assert milliseconds(moment.astimezone(timezone(timedelta(hours=5, minutes=30)))) == milliseconds(moment)


async def test_the_clock_is_that_of_the_loop_and_knows_its_zone() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    before = clock.monotonic()
    assert before <= asyncio.get_running_loop().time() <= clock.monotonic()
