"""Waiting for a server that is not there right now: restarting, recovering, or busy."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chiron.client.errors import NotReachable, NotTrusted, ServerRefused

FIRST_BACKOFF, LAST_BACKOFF = 0.25, 30.0

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]


def backoff(attempt: int) -> float:
    """Seconds before try number `attempt` + 1: full jitter (docs/protocol.md, "Closing")."""
    return random.uniform(0, min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt, 16)))  # noqa: S311 - no secret


async def patiently(
    call: Callable[[], Awaitable[T]],
    *,
    seconds: float,
    report: Callable[[str], None],
    sleep: Sleep = asyncio.sleep,
) -> T:
    """What `call` returns, repeated while it fails for now, until about `seconds` of pauses are over; then its error.

    `report` is told once that it takes longer. Only for calls that may be repeated.
    """
    waited, attempt = 0.0, 0
    while True:
        try:
            return await call()
        except (NotReachable, ServerRefused) as error:
            if isinstance(error, NotTrusted) or (isinstance(error, ServerRefused) and not error.temporary):
                raise
            attempt += 1
            pause = error.retry_after if isinstance(error, ServerRefused) and error.retry_after else 0.1
            pause = max(pause, min(backoff(attempt), 2.0))
            if waited + pause > seconds:
                raise
            if attempt == 1:
                report(f"{str(error).rstrip('.')}; trying again for {seconds:.0f} s")
            waited += pause
        await sleep(pause)
