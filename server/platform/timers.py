"""All timers of a worker on one timing wheel, driven by one handle of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

TICK = 0.05
"""Seconds of one tick of the wheel: how late a timer may be."""

log = structlog.get_logger(__name__)


class Wheel(Protocol):
    """The part of `_core.Wheel` that is used here; its times are those of the loop."""

    def set(self, key: int, kind: int, deadline: float) -> None: ...
    def cancel(self, key: int, kind: int) -> bool: ...
    def expire(self, now: float) -> list[tuple[int, int]]: ...
    def next(self) -> float | None: ...
    def __len__(self) -> int: ...


class Timer:
    """One kind of timer: at most one for each key, of whoever asked `Timers` for it."""

    __slots__ = ("_kind", "_timers")

    def __init__(self, timers: Timers, kind: int) -> None:
        self._timers = timers
        self._kind = kind

    def set(self, key: int, deadline: float) -> None:
        """Expire at or after `deadline`, in seconds of the loop's clock, never before; moves the one that is set."""
        self._timers.set(key, self._kind, deadline)

    def cancel(self, key: int) -> None:
        """Does nothing when none is set."""
        self._timers.cancel(key, self._kind)


class Timers:
    """Used from the loop's thread only. `wheel` has ticks of `TICK` seconds.

    uvloop's clock is cached and its `call_at` may fire a millisecond early. A wake-up that finds nothing due therefore
    waits a whole tick: asking again at once would spin until the clock has moved.
    """

    def __init__(self, wheel: Wheel, loop: asyncio.AbstractEventLoop) -> None:
        self._wheel = wheel
        self._loop = loop
        self._expired: list[Callable[[int], None]] = []
        self._handle: asyncio.Handle | None = None
        self._due = 0.0
        """When `_handle` is: uvloop's own does not say it where that is at once."""

    def kind(self, expired: Callable[[int], None]) -> Timer:
        """A kind of timer that calls `expired(key)`, also when one that was due at the same time has cancelled it."""
        self._expired.append(expired)
        return Timer(self, len(self._expired) - 1)

    def set(self, key: int, kind: int, deadline: float) -> None:
        """See `Timer.set`."""
        self._wheel.set(key, kind, deadline)
        if self._handle is None or deadline < self._due:
            self._arm(0.0)

    def cancel(self, key: int, kind: int) -> None:
        """See `Timer.cancel`."""
        self._wheel.cancel(key, kind)

    def stop(self) -> None:
        """No timer expires any more until one is set."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def __len__(self) -> int:
        return len(self._wheel)

    def _arm(self, earliest: float) -> None:
        self.stop()
        at = self._wheel.next()
        if at is not None:
            self._due = max(at, earliest)
            self._handle = self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self._loop.time()
        due = self._wheel.expire(now)
        self._arm(now + TICK)
        for key, kind in due:
            try:
                self._expired[kind](key)
            except Exception:  # a defect in one part must not cost the others their timers
                log.exception("timer failed", key=key)
