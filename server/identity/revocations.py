"""Logins that ended on other workers: looked for often enough that no token of theirs is good for long.

Each worker asks every half second for what has ended since the oldest transaction that was still running when it asked
last. Numbers of transactions are given at their first write and not at COMMIT, so looking on from the newest one seen
would miss those that commit late; looking on from the oldest running one (a snapshot's xmin) misses none, and what is
visible already is not waited with. A worker that has not heard from the database for two seconds cannot know that
nobody was signed out: it lets people read, and refuses what they would write (`RevocationSet.complete`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog

from chiron.errors import Unavailable
from chiron.server.identity import store
from chiron.server.identity.tokens import ACCESS_SECONDS
from chiron.server.platform import tasks
from chiron.server.ports import Clock, Database, Tx

POLL = 0.4
"""Seconds between polls: with what one takes, twice a second at least."""
SKEW = timedelta(seconds=60)
"""By which the clocks of machines may differ: `ended_at` is that of whoever ended it."""

log = structlog.get_logger(__name__)


class RevocationSet(Protocol):
    """Who needs to know."""

    def complete(self, as_of: float) -> None:
        """Everything that had ended at this monotonic time has been told."""
        ...


class Revocations:
    """`ports.Lifespan`. `ended` is told of each login once or more often."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        known: RevocationSet,
        ended: Callable[[UUID], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._clock = clock
        self._known = known
        self._ended = ended
        self._sleep = sleep
        self._from = 0
        self._told: set[UUID] = set()
        self._task: asyncio.Task[None] | None = None
        self._failing: str | None = None

    async def start(self) -> None:
        """Learn what ended while tokens of it may still be valid, and go on from there. Raises Unavailable."""
        await self._load()
        self._task = asyncio.create_task(self._run(), name="revocations")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def check(self) -> str | None:
        """For `ports.Health`."""
        return self._failing

    async def poll(self) -> None:
        """Raises Unavailable."""
        as_of = self._clock.monotonic()
        oldest, ended = await self._database.single(lambda tx: store.ended_from(tx, self._from))
        if oldest < self._from:
            # Another history: the database was restored under us.
            await self._load()
            return
        for login in ended:
            if login not in self._told:
                self._ended(login)
        self._told = set(ended)
        self._from = oldest
        self._known.complete(as_of)

    async def _load(self) -> None:
        as_of = self._clock.monotonic()
        since = self._clock.now() - timedelta(seconds=ACCESS_SECONDS) - SKEW

        async def look(tx: Tx) -> tuple[int, list[UUID]]:
            return await store.oldest_running(tx), await store.ended_since(tx, since)

        oldest, ended = await self._database.read(look)
        for login in ended:
            self._ended(login)
        self._told = set()
        self._from = oldest
        self._known.complete(as_of)

    async def _run(self) -> None:
        while True:
            await self._sleep(POLL)
            try:
                await self.poll()
            except Unavailable as error:
                if self._failing is None:
                    log.warning("revocations cannot be read", error=str(error))
                self._failing = f"cannot read who was signed out: {error}"
            except Exception:
                log.exception("revocations cannot be read")
                self._failing = "cannot read who was signed out"
            else:
                self._failing = None
