"""The limiter as Python sees it; its arithmetic has its tests in Rust."""

from __future__ import annotations

import math

import pytest

from chiron._core import Limiter


def test_a_burst_passes_and_the_rest_is_told_when() -> None:
    limiter = Limiter(10)
    assert [limiter.check("k", 1.0, 10.0, 3.0, 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.1)]
    assert limiter.check("other", 1.0, 10.0, 3.0, 100.0) == 0.0
    assert len(limiter) == 2


def test_waiting_as_long_as_told_is_enough() -> None:
    limiter, now = Limiter(1), 1_000_000.0
    for _ in range(100):
        wait = limiter.check("k", 1.0, 3.0, 2.0, now)
        if wait > 0:
            now += wait + 1e-6  # a float of this size holds a tenth of a nanosecond
            assert limiter.check("k", 1.0, 3.0, 2.0, now) == 0.0


def test_how_much_is_left_and_for_how_long() -> None:
    limiter = Limiter(1)
    assert limiter.take("k", 2.0, 10.0, 5.0, 1.0) == pytest.approx((0.0, 3.0, 0.2))
    assert limiter.take("k", 4.0, 10.0, 5.0, 1.0) == pytest.approx((0.1, 3.0, 0.2))
    assert limiter.check("k", 3.0, 10.0, 5.0, 1.0) == 0.0, "both count in the same bucket"
    assert limiter.take("k", 0.0, 10.0, 5.0, 1.25) == pytest.approx((0.0, 2.5, 0.25))
    assert limiter.take("other", 1.0, 10.0, 5.0, 1.25) == pytest.approx((0.25, 0.0, 0.25))


def test_full_of_live_keys_a_new_one_waits() -> None:
    limiter = Limiter(1)
    assert limiter.check("a", 2.0, 1.0, 5.0, 0.0) == 0.0
    assert limiter.check("b", 1.0, 1.0, 5.0, 0.5) == 1.5
    assert limiter.check("b", 1.0, 1.0, 5.0, 2.0) == 0.0
    assert len(limiter) == 1


def test_what_never_fits_waits_for_ever() -> None:
    assert Limiter(1).check("k", 6.0, 1.0, 5.0, 0.0) == math.inf


@pytest.mark.parametrize(
    ("cost", "rate", "burst", "now"),
    [
        (1.0, 0.0, 1.0, 0.0),
        (1.0, 1.0, 0.0, 0.0),
        (1.0, -1.0, 1.0, 0.0),
        (1.0, math.nan, 1.0, 0.0),
        (1.0, 1.0, math.inf, 0.0),
        (-1.0, 1.0, 1.0, 0.0),
        (math.nan, 1.0, 1.0, 0.0),
        (1.0, 1.0, 1.0, -1.0),
        (1.0, 1.0, 1.0, math.inf),
    ],
)
def test_numbers_without_meaning_are_refused(cost: float, rate: float, burst: float, now: float) -> None:
    for ask in (Limiter(1).check, Limiter(1).take):
        with pytest.raises(ValueError, match="must be finite"):
            ask("k", cost, rate, burst, now)
