"""What is forgotten by itself: accounts that were never verified, links that were never used, logins that ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from chiron.errors import Unavailable
from chiron.server.identity import store
from chiron.server.platform import tasks
from chiron.server.ports import Clock, Database, Tx

UNVERIFIED = timedelta(days=14)
ENDED = timedelta(days=30)
"""How long it is told that a login has ended; behind that its refresh token is like any other that is not good."""
EVERY = 3600.0
"""Seconds between sweeps."""
PAGE = 200
"""Rows of one unit of work: none holds its locks for long."""

log = structlog.get_logger(__name__)


class Expiry:
    """`ports.Lifespan`. Several workers may sweep at once. `ended` is told of each login that has ended."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ended: Callable[[UUID], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ended = ended
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="identity expiry")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def sweep(self) -> None:
        """Raises Unavailable."""
        now = self._clock.now()
        while await self._erase_page(_first_id(now - UNVERIFIED), now):
            pass
        while await self._database.run(lambda tx: store.drop_expired_proofs(tx, now, PAGE), landed=_again) == PAGE:
            pass
        ended_before = now - ENDED
        while (
            await self._database.run(lambda tx: store.drop_ended_logins(tx, ended_before, PAGE), landed=_again) == PAGE
        ):
            pass

    async def _erase_page(self, before: UUID, now: datetime) -> bool:
        """Whether there may be more."""

        async def work(tx: Tx) -> tuple[int, list[UUID], list[UUID]]:
            found = await store.unverified(tx, before, PAGE)
            erased = await store.erase_unverified(tx, found)
            return len(found), erased, await store.end_logins(tx, erased, now)

        found, erased, ended = await self._database.run(work, landed=_again)
        for login in ended:
            self._ended(login)
        if erased:
            log.info("accounts that were not verified are erased", people=len(erased))
        return found == PAGE

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("identity.not_swept", error=str(error))
            except Exception:
                log.exception("identity.not_swept")
            await self._sleep(EVERY)


async def _again(_: Tx) -> None:
    """Nothing tells whether it was done, and doing it again is the same."""


def _first_id(moment: datetime) -> UUID:
    """No uuidv7 of a later time is below it (RFC 9562 §5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
