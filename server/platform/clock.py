"""The machine's clocks behind `ports.Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock in UTC, and the monotonic clock that asyncio and uvloop use."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)


def milliseconds(moment: datetime) -> int:
    """Since the Unix epoch: how every time travels (`docs/protocol.md`)."""
    return round(moment.timestamp() * 1000)
