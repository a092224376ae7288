from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chiron.server.platform.ids import UuidV7


class SteppingClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@given(st.lists(st.integers(-2000, 2000), min_size=1, max_size=200))
def test_rfc9562_6_2_ids_rise_strictly_whatever_the_wall_clock_does(steps: list[int]) -> None:
    clock = SteppingClock()
    ids = UuidV7(clock)
    made = []
    for step in steps:
        clock.time += timedelta(milliseconds=step)
        made.append(ids.new())
    assert made == sorted(set(made))


def test_rfc9562_5_7_layout() -> None:
    clock = SteppingClock()
    id = UuidV7(clock).new()
    assert id.version == 7
    assert id.variant == "specified in RFC 4122"
    assert id.int >> 80 == int(clock.time.timestamp() * 1000)


def test_the_counter_carries_into_the_time() -> None:
    ids = UuidV7(SteppingClock())
    first = ids.new()
    ids._counter = (1 << 24) - 1
    second = ids.new()
    assert second > first
    assert second.int >> 80 == (first.int >> 80) + 1
