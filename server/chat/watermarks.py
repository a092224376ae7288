"""Watermarks, written behind: of each member the highest wins, and is written at most once a second.

A crash loses at most the last second of them, so they may fall back a little; they never run ahead of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from chiron.server.chat import bodies, model, store
from chiron.server.chat.pace import Pace
from chiron.server.ports import Clock, Database, Publisher, Row, Tx

Key = tuple[UUID, UUID]
"""(conversation, person)"""
Mark = tuple[int, int]
"""(received, read), offsets"""

ANNOUNCED_TO = 100
"""Larger conversations are not told who has read what: it would be members × members events."""


class Watermarks:
    """`changed` is told of (conversation, person) whose unread count may have changed."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        publisher: Publisher,
        changed: Callable[[UUID, UUID], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._changed = changed
        self._pace = Pace[Key, Mark]("watermarks", clock, self._write, _higher, owner=_person, sleep=sleep)

    def note(self, conversation: UUID, person: UUID, received: int | None, read: int | None) -> None:
        """What a device says. Reading implies receiving; what is beyond the head is taken as the head.

        Raises Unavailable busy to somebody who marks faster than is written.
        """
        self._pace.put((conversation, person), (max(received or 0, read or 0), read or 0))

    async def start(self) -> None:
        await self._pace.start()

    async def stop(self) -> None:
        await self._pace.stop()

    async def _write(self, marks: Mapping[Key, Mark]) -> Mapping[Key, Mark]:
        async def work(tx: Tx) -> list[Row]:
            return list(await store.move_watermarks(tx, [(*key, *mark) for key, mark in marks.items()]))

        rows = await self._database.single(work)  # written again, it changes nothing
        back = {}
        for row in rows:
            key = (row["conversation"], row["person"])
            if row["busy"]:
                back[key] = marks[key]
            elif row["number"] is not None:
                if row["members"] <= ANNOUNCED_TO:
                    moved = model.WatermarkMoved(row["person"], row["received"], row["read"])
                    self._publisher.event(row["number"], "watermark", str(row["person"]), bodies.encode(moved))
                self._changed(*key)
        return back


def _person(key: Key) -> UUID:
    return key[1]


def _higher(older: Mark, newer: Mark) -> Mark:
    return max(older[0], newer[0]), max(older[1], newer[1])
