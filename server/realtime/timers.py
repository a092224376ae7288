"""All timers of realtime on one timing wheel, driven by one handle of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum

from chiron._core import Wheel
from chiron.server.ports import Clock

TICK = 0.05
"""Seconds: how late a timer may be."""


class Kind(IntEnum):
    """What a timer is for; with its key it names the timer."""

    LIVENESS = 0
    """Key: link. Until `connect`, its deadline; later the next look at how long the client has been silent."""
    TOKEN = 1
    """Key: link. The warning before the access token expires, then the end of the grace."""
    TELL = 2
    """Key: number of a personal channel. When its next events may go out."""


class Timers:
    """One timer per (key, kind); setting it again moves it. Used from the loop's thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wheel = Wheel(clock.monotonic(), tick=TICK)
        self._calls: dict[int, Callable[[int], None]] = {}
        self._handle: asyncio.TimerHandle | None = None

    def on(self, kind: Kind, call: Callable[[int], None]) -> None:
        """What a timer of this kind does: `call(key)`."""
        self._calls[kind] = call

    def set(self, key: int, kind: Kind, deadline: float) -> None:
        """`deadline` in seconds of the monotonic clock."""
        self._wheel.set(key, kind, deadline)
        self._arm()

    def cancel(self, key: int, kind: Kind) -> None:
        self._wheel.cancel(key, kind)

    def __len__(self) -> int:
        return len(self._wheel)

    def stop(self) -> None:
        """No timer fires any more until one is set."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, earliest: float = 0.0) -> None:
        when = self._wheel.next()
        if when is None:
            return
        when = max(when, earliest)
        if self._handle is not None:
            if self._handle.when() <= when:
                return
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self._clock.monotonic()
        for key, kind in self._wheel.expire(now):
            self._calls[kind](key)
        # A loop may call a millisecond early: then nothing was due, and a whole tick must pass before looking again.
        self._arm(earliest=now + TICK)
