"""The town and the office, each on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from database import MigratedDatabase
from town import CLOCK, IDS, Office, Recorder, Registry, Town, Words, register

from chiron.server.chat.committer import Bounds, Committer
from chiron.server.chat.service import Chat
from chiron.server.platform.cursors import SealedCursors
from chiron.server.ports import Database, Record


@pytest.fixture
async def town(database: MigratedDatabase) -> AsyncIterator[Town]:
    publisher, words = Recorder(), Words()
    heard: list[tuple[UUID, Record]] = []
    chat = Chat(
        database.pool,
        IDS,
        CLOCK,
        publisher,
        Registry(),
        SealedCursors(b"k" * 32),
        heard=lambda conversation, record: heard.append((conversation, record)),
        screening=words,
    )
    await chat.start()
    yield Town(database.pool, chat, publisher, await register(database.pool, 5), words, heard)
    await chat.stop()


@pytest.fixture
async def office(database: MigratedDatabase) -> AsyncIterator[Office]:
    changed: list[UUID] = []
    committers: list[Committer] = []

    async def make(
        on: Database | None = None,
        bounds: Bounds | None = None,
        publisher: Recorder | None = None,
        screening: Words | None = None,
    ) -> Committer:
        committer = Committer(
            on or database.pool, CLOCK, publisher or Recorder(), changed.append, bounds, screening=screening
        )
        await committer.start()
        committers.append(committer)
        return committer

    yield Office(database, await register(database.pool, 4), changed, make)
    for committer in committers:
        await committer.stop()
