"""Sortable ids: uuidv7 (RFC 9562 §5.7)."""

from __future__ import annotations

import os
from uuid import UUID

from chiron.server.ports import Clock

_DRAWN = 4096
"""Random bytes that are fetched at a time."""


class UuidV7:
    """Ids that rise strictly within a process, also within one millisecond and when the wall clock steps back.

    The 12 bits of `rand_a` and the upper 12 bits of `rand_b` are a counter, seeded at random each millisecond
    (RFC 9562 §6.2, method 1); 50 random bits remain.
    """

    _COUNTER_BITS = 24

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._milliseconds = 0
        self._counter = 0
        self._random = b""
        self._spent = 0

    def new(self) -> UUID:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            # Half of the counter's range stays free to count up in.
            self._counter = self._draw(3) >> 1
        else:
            self._counter += 1
            if self._counter >> self._COUNTER_BITS:
                self._milliseconds += 1
                self._counter = 0
        high, low = self._counter >> 12, self._counter & 0xFFF
        random = self._draw(7) & ((1 << 50) - 1)
        value = self._milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 50 | random
        return UUID(int=value)

    def _draw(self, size: int) -> int:
        """Random bytes of the system's, fetched many at a time: a call for each id cost more than the id."""
        start, self._spent = self._spent, self._spent + size
        if self._spent > len(self._random):
            self._random = os.urandom(_DRAWN)
            start, self._spent = 0, size
        return int.from_bytes(self._random[start : self._spent], "big")
