"""Every timer of an edge on one wheel, driven by one handle of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chiron._core import Wheel

TICK = 0.05
"""Seconds."""


class Timers:
    """One timer per (key, kind). `expired(key, kind, now)` is called at or after the deadline, never before.

    uvloop's clock is cached and its `call_at` may fire a millisecond early. A wake-up that finds nothing due therefore
    waits a whole tick: asking again at once would spin until the clock has moved.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[int, int, float], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._wheel = Wheel(loop.time(), tick=TICK)
        self._handle: asyncio.TimerHandle | None = None

    def set(self, key: int, kind: int, deadline: float) -> None:
        self._wheel.set(key, kind, deadline)
        if self._handle is None or deadline < self._handle.when():
            self._arm(0.0)

    def cancel(self, key: int, kind: int) -> None:
        self._wheel.cancel(key, kind)

    def cancel_all(self, key: int) -> None:
        self._wheel.cancel_all(key)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def __len__(self) -> int:
        return len(self._wheel)

    def _arm(self, earliest: float) -> None:
        self.close()
        at = self._wheel.next()
        if at is not None:
            self._handle = self._loop.call_at(max(at, earliest), self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self._loop.time()
        due = self._wheel.expire(now)
        self._arm(now + TICK)
        for key, kind in due:
            self._expired(key, kind, now)
