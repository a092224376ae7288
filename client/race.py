"""Several ways to the same end, of which the first that works is taken (RFC 8305 §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def first(
    ways: Sequence[Callable[[], Awaitable[T]]], *, head_start: float, discard: Callable[[T], Awaitable[object]]
) -> T:
    """What the first way that works gives.

    Each way begins `head_start` seconds after the one before it, or as soon as all before it have failed. When none
    works, the error of the last is raised. What a way gives that came too late is handed to `discard`.
    """
    waiting = list(ways)
    running: list[asyncio.Task[T]] = []
    begun: list[asyncio.Task[T]] = []
    taken: asyncio.Task[T] | None = None
    try:
        while waiting or running:
            if waiting:
                begun.append(asyncio.ensure_future(_run(waiting.pop(0))))
                running.append(begun[-1])
            await asyncio.wait(running, timeout=head_start if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                running.remove(task)
                if taken is None and task.exception() is None:
                    taken = task
            if taken is not None:
                return taken.result()
        return begun[-1].result()
    finally:
        for task in begun:
            if task is not taken:
                task.cancel()
        for task, outcome in zip(begun, await asyncio.gather(*begun, return_exceptions=True), strict=True):
            if task is not taken and not isinstance(outcome, BaseException):
                await discard(outcome)


async def _run(way: Callable[[], Awaitable[T]]) -> T:
    return await way()
