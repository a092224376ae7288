"""Coroutines that are begun at once, and what becomes of those that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from chiron.server.edge.first_step import FirstSteps

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Begun:
    """Begins as the edge does: in a callback of the loop, where no task runs."""

    def __init__(self, steps: FirstSteps) -> None:
        self.steps = steps

    async def __call__(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[asyncio.Task[None] | None] = loop.create_future()

        def call() -> None:
            try:
                outcome.set_result(self.steps.begin(coroutine))
            except Exception as error:
                outcome.set_exception(error)

        loop.call_soon(call)
        return await outcome


async def ready() -> tuple[FirstSteps, Begun]:
    """With a spare task that has come to where it waits."""
    steps = FirstSteps(asyncio.get_running_loop())

    async def nothing() -> None:
        pass

    task = steps.begin(nothing())
    assert task is not None, "there is no spare task yet"
    await task
    return steps, Begun(steps)


async def test_what_does_not_wait_is_over_and_was_no_task() -> None:
    steps, begin = await ready()
    seen: list[str] = []

    async def answer() -> None:
        NAME.set("ada")
        seen.append(NAME.get())

    before = asyncio.all_tasks()
    assert [await begin(answer()) for _ in range(3)] == [None] * 3
    assert seen == ["ada"] * 3
    assert NAME.get() == "nobody"
    assert asyncio.all_tasks() == before
    steps.close()


async def test_what_waits_goes_on_as_the_task_that_it_was_from_the_beginning() -> None:
    steps, begin = await ready()
    gate = asyncio.get_running_loop().create_future()
    seen: list[Any] = []

    async def answer() -> None:
        token = NAME.set("ada")
        seen.append(asyncio.current_task())
        seen.append(await gate)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        seen.append(NAME.get())
        NAME.reset(token)

    task = await begin(answer())
    assert task is not None
    assert not task.done()
    gate.set_result("open")
    await task
    assert seen == [task, "open", task, "ada"]
    steps.close()


async def test_an_error_of_what_is_waited_for_is_raised_where_it_waits() -> None:
    steps, begin = await ready()
    gate = asyncio.get_running_loop().create_future()
    caught: list[BaseException] = []

    async def answer() -> None:
        try:
            await gate
        except ConnectionError as error:
            caught.append(error)

    task = await begin(answer())
    assert task is not None
    gate.set_exception(ConnectionError("gone"))
    await task
    assert [str(error) for error in caught] == ["gone"]
    steps.close()


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_cancelled_one_hears_of_it_and_so_does_what_it_waits_for(turns: int) -> None:
    steps, _ = await ready()
    gate = asyncio.get_running_loop().create_future()
    ended: list[str] = []

    async def answer() -> None:
        try:
            await gate
        finally:
            ended.append("cleaned up")

    task: asyncio.Task[None] | None = None

    def call() -> None:
        nonlocal task
        task = steps.begin(answer())
        if not turns:
            assert task is not None
            task.cancel()

    asyncio.get_running_loop().call_soon(call)
    await asyncio.sleep(0)
    assert task is not None
    if turns:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleaned up"]
    assert gate.cancelled()
    steps.close()


async def test_one_that_only_lets_others_go_first_can_be_cancelled_too() -> None:
    steps, _ = await ready()
    ended: list[str] = []

    async def answer() -> None:
        try:
            while True:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    def call() -> None:
        task = steps.begin(answer())
        assert task is not None
        task.cancel()

    asyncio.get_running_loop().call_soon(call)
    while not ended:
        await asyncio.sleep(0)
    steps.close()


async def test_a_timeout_that_is_entered_in_the_first_step_ends_the_wait() -> None:
    steps, begin = await ready()
    outcome: list[str] = []

    async def answer() -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            outcome.append("in time")

    task = await begin(answer())
    assert task is not None
    await task
    assert outcome == ["in time"]
    steps.close()


async def test_a_task_group_that_is_entered_in_the_first_step_is_left_by_the_same_task() -> None:
    steps, begin = await ready()
    outcome: list[str] = []

    async def child() -> None:
        await asyncio.sleep(0)
        raise ConnectionError

    async def answer() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                await asyncio.get_running_loop().create_future()
        except* ConnectionError:
            outcome.append("together")

    task = await begin(answer())
    assert task is not None
    await task
    assert outcome == ["together"]
    steps.close()


async def test_an_error_of_the_first_step_is_raised_and_the_next_one_begins_as_ever() -> None:
    steps, begin = await ready()

    async def fail() -> None:
        raise ConnectionError

    async def give_up() -> None:
        raise asyncio.CancelledError

    async def fine() -> None:
        pass

    with pytest.raises(ConnectionError):
        await begin(fail())
    assert await begin(give_up()) is None
    assert await begin(fine()) is None
    steps.close()


async def test_within_a_task_and_without_a_spare_they_are_tasks_like_others() -> None:
    steps, begin = await ready()
    gate = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await gate

    tasks = [steps.begin(wait()), *[await begin(wait()) for _ in range(5)]]
    assert None not in tasks
    assert len(set(tasks)) == 6
    gate.set_result(None)
    await asyncio.gather(*(task for task in tasks if task is not None))
    steps.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
