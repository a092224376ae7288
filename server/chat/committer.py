"""The committer: everything that takes an offset goes through here, one transaction at a time.

A batch is what arrived while the previous COMMIT was in flight, so a lone message waits for nobody and a flood shares
transactions. What may happen to a batch, and what its units are told:

    committed                   published in order of offsets, then acknowledged
    a lock is not got in time   only units of that conversation wait on, aside, and delay no other
    deadlock, serialization     the database runs the transaction again
    a statement is refused      the batch is halved until the bad unit stands alone; it alone is refused
    COMMIT not answered         the database looks whether it landed; if even that fails, the units fail as below and
                                the batch stays in doubt: it is looked for, and published if it landed, before
                                anything else is written
    a defect of ours            halved like a refused statement; the unit that has it fails with `internal`
    PostgreSQL is down          everything that waits fails with `unavailable`: nothing acknowledged, nothing half done

Publishes behind one that failed temporarily fail too, so that none of a link overtakes an earlier one (`ports.Run`).
Cancelling who waits for a unit does not cancel the unit.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog

from chiron.errors import ChironError, Refused, Unavailable, Unknown
from chiron.server.chat import store
from chiron.server.chat.batch import LOCK_NOT_AVAILABLE, Change, Executed, Outcome, Unit, execute
from chiron.server.platform import crashpoint
from chiron.server.ports import (
    Ack,
    Clock,
    Database,
    Distribution,
    Publisher,
    Record,
    Run,
    Screening,
    StatementError,
    Tx,
    in_transaction,
)

T = TypeVar("T")

UNSTORABLE = ("22", "23", "54")
"""SQLSTATE classes that are the row's own fault: data exception, constraint violation, program limit exceeded."""

CHANGE_SIZE = 512
"""What a unit with its own SQL counts for in the bound of the queue, in bytes."""

BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
COMMIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    batch_units: int = 512
    batch_changes: int = 16
    """Units with SQL of their own in one batch: each takes several statements, while the others wait."""
    queue_units: int = 16_384
    queue_bytes: int = 32 * 1024 * 1024
    lock_timeout_ms: int = 250
    patience: float = 10.0
    """Seconds that a unit waits for a lock which somebody else holds, before it fails with `busy`."""


