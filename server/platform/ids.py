"""Sortable ids: uuidv7 (RFC 9562 §5.7)."""

from __future__ import annotations

import os
from uuid import UUID

from chiron.server.ports import Clock


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

    def new(self) -> UUID:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            # Half of the counter's range stays free to count up in.
            self._counter = int.from_bytes(os.urandom(3), "big") >> 1
        else:
            self._counter += 1
            if self._counter >> self._COUNTER_BITS:
                self._milliseconds += 1
                self._counter = 0
        high, low = self._counter >> 12, self._counter & 0xFFF
        random = int.from_bytes(os.urandom(7), "big") & ((1 << 50) - 1)
        value = self._milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 50 | random
        return UUID(int=value)
