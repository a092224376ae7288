"""The end of a task that somebody owns."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel it and wait until it is over; raises what it died of before. None was never begun."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
