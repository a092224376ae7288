"""Which of several ways is taken, on a loop whose time is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from virtual_time import run_at_once

from chiron.client import race


class Ways:
    """Each takes so many seconds and then works, or does not."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, float]] = []
        self.discarded: list[str] = []
        self.cancelled: list[str] = []

    def way(self, name: str, seconds: float, error: Exception | None = None) -> Callable[[], Awaitable[str]]:
        async def go() -> str:
            self.begun.append((name, asyncio.get_running_loop().time()))
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            if error is not None:
                raise error
            return name

        return go

    async def discard(self, name: str) -> None:
        self.discarded.append(name)

    async def first(self, *ways: Callable[[], Awaitable[str]]) -> str:
        return await race.first(ways, head_start=0.5, discard=self.discard)


@pytest.fixture
def ways() -> Ways:
    return Ways()


def test_the_first_is_taken_when_it_works_in_time(ways: Ways) -> None:
    assert run_at_once(ways.first(ways.way("one", 0.4), ways.way("two", 0))) == "one"
    assert ways.begun == [("one", 0.0)]


def test_the_next_begins_after_the_head_start_and_the_loser_is_stopped(ways: Ways) -> None:
    assert run_at_once(ways.first(ways.way("one", 9), ways.way("two", 0.1))) == "two"
    assert ways.begun == [("one", 0.0), ("two", 0.5)]
    assert ways.cancelled == ["one"]


def test_the_first_may_still_win_after_the_head_start(ways: Ways) -> None:
    assert run_at_once(ways.first(ways.way("one", 0.6), ways.way("two", 9))) == "one"
    assert ways.cancelled == ["two"]


def test_the_next_begins_at_once_when_all_before_it_have_failed(ways: Ways) -> None:
    failing = ways.way("one", 0.1, OSError("no"))
    assert run_at_once(ways.first(failing, ways.way("two", 0))) == "two"
    assert ways.begun == [("one", 0.0), ("two", 0.1)]


def test_what_came_second_at_the_same_time_is_discarded(ways: Ways) -> None:
    assert run_at_once(ways.first(ways.way("one", 0.7), ways.way("two", 0.2))) in ("one", "two")
    assert len(ways.discarded) == 1


def test_when_none_works_the_error_is_that_of_the_last(ways: Ways) -> None:
    one, two = ways.way("one", 9, OSError("first")), ways.way("two", 0.1, OSError("last"))
    with pytest.raises(OSError, match="last"):
        run_at_once(ways.first(one, two))


def test_giving_up_stops_all_of_them(ways: Ways) -> None:
    async def work() -> None:
        async with asyncio.timeout(1):
            await ways.first(ways.way("one", 9), ways.way("two", 9))

    with pytest.raises(TimeoutError):
        run_at_once(work())
    assert sorted(ways.cancelled) == ["one", "two"]
