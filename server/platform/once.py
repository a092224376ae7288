"""Requests with an `Idempotency-Key` are done once: the outcome commits with the effect, and a repeat finds it.

In a unit of work, `recall` comes first and `keep` last. Between the two lies everything that must not happen twice:
whoever repeats the request meanwhile waits in `recall` until this unit has committed, and then finds its outcome, or
until it is rolled back, and then does the work. What is refused rolls back, so nothing is kept of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from chiron.errors import ChironError, Refused
from chiron.server.platform import tasks
from chiron.server.ports import Clock, Database, Once, StatementError, Tx

KEPT = timedelta(hours=24)
"""How long a repeat is recognized, at least."""
SWEEP_SECONDS = 3600.0
SWEEP_ROWS = 1_000
"""Rows of one transaction of the sweep."""

FIND = "SELECT request, outcome FROM once WHERE person = $1 AND name = $2"
# The rows that another worker is deleting are its own.
SWEEP = """
DELETE FROM once WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM once WHERE made_at < $1 ORDER BY made_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

log = structlog.get_logger(__name__)


async def recall(tx: Tx, once: Once) -> bytes | None:
    """What was decided when this request was done before, also as `once.outcome`; None when it was not.

    Until the transaction ends, nobody else gets past this for the same request. Raises Refused idempotency_key_reused
    for another request under the same key.
    """
    if once.outcome is None:
        name = _name(once)
        # Two statements: in READ COMMITTED the second sees what the lock's last holder has committed.
        lock = int.from_bytes(hashlib.sha256(once.person.bytes + name).digest()[:8], "big", signed=True)
        await tx.execute("SELECT pg_advisory_xact_lock($1)", lock)
        await _find(tx, once, name)
    return once.outcome


async def keep(tx: Tx, once: Once, outcome: bytes, now: datetime) -> None:
    """After `recall` in the same transaction: the outcome is there for a repeat if, and only if, this commits."""
    await tx.execute(
        "INSERT INTO once (person, name, request, outcome, made_at) VALUES ($1, $2, $3, $4, $5)",
        once.person,
        _name(once),
        once.body_hash,
        outcome,
        now,
    )


class Kept:
    """`ports.Replays` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, once: Once) -> None:
        await self._database.read(lambda tx: _find(tx, once, _name(once)))


class Sweep:
    """Deletes what is no longer needed, once an hour (`ports.Lifespan`); every worker may run one.

    Each waits between half an hour and one and a half, so that they do not come all at once.
    """

    def __init__(
        self, database: Database, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._database = database
        self._clock = clock
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sweep of once")

    async def stop(self) -> None:
        await tasks.end(self._task)
        self._task = None

    async def _run(self) -> None:
        while True:
            await self._sleep(SWEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            try:
                deleted = await self._sweep()
            except (ChironError, StatementError) as error:
                log.warning("once.not_swept", error=str(error))
            except Exception:  # a defect must not end the task: rows would be kept for ever
                log.exception("once.not_swept")
            else:
                log.debug("once.swept", rows=deleted)

    async def _sweep(self) -> int:
        """The number of rows deleted, a page at a time, so that none of it holds others up."""
        oldest, deleted = self._clock.now() - KEPT, 0

        async def page(tx: Tx) -> int:
            return int((await tx.execute(SWEEP, oldest, SWEEP_ROWS)).removeprefix("DELETE "))

        while True:
            rows = await self._database.run(page)
            deleted += rows
            if rows < SWEEP_ROWS:
                return deleted


async def _find(tx: Tx, once: Once, name: bytes) -> None:
    row = await tx.fetchrow(FIND, once.person, name)
    if row is None:
        return
    if row["request"] != once.body_hash:
        raise Refused("idempotency_key_reused")
    once.outcome = row["outcome"]


def _name(once: Once) -> bytes:
    """Of fixed length, whatever the client made its key of, which is nobody's business later. A route has no NUL."""
    return hashlib.sha256(f"{once.route}\0{once.key}".encode()).digest()
