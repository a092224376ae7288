"""Coroutines that are begun at once: one that does not wait is over before it would have been a task.

Answers that wait for nobody (a refusal, a page, what is remembered) are made in the first step of a coroutine. A task
for each would cost several times what the step does: it is entered among all tasks, scheduled, and run a turn later.

asyncio has eager tasks for this from Python 3.12 on. Here the same is made of the calls that it documents for whoever
runs coroutines ("Extending asyncio"), and of a spare task. While the first step runs, the spare is the current task, so
timeouts and task groups that are entered in it find the task that they will have to cancel; if the coroutine then
waits, the spare goes on with it, waiting for the very future that the first step gave.
"""

from __future__ import annotations

import asyncio
from asyncio import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from contextlib import suppress
from contextvars import Context, copy_context
from types import coroutine as generator_based
from typing import Any, TypeAlias

Begun: TypeAlias = Coroutine[Any, Any, None]
Waits: TypeAlias = "asyncio.Future[Any] | None"
"""What a step ended with: a future, or None where it only let others go first."""


class FirstSteps:
    """Begins coroutines of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spare: _Spare | None = None

    def begin(self, coroutine: Begun) -> asyncio.Task[None] | None:
        """Run a coroutine to where it first waits: the task that goes on with it, or None if it is over.

        It runs in a copy of the current context, as a task does. What it raises in its first step is raised, but for
        CancelledError, which ends it. Where there is no spare task, it becomes a task like others.
        """
        spare = self._spare
        loop = self._loop
        if spare is None or spare.task.done():
            self._spare = _Spare(loop)
            return loop.create_task(coroutine)
        if not spare.parked or asyncio.current_task(loop) is not None:
            return loop.create_task(coroutine)
        context = copy_context()
        task = spare.task
        _enter_task(loop, task)
        try:
            waits = context.run(coroutine.send, None)
        except (StopIteration, asyncio.CancelledError):
            return None
        finally:
            _leave_task(loop, task)
        self._spare = None
        spare.take(coroutine, context, waits)
        return task

    def close(self) -> None:
        """No more is begun. Harmless to repeat."""
        if self._spare is not None:
            self._spare.task.cancel()
            self._spare = None


class _Spare:
    """A task without work."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.parked = False
        """It has come to where it waits for work: cancelled before, it would end without looking at what it has got."""
        self._work: asyncio.Future[tuple[Begun, Context, Waits]] = loop.create_future()
        self.task = loop.create_task(self._run())

    def take(self, coroutine: Begun, context: Context, waits: Waits) -> None:
        self._work.set_result((coroutine, context, waits))

    async def _run(self) -> None:
        self.parked = True
        cancelled: BaseException | None = None
        try:
            await self._work
        except asyncio.CancelledError as error:
            if not self._work.done() or self._work.cancelled():
                raise
            cancelled = error
        coroutine, context, waits = self._work.result()
        if cancelled is not None and waits is not None and waits.cancel():
            cancelled = None  # as for any task: the coroutine hears of it from what it waits for
        await _rest(coroutine, context, waits, cancelled)


@generator_based
def _rest(coroutine: Begun, context: Context, waits: Waits, error: BaseException | None) -> Generator[Waits, Any, None]:
    """Run a coroutine from its second step on; `error` is what it is told instead of that it need not wait any more.

    The future is handed to the task as the coroutine gave it, marked as awaited: this is the one that awaits it.
    """
    with suppress(StopIteration):
        while True:
            if error is None:
                try:
                    yield waits
                except BaseException as raised:
                    error = raised
            if error is None:
                waits = context.run(coroutine.send, None)
            else:
                thrown, error = error, None
                waits = context.run(coroutine.throw, thrown)
