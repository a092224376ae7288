"""A town whose messages are held by their words, and its moderation."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from court import Court
from database import MigratedDatabase
from town import CLOCK, IDS, Recorder, Registry, Town, Words, register

from chiron.server.chat.service import Chat
from chiron.server.moderation import store
from chiron.server.moderation.service import Moderation
from chiron.server.platform.cursors import SealedCursors


@pytest.fixture
async def court(database: MigratedDatabase) -> AsyncIterator[Court]:
    cursors = SealedCursors(b"k" * 32)
    publisher, words, registry = Recorder(), Words(), Registry()
    chat = Chat(database.pool, IDS, CLOCK, publisher, registry, cursors, screening=words)
    await chat.start()
    people = await register(database.pool, 5)
    for person in people[:2]:
        await database.pool.run(lambda tx, person=person: store.grant(tx, person, CLOCK.now()))  # type: ignore[misc]
    town = Town(database.pool, chat, publisher, people, words)
    yield Court(town, Moderation(database.pool, CLOCK, chat, registry, cursors))
    await chat.stop()
