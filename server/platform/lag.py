"""How late the event loop is: a timer that should fire four times a second, and how late it does."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from chiron.server.ports import Distribution

PERIOD = 0.25
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

WINDOW = 10.0
LIVE = 2.0
"""Seconds: whoever was that late within the window works no more, or too slowly for anybody."""


class LoopLag:
    """`seconds` has each lateness since the start.

    What is waited for is told by the loop's clock, which both loops take from the monotonic one; when it comes is
    measured by that one itself, since uvloop's stands still while callbacks run.
    """

    def __init__(self) -> None:
        self.seconds = Distribution(BOUNDS)
        self._recent: deque[tuple[float, float]] = deque()
        """When it was late, and how late; falling, so that the first is the worst of the window (as in a monotonic
        queue)."""
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._arm(asyncio.get_running_loop())

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def worst(self) -> float:
        """The most that it was late within the window, in seconds; what is overdue now counts."""
        now = time.monotonic()
        self._forget(now)
        overdue = now - self._due if self._handle is not None else 0.0
        return max(overdue, self._recent[0][1] if self._recent else 0.0)

    async def check(self) -> str | None:
        """For `ports.Health`."""
        worst = self.worst()
        return f"was late by {worst:.1f} s" if worst > LIVE else None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + PERIOD
        self._handle = loop.call_at(self._due, self._fire, loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        lag = max(0.0, now - self._due)
        self.seconds.add(lag)
        while self._recent and self._recent[-1][1] <= lag:
            self._recent.pop()
        self._recent.append((now, lag))
        self._forget(now)
        self._arm(loop)

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
