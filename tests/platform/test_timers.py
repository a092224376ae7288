"""Timers on a loop whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chiron._core import Wheel
from chiron.server.platform.timers import TICK, Timer, Timers


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


KINDS = 3


def timers(loop: Loop) -> tuple[Timers, list[Timer], list[tuple[int, int, float]]]:
    """The timers, three kinds of them, and what has expired: (key, kind, when)."""
    fired: list[tuple[int, int, float]] = []

    def expired(kind: int, key: int) -> None:
        fired.append((key, kind, loop.now))

    made = Timers(Wheel(loop.now, tick=TICK), cast(asyncio.AbstractEventLoop, loop))
    return made, [made.kind(partial(expired, kind)) for kind in range(KINDS)], fired


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, KINDS - 1), st.floats(0.0, 100.0)), max_size=20),
    st.sampled_from([0.0, 0.0013]),
)
def test_each_timer_fires_once_not_early_and_at_most_two_ticks_late(
    wanted: list[tuple[int, int, float]], early: float
) -> None:
    loop = Loop(early)
    made, kinds, fired = timers(loop)
    deadlines: dict[tuple[int, int], float] = {}
    for key, kind, after in wanted:
        kinds[kind].set(key, loop.now + after)
        deadlines[key, kind] = loop.now + after
    loop.run_until(loop.now + 200.0)
    assert sorted((key, kind) for key, kind, _ in fired) == sorted(deadlines)
    for key, kind, now in fired:
        assert deadlines[key, kind] <= now <= deadlines[key, kind] + 2 * TICK + 0.01
    assert len(made) == 0
    assert loop.woken <= 3 * len(deadlines) + 3, "it spins"


def test_an_early_wake_up_waits_a_whole_tick() -> None:
    loop = Loop(early=0.02)
    _, kinds, fired = timers(loop)
    kinds[0].set(1, loop.now + 1.0)
    loop.run_until(loop.now + 5.0)
    assert len(fired) == 1
    assert loop.woken <= 3


def test_what_is_cancelled_does_not_fire_and_nothing_wakes_for_long() -> None:
    loop = Loop()
    made, kinds, fired = timers(loop)
    kinds[0].set(1, loop.now + 1.0)
    kinds[1].set(1, loop.now + 2.0)
    kinds[0].set(2, loop.now + 3.0)
    kinds[0].cancel(2)
    kinds[0].cancel(1)
    kinds[1].cancel(1)
    kinds[2].cancel(1)
    loop.run_until(loop.now + 60.0)
    assert fired == []
    assert len(made) == 0
    assert loop.woken <= 1


def test_setting_again_moves_a_timer() -> None:
    loop = Loop()
    _, kinds, fired = timers(loop)
    start = loop.now
    kinds[0].set(1, start + 1.0)
    kinds[0].set(1, start + 10.0)
    loop.run_until(start + 9.0)
    assert fired == []
    loop.run_until(start + 11.0)
    assert len(fired) == 1


def test_kinds_with_the_same_keys_do_not_meet() -> None:
    loop = Loop()
    _, kinds, fired = timers(loop)
    kinds[0].set(7, loop.now + 1.0)
    kinds[1].set(7, loop.now + 2.0)
    kinds[0].cancel(7)
    loop.run_until(loop.now + 5.0)
    assert [(key, kind) for key, kind, _ in fired] == [(7, 1)]


def test_a_defect_behind_one_timer_is_logged_and_costs_no_other() -> None:
    loop = Loop()
    made, kinds, fired = timers(loop)

    def fail(_key: int) -> None:
        raise ZeroDivisionError

    failing = made.kind(fail)
    failing.set(1, loop.now + 1.0)
    kinds[0].set(2, loop.now + 1.0)
    kinds[0].set(3, loop.now + 9.0)
    with capture_logs() as logged:
        loop.run_until(loop.now + 20.0)
    assert [key for key, _, _ in fired] == [2, 3]
    assert [entry["event"] for entry in logged] == ["timer failed"]


def test_nothing_expires_after_the_stop() -> None:
    loop = Loop()
    made, kinds, fired = timers(loop)
    kinds[0].set(1, loop.now + 1.0)
    made.stop()
    loop.run_until(loop.now + 5.0)
    assert fired == []
