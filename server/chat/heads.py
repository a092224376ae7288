"""Heads and unread counts, told to members wherever they are signed in.

They are computed, never logged: a message to 1,000 members must not become 1,000 rows. A conversation is told of at
most once a second, many conversations with one query; what concerns one member alone (another device has read) goes
to that member alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from chiron.server.chat import bodies, model, store
from chiron.server.chat.pace import Pace
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Clock, Database, Publisher, Row

TELLS_PER_TURN = 500
"""After so many, other work of the loop gets its turn."""
CONVERSATIONS = 64
"""In one query: with 1,000 members each it still answers in milliseconds."""

EVERYBODY = None


class Heads:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        publisher: Publisher,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._pace = Pace[UUID, frozenset[UUID] | None](
            "heads", clock, self._tell, _both, most=CONVERSATIONS, sleep=sleep
        )

    def changed(self, conversation: UUID, person: UUID | None = EVERYBODY) -> None:
        """Tell every member, or one of them, what the conversation looks like now."""
        self._pace.put(conversation, EVERYBODY if person is None else frozenset((person,)))

    async def start(self) -> None:
        await self._pace.start()

    async def stop(self) -> None:
        await self._pace.stop()

    async def _tell(self, wanted: Mapping[UUID, frozenset[UUID] | None]) -> Mapping[UUID, frozenset[UUID] | None]:
        rows = await self._database.single(lambda tx: store.heads(tx, wanted.keys(), model.PREVIEW_CHARACTERS))
        told = 0
        for row in rows:
            people = wanted[row["id"]]
            for person, body in _heads(row, people):
                self._publisher.tell(person, "head", str(row["id"]), body)
                told += 1
                if told % TELLS_PER_TURN == 0:
                    await asyncio.sleep(0)
        return {}


def _both(older: frozenset[UUID] | None, newer: frozenset[UUID] | None) -> frozenset[UUID] | None:
    return EVERYBODY if older is None or newer is None else older | newer


def _heads(row: Row, people: frozenset[UUID] | None) -> list[tuple[UUID, bytes]]:
    """(person, event) of each wanted member."""
    newest, withheld = last(row), last(row, withheld=row["last_verdict"] in store.WITHHELD)
    slots = zip(row["people"], row["floors"], row["unread"], row["received"], row["read"], strict=True)
    return [
        (
            person,
            bodies.encode(
                model.Head(
                    conversation=row["id"],
                    number=row["number"],
                    head=row["head"],
                    ordinal=row["ordinal"],
                    unread=unread,
                    received=received,
                    read=read,
                    last=_above(floor, newest if person == row["last_author"] else withheld),
                )
            ),
        )
        for person, floor, unread, received, read in slots
        if people is None or person in people
    ]


def _above(floor: int, newest: model.Last | None) -> model.Last | None:
    return newest if newest is not None and newest.offset > floor else None


def last(row: Row, *, withheld: bool = False) -> model.Last | None:
    """The newest record, of the columns `last_…` of a row; `withheld`: as others see what its author alone may read."""
    if row["last_offset"] is None:
        return None
    return model.Last(
        offset=row["last_offset"],
        author=row["last_author"],
        kind=row["last_kind"],
        time=milliseconds(row["last_time"]),
        text="" if withheld else row["last_text"],
        verdict=row["last_verdict"] if row["last_verdict"] in store.WITHHELD else None,
    )
