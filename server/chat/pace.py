"""Conflation by key: of what happens often, the newest is handed on, at most once a period for each key, in batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

import structlog

from chiron.errors import Unavailable, Unknown
from chiron.server.platform import tasks
from chiron.server.ports import Clock

K = TypeVar("K")
V = TypeVar("V")

log = structlog.get_logger(__name__)


class Pace(Generic[K, V]):
    """What is `put` waits at most `gather` seconds, and until `period` seconds after the key was handed on last.

    `deliver` gets at most `most` keys at a time and returns what it could not do now, which comes again, as does
    everything when it raises `Unavailable` or `Unknown`. `merge(older, newer)` makes one value of two.

    Of the keys that `owner` gives to one, at most `each` wait: who floods then neither fills the memory nor keeps the
    keys of others waiting.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        deliver: Callable[[Mapping[K, V]], Awaitable[Mapping[K, V]]],
        merge: Callable[[V, V], V],
        *,
        period: float = 1.0,
        gather: float = 0.05,
        most: int = 500,
        owner: Callable[[K], Hashable] | None = None,
        each: int = 1_024,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._clock = clock
        self._deliver = deliver
        self._merge = merge
        self._period = period
        self._gather = gather
        self._most = most
        self._owner = owner
        self._each = each
        self._owned: Counter[Hashable] = Counter()
        """Waiting keys by owner."""
        self._sleep = sleep
        self._waiting: dict[K, V] = {}
        self._rests: dict[K, float] = {}
        """Keys that were handed on lately, and until when they rest; in that order."""
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._turn: asyncio.Task[bool] | None = None

    def put(self, key: K, value: V) -> None:
        """Raises Unavailable busy when too many keys of its owner wait."""
        if key in self._waiting:
            self._waiting[key] = self._merge(self._waiting[key], value)
        elif self._owner is not None and self._owned[self._owner(key)] >= self._each:
            raise Unavailable("busy", retry_after=self._period)
        else:
            self._enter(key, value)
        self._arrived.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Hand on what still waits, once."""
        if self._task is None:
            return
        await tasks.end(self._task)
        self._task = None
        if self._turn is not None:
            await self._turn
        while self._waiting:
            if await self._hand_on(list(self._waiting)[: self._most]):
                log.warning("pace.lost", name=self._name, keys=len(self._waiting))
                return

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await self._sleep(self._gather)
            if ready := self._ready():
                # Cut in the middle, it would lose what it has taken out: `stop` waits for its end.
                self._turn = asyncio.create_task(self._hand_on(ready), name=self._name)
                await asyncio.shield(self._turn)
            if not self._waiting:
                self._arrived.clear()

    def _ready(self) -> list[K]:
        """Keys that wait and do not rest, which they do from now on."""
        now = self._clock.monotonic()
        for key, until in list(self._rests.items()):
            if until > now:
                break
            del self._rests[key]
        ready = [key for key in self._waiting if key not in self._rests][: self._most]
        for key in ready:
            self._rests[key] = now + self._period
        return ready

    async def _hand_on(self, keys: list[K]) -> bool:
        """Whether anything came back."""
        values = {key: self._leave(key) for key in keys}
        try:
            back = await self._deliver(values)
        except (Unavailable, Unknown) as error:
            log.warning("pace.not_now", name=self._name, code=error.code)
            back = values
        except Exception:  # a defect must not end the task; what it was handed is lost, and said to be
            log.exception("pace.lost", name=self._name, keys=len(values))
            return False
        for key, value in back.items():
            if key in self._waiting:
                self._waiting[key] = self._merge(value, self._waiting[key])
            else:
                self._enter(key, value)
        return bool(back)

    def _enter(self, key: K, value: V) -> None:
        self._waiting[key] = value
        if self._owner is not None:
            self._owned[self._owner(key)] += 1

    def _leave(self, key: K) -> V:
        if self._owner is not None:
            owner = self._owner(key)
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]
        return self._waiting.pop(key)
