"""The timing wheel as Python sees it; it is held against a list of timers in Rust."""

from __future__ import annotations

import math

import pytest

from chiron._core import Wheel


def test_timers_fire_within_a_tick_of_their_deadline() -> None:
    wheel = Wheel(1000.0)
    wheel.set(1, 0, 1010.0)
    wheel.set(2**63, 7, 1005.0)
    assert len(wheel) == 2
    at = wheel.next()
    assert at is not None
    assert 1005.0 <= at <= 1005.051
    assert wheel.expire(1005.0 - 1e-6) == []
    assert wheel.expire(at) == [(2**63, 7)]
    assert wheel.expire(1010.06) == [(1, 0)]
    assert wheel.next() is None


def test_the_tick_can_be_chosen() -> None:
    wheel = Wheel(0.0, tick=10.0)
    wheel.set(1, 0, 11.0)
    assert wheel.next() == 20.0
    assert wheel.expire(19.9) == []
    assert wheel.expire(20.0) == [(1, 0)]


def test_setting_again_moves() -> None:
    wheel = Wheel(0.0)
    wheel.set(1, 0, 5.0)
    wheel.set(1, 0, 500.0)
    assert len(wheel) == 1
    assert wheel.expire(499.0) == []
    wheel.set(1, 0, 499.5)
    assert wheel.expire(500.0) == [(1, 0)]


def test_cancelling_says_whether_there_was_one() -> None:
    wheel = Wheel(0.0)
    wheel.set(1, 0, 5.0)
    wheel.set(1, 1, 5.0)
    wheel.set(1, 2, 5.0)
    assert wheel.cancel(1, 0) is True
    assert wheel.cancel(1, 0) is False
    assert wheel.cancel(2, 1) is False
    assert wheel.expire(100.0) == [(1, 1), (1, 2)]


def test_times_must_be_finite() -> None:
    wheel = Wheel(0.0)
    for time in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="times must be finite"):
            wheel.set(1, 0, time)
        with pytest.raises(ValueError, match="times must be finite"):
            wheel.expire(time)
        with pytest.raises(ValueError, match="times must be finite"):
            Wheel(time)
    for tick in (0.0, -1.0):
        with pytest.raises(ValueError, match="tick must be above 0"):
            Wheel(0.0, tick=tick)
