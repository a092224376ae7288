"""Timers on a loop whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from chiron.server.edge.timers import TICK, Timers


class Handle:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Virtual time. Like uvloop's, its timers may fire `early` seconds before they are due."""

    def __init__(self, early: float = 0.0) -> None:
        self.now = 1000.0
        self.early = early
        self.handles: list[Handle] = []
        self.woken = 0

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], Any]) -> Handle:
        handle = Handle(at, call)
        self.handles.append(handle)
        return handle

    def run_until(self, end: float) -> None:
        while True:
            pending = [handle for handle in self.handles if not handle.cancelled]
            assert len(pending) <= 1, "there is more than one handle"
            if not pending or pending[0].at > end:
                self.now = max(self.now, end)
                return
            self.handles.clear()
            self.now = max(self.now, pending[0].at - self.early)
            self.woken += 1
            pending[0].call()


def timers(loop: Loop) -> tuple[Timers, list[tuple[int, int, float]]]:
    fired: list[tuple[int, int, float]] = []
    made = Timers(cast(asyncio.AbstractEventLoop, loop), lambda key, kind, now: fired.append((key, kind, now)))
    return made, fired


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2), st.floats(0.0, 100.0)), max_size=20),
    st.sampled_from([0.0, 0.0013]),
)
def test_each_timer_fires_once_not_early_and_at_most_two_ticks_late(
    wanted: list[tuple[int, int, float]], early: float
) -> None:
    loop = Loop(early)
    made, fired = timers(loop)
    deadlines: dict[tuple[int, int], float] = {}
    for key, kind, after in wanted:
        made.set(key, kind, loop.now + after)
        deadlines[key, kind] = loop.now + after
    loop.run_until(loop.now + 200.0)
    assert sorted((key, kind) for key, kind, _ in fired) == sorted(deadlines)
    for key, kind, now in fired:
        assert deadlines[key, kind] <= now <= deadlines[key, kind] + 2 * TICK + 0.01
    assert len(made) == 0
    assert loop.woken <= 3 * len(deadlines) + 3, "it spins"


def test_an_early_wake_up_waits_a_whole_tick() -> None:
    loop = Loop(early=0.02)
    made, fired = timers(loop)
    made.set(1, 0, loop.now + 1.0)
    loop.run_until(loop.now + 5.0)
    assert len(fired) == 1
    assert loop.woken <= 3


def test_what_is_cancelled_does_not_fire_and_nothing_wakes_for_long() -> None:
    loop = Loop()
    made, fired = timers(loop)
    made.set(1, 0, loop.now + 1.0)
    made.set(1, 1, loop.now + 2.0)
    made.set(2, 0, loop.now + 3.0)
    made.cancel(2, 0)
    made.cancel_all(1)
    loop.run_until(loop.now + 60.0)
    assert fired == []
    assert loop.woken <= 1


def test_setting_again_moves_a_timer() -> None:
    loop = Loop()
    made, fired = timers(loop)
    start = loop.now
    made.set(1, 0, start + 1.0)
    made.set(1, 0, start + 10.0)
    loop.run_until(start + 9.0)
    assert fired == []
    loop.run_until(start + 11.0)
    assert len(fired) == 1