class Committer:
    """One per process; any number of processes may share the database.

    `changed` is told of each conversation whose head or members have changed, after COMMIT; `heard` of each record, as
    everybody but its author has it. Neither may raise. `screening` keeps what speaks against messages.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        publisher: Publisher,
        changed: Callable[[UUID], None],
        bounds: Bounds | None = None,
        *,
        heard: Callable[[UUID, Record], None] | None = None,
        screening: Screening | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._publisher = publisher
        self._changed = changed
        self._heard = heard
        self._screening = screening
        self._bounds = bounds or Bounds()
        self._queue: deque[Unit] = deque()
        self._aside: dict[UUID, deque[Unit]] = {}
        """Conversations that somebody else has locked: their units wait here, each conversation with its own task."""
        self._aside_turn = asyncio.Lock()
        self._aside_tasks: set[asyncio.Task[None]] = set()
        self._doubts: list[Executed] = []
        self._doubts_turn = asyncio.Lock()
        self._units = 0
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._draining = False
        self._broken: Exception | None = None
        self._loop: asyncio.Task[None] | None = None
        self.batches = Distribution(BATCH_BOUNDS)
        """Units of each transaction that was committed."""
        self.commits = Distribution(COMMIT_BOUNDS)
        """Seconds of each, from its first statement to the answer to COMMIT."""
        self.screened: Counter[tuple[str, str, str]] = Counter()
        """Messages that were written or blocked, by kind of conversation, verdict, and what was done."""

    # --- for services -------------------------------------------------------------------------------------------------

    async def append(self, entry: store.Entry, *, link: int = 0, run: Run | None = None) -> Ack:
        """Write one record. It takes its place in the order in the first step of this call, before anything is awaited.

        Raises Refused: not_found (not a member), client_id_reused, invalid; Unavailable.
        """
        if run is not None and run.failed:
            raise Unavailable("after_failed")
        size = len(entry.body) + len(entry.client_id) + len(entry.kind)
        try:
            unit = self._accept(entry.conversation, entry, size, link, run)
        except Unavailable:
            if run is not None:
                run.failed = True
            raise
        return await unit.future  # type: ignore[no-any-return]

    async def change(self, change: Change[T]) -> T:
        """Run a unit with SQL of its own, in its turn. Raises what it raises, or Unavailable."""
        return await self._accept(change.conversation, change, CHANGE_SIZE, 0, None).future  # type: ignore[no-any-return]

    async def start(self) -> None:
        self._draining = False
        self._loop = asyncio.create_task(self._drain(), name="committer")

    async def stop(self) -> None:
        """Accept no more; return when everything accepted was committed or has failed."""
        self._draining = True
        self._arrived.set()
        if self._loop is not None:
            await self._loop
            self._loop = None
        while self._aside_tasks:
            await asyncio.wait(self._aside_tasks)

    async def check(self) -> str | None:
        """For `ports.Health`."""
        return f"The committer has stopped: {self._broken!r}" if self._broken is not None else None

    @property
    def waiting(self) -> int:
        """Units that were accepted and not yet answered."""
        return self._units

    @property
    def aside(self) -> int:
        """Conversations that wait for a lock which somebody else holds."""
        return len(self._aside)

    # --- the queue ----------------------------------------------------------------------------------------------------

    def _accept(
        self, conversation: UUID, work: store.Entry | Change[Any], size: int, link: int, run: Run | None
    ) -> Unit:
        if in_transaction.get():
            # The transaction may hold what the batch needs, and PostgreSQL cannot see that it waits for us.
            raise RuntimeError("the committer must not be awaited inside a transaction: the two would deadlock")
        if self._draining:
            raise Unavailable("draining")
        if self._broken is not None:
            raise Unavailable("unavailable")
        if self._units >= self._bounds.queue_units or self._bytes + size > self._bounds.queue_bytes:
            raise Unavailable("busy", retry_after=1.0)
        future = asyncio.get_running_loop().create_future()
        unit = Unit(conversation, work, future, size, self._clock.monotonic(), link, run)
        self._units += 1
        self._bytes += size
        self._queue.append(unit)
        self._arrived.set()
        return unit

    def _take(self) -> list[Unit]:
        """The next batch, in order of arrival; units of a conversation that waits aside go there."""
        batch: list[Unit] = []
        changes = 0
        while self._queue and len(batch) < self._bounds.batch_units:
            unit = self._queue[0]
            if unit.conversation in self._aside:
                self._aside[unit.conversation].append(unit)
            else:
                if not isinstance(unit.work, store.Entry):
                    if changes == self._bounds.batch_changes:
                        break
                    changes += 1
                batch.append(unit)
            self._queue.popleft()
        return batch

    async def _drain(self) -> None:
        while True:
            if not self._queue:
                if self._draining:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            self._set_aside(await self._attempt(self._take()))

    # --- one batch ----------------------------------------------------------------------------------------------------

    async def _attempt(self, batch: Sequence[Unit]) -> list[Unit]:
        """Answer every unit of the batch but those returned, whose conversations are locked by somebody else."""
        try:
            return await self._commit(batch)
        except ChironError as error:
            self._fail_everything(batch, error)
        except Exception as error:
            # Not the database and not a unit, for those are dealt with: after this, order is not certain any more.
            log.critical("committer.broken", exc_info=error)
            self._broken = error
            self._fail_everything(batch, Unavailable("unavailable"))
        return []

    async def _commit(self, batch: Sequence[Unit]) -> list[Unit]:
        """The same, with what is not answered yet left to the caller when it raises Unavailable or Unknown."""
        await self._settle_doubts()
        blocked: list[Unit] = []
        held: set[UUID] = set()
        pieces: list[tuple[Sequence[Unit], bool]] = [(batch, True)]
        while pieces:
            waiting, wait = pieces.pop()
            ready = [unit for unit in waiting if not self._fails_behind(unit)]
            blocked += [unit for unit in ready if unit.conversation in held]
            piece = [unit for unit in ready if unit.conversation not in held]
            if not piece:
                continue
            try:
                executed = await self._transact(piece, wait)
            except StatementError as error:
                if error.sqlstate == LOCK_NOT_AVAILABLE and len({unit.conversation for unit in piece}) == 1:
                    held.add(piece[0].conversation)
                    blocked += piece
                elif error.sqlstate == LOCK_NOT_AVAILABLE and wait:
                    pieces.append((piece, False))
                elif len(piece) > 1:
                    pieces += _halves(piece, wait)
                else:
                    self._refuse(piece[0], error)
            except ChironError:
                raise
            except Exception as error:  # a defect: it must cost the unit that has it, and no other
                if len(piece) > 1:
                    pieces += _halves(piece, wait)
                else:
                    self._give_up(piece[0], error)
            else:
                held |= executed.blocked
                blocked += [unit for unit in piece if unit.conversation in executed.blocked]
                self._deliver(executed)
        return blocked

    async def _transact(self, units: Sequence[Unit], wait: bool) -> Executed:
        executed: Executed | None = None

        async def work(tx: Tx) -> Executed:
            nonlocal executed
            executed = None
            executed = await execute(
                tx, units, wait=wait, lock_timeout_ms=self._bounds.lock_timeout_ms, screening=self._screening
            )
            return executed

        async def landed(tx: Tx) -> Executed | None:
            assert executed is not None, "COMMIT was sent, so the work had ended"
            return executed if await executed.has_landed(tx) else None

        began = self._clock.monotonic()
        try:
            result = await self._database.run(work, landed=landed)
        except Unknown:
            assert executed is not None, "COMMIT was sent, so the work had ended"
            self._doubts.append(executed)
            raise
        self.batches.add(len(units))
        self.commits.add(self._clock.monotonic() - began)
        crashpoint.reach("committer.after_commit")
        return result

    async def _settle_doubts(self) -> None:
        """Find out about earlier batches whose COMMIT nobody has answered; what landed is published, late but in order.

        Their units have failed: a client that sends again gets the first ack, marked as a duplicate.
        """
        async with self._doubts_turn:
            while self._doubts:
                doubt = self._doubts[0]
                try:
                    landed = await self._database.run(doubt.has_landed_for_sure)
                except StatementError as error:
                    log.warning("committer.doubt_not_settled", sqlstate=error.sqlstate)
                    raise Unavailable("unavailable", retry_after=1.0) from error
                self._doubts.pop(0)
                log.info("committer.doubt_settled", landed=landed, units=len(doubt.outcomes))
                if landed:
                    for outcome in doubt.outcomes:
                        self._publish(outcome)

    # --- what waits for a lock of somebody else -----------------------------------------------------------------------

    def _set_aside(self, units: Sequence[Unit]) -> None:
        for unit in units:
            waiting = self._aside.get(unit.conversation)
            if waiting is None:
                self._aside[unit.conversation] = waiting = deque()
                task = asyncio.create_task(self._wait_out(unit.conversation), name="committer aside")
                self._aside_tasks.add(task)
                task.add_done_callback(self._aside_tasks.discard)
            waiting.append(unit)

    async def _wait_out(self, conversation: UUID) -> None:
        """Try again, this conversation alone, until its lock is got and nothing of it waits here any more.

        One conversation tries at a time, so that many of them cannot use up the connections.
        """
        waiting = self._aside[conversation]
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), self._bounds.batch_units))]
            async with self._aside_turn:
                blocked = await self._attempt(batch)
            waiting.extendleft(reversed(blocked))
            if blocked and self._clock.monotonic() - blocked[0].since > self._bounds.patience:
                log.warning("committer.lock_not_got", conversation=str(conversation), units=len(waiting))
                self._fail_conversation(conversation, Unavailable("busy", retry_after=1.0))
        del self._aside[conversation]

    # --- answers ------------------------------------------------------------------------------------------------------

    def _deliver(self, executed: Executed) -> None:
        """After COMMIT: publish everything in order, then acknowledge, in one step of the loop."""
        for outcome in executed.outcomes:
            self._publish(outcome)
            if outcome.screened is not None:
                self.screened[outcome.screened] += 1
        crashpoint.reach("committer.before_ack")
        for outcome in executed.outcomes:
            if outcome.error is None:
                self._forget(outcome.unit)
                if not outcome.unit.future.done():
                    outcome.unit.future.set_result(outcome.value)
            else:
                self._fail(outcome.unit, outcome.error)

    def _publish(self, outcome: Outcome) -> None:
        for person in outcome.removed:
            self._publisher.revoke(outcome.records[0].number, person)
        for record in outcome.records:
            self._publisher.publish(record, link=outcome.unit.link)
            if self._heard is not None:
                self._heard(outcome.unit.conversation, record.redacted() if record.verdict == "hold" else record)
            crashpoint.reach("committer.during_delivery")
        for _, notice in outcome.notices:
            self._publisher.publish(notice)
        if outcome.records or outcome.notices:
            self._changed(outcome.unit.conversation)

    def _fails_behind(self, unit: Unit) -> bool:
        """Whether an earlier publish of the unit's run has failed, and the unit with it (`ports.Run`)."""
        if unit.run is None or not unit.run.failed:
            return False
        self._fail(unit, Unavailable("after_failed"))
        return True

    def _refuse(self, unit: Unit, error: StatementError) -> None:
        """The statement fails for this unit alone."""
        if not error.sqlstate.startswith(UNSTORABLE):
            self._give_up(unit, error)
            return
        log.error("committer.row_refused", conversation=str(unit.conversation), sqlstate=error.sqlstate)
        self._fail(unit, Refused("invalid", field="body", reason="it cannot be stored"))

    def _give_up(self, unit: Unit, error: Exception) -> None:
        incident = secrets.token_hex(6)
        log.error("committer.failed", conversation=str(unit.conversation), incident=incident, exc_info=error)
        self._fail(unit, Unavailable("internal", incident=incident))

    def _fail_conversation(self, conversation: UUID, error: ChironError) -> None:
        """Fail what waits for a conversation, aside and in the queue."""
        if aside := self._aside.get(conversation):
            while aside:
                self._fail(aside.popleft(), error)
        mine = [unit for unit in self._queue if unit.conversation == conversation]
        self._queue = deque(unit for unit in self._queue if unit.conversation != conversation)
        for unit in mine:
            self._fail(unit, error)

    def _fail_everything(self, batch: Sequence[Unit], error: ChironError) -> None:
        if isinstance(error, Unknown):
            error = Unavailable("unavailable", retry_after=1.0)
        for unit in [*batch, *(unit for aside in self._aside.values() for unit in aside), *self._queue]:
            self._fail(unit, error)
        for aside in self._aside.values():
            aside.clear()
        self._queue.clear()

    def _fail(self, unit: Unit, error: ChironError) -> None:
        if unit.answered:
            return
        self._forget(unit)
        if error.row.temporary and unit.run is not None:
            if unit.run.failed:
                error = Unavailable("after_failed")
            unit.run.failed = True
        if not unit.future.done():
            unit.future.set_exception(error)

    def _forget(self, unit: Unit) -> None:
        self._units -= 1
        self._bytes -= unit.size
        unit.answered = True


def _halves(piece: Sequence[Unit], wait: bool) -> list[tuple[Sequence[Unit], bool]]:
    """For a stack: the earlier half comes first."""
    middle = len(piece) // 2
    return [(piece[middle:], wait), (piece[:middle], wait)]
