"""Conflation on a virtual clock: `sleep` moves time, nothing waits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chiron.errors import Unavailable
from chiron.server.chat.pace import Pace


class Timeline:
    """Virtual time: what sleeps is woken by `advance`."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time + seconds, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        end = self.time + seconds
        await settle()
        while due := sorted(sleeper for sleeper in self._sleepers if sleeper[0] <= end and not sleeper[2].done()):
            self.time = max(self.time, due[0][0])
            self._sleepers.remove(due[0])
            due[0][2].set_result(None)
            await settle()
        self.time = end


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Desk:
    """Keeps what it is handed, with the time; may be told to refuse."""

    def __init__(self, timeline: Timeline, **options: Any) -> None:
        self.timeline = timeline
        self.handed: list[tuple[float, dict[str, int]]] = []
        self.answer: Mapping[str, int] | Exception = {}
        self.pace = Pace[str, int]("test", timeline, self.deliver, max, sleep=timeline.sleep, **options)

    async def deliver(self, values: Mapping[str, int]) -> Mapping[str, int]:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.handed.append((round(self.timeline.time, 6), dict(values)))
        return self.answer


async def test_the_first_is_handed_on_soon_and_the_next_after_a_period() -> None:
    desk = Desk(timeline := Timeline())
    await desk.pace.start()
    desk.pace.put("a", 1)
    await timeline.advance(0.05)
    assert desk.handed == [(0.05, {"a": 1})]
    desk.pace.put("a", 3)
    desk.pace.put("a", 2)
    desk.pace.put("b", 7)
    await timeline.advance(0.5)
    assert desk.handed[1:] == [(0.1, {"b": 7})], "a rests, b does not"
    await timeline.advance(0.6)
    assert desk.handed[2:] == [(1.05, {"a": 3})]
    await desk.pace.stop()


async def test_what_comes_back_comes_again_merged_with_what_is_newer() -> None:
    desk = Desk(timeline := Timeline())
    await desk.pace.start()
    desk.answer = {"a": 5}
    desk.pace.put("a", 5)
    await timeline.advance(0.05)
    desk.answer = {}
    desk.pace.put("a", 4)
    await timeline.advance(2)
    assert [values for _, values in desk.handed] == [{"a": 5}, {"a": 5}]
    await desk.pace.stop()


async def test_while_the_database_is_away_nothing_is_lost() -> None:
    desk = Desk(timeline := Timeline())
    await desk.pace.start()
    desk.answer = Unavailable("unavailable")
    desk.pace.put("a", 5)
    await timeline.advance(5)
    assert desk.handed == []
    desk.answer = {}
    await timeline.advance(1)
    assert [values for _, values in desk.handed] == [{"a": 5}]
    await desk.pace.stop()


async def test_a_defect_costs_its_batch_and_not_the_task() -> None:
    desk = Desk(timeline := Timeline())
    await desk.pace.start()
    desk.answer = ZeroDivisionError()
    desk.pace.put("a", 1)
    await timeline.advance(0.1)
    desk.answer = {}
    desk.pace.put("b", 1)
    await timeline.advance(2)
    assert [values for _, values in desk.handed] == [{"b": 1}]
    await desk.pace.stop()


async def test_stop_hands_on_what_waits() -> None:
    desk = Desk(Timeline(), most=2)
    await desk.pace.start()
    for key in "abcde":
        desk.pace.put(key, 1)
    await desk.pace.stop()
    assert sorted(key for _, values in desk.handed for key in values) == list("abcde")
    assert all(len(values) <= 2 for _, values in desk.handed)


async def test_stop_gives_up_when_the_database_stays_away() -> None:
    desk = Desk(Timeline())
    await desk.pace.start()
    desk.answer = Unavailable("unavailable")
    desk.pace.put("a", 1)
    await asyncio.wait_for(desk.pace.stop(), 5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.floats(0, 0.7))))
async def test_every_key_ends_at_its_highest_and_rests_in_between(puts: list[tuple[str, int, float]]) -> None:
    desk = Desk(timeline := Timeline())
    await desk.pace.start()
    highest: dict[str, int] = {}
    for key, value, pause in puts:
        desk.pace.put(key, value)
        highest[key] = max(highest.get(key, 0), value)
        await timeline.advance(pause)
    await timeline.advance(3)
    await desk.pace.stop()
    for key, value in highest.items():
        times = [time for time, values in desk.handed if key in values]
        assert max(values[key] for _, values in desk.handed if key in values) == value
        assert all(later - earlier >= 1.0 - 1e-6 for earlier, later in itertools.pairwise(times))


async def test_who_puts_too_many_keys_is_told_to_wait_and_others_are_not() -> None:
    desk = Desk(timeline := Timeline(), owner=lambda key: key[0], each=2)
    desk.pace.put("a1", 1)
    desk.pace.put("a2", 1)
    with pytest.raises(Unavailable, match="busy"):
        desk.pace.put("a3", 1)
    desk.pace.put("a2", 2)
    desk.pace.put("b1", 1)
    await desk.pace.start()
    await timeline.advance(0.1)
    assert desk.handed == [(0.05, {"a1": 1, "a2": 2, "b1": 1})]
    desk.pace.put("a3", 1)
    desk.pace.put("a4", 1)
    with pytest.raises(Unavailable):
        desk.pace.put("a5", 1)
    await desk.pace.stop()
    assert desk.handed[-1][1] == {"a3": 1, "a4": 1}


async def test_what_came_back_still_counts() -> None:
    desk = Desk(timeline := Timeline(), owner=lambda key: key[0], each=2)
    await desk.pace.start()
    desk.answer = Unavailable("unavailable")
    desk.pace.put("a1", 1)
    desk.pace.put("a2", 1)
    await timeline.advance(0.1)
    with pytest.raises(Unavailable):
        desk.pace.put("a3", 1)
    desk.answer = {}
    await desk.pace.stop()
    desk.pace.put("a3", 1)
