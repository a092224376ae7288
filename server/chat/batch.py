"""One transaction of the committer: what a batch of units writes, and what became of each.

The order of statements is what makes offsets gapless and committers free of deadlocks, in READ COMMITTED:

    1. lock the conversations, by id          every committer takes them in this order
    2. lock the people told, by id            after all conversations, again in one order
    3. runs of entries, each one statement    its snapshot is younger than the locks, so it sees what the holders
                                              before us have committed; and one more where something speaks against
                                              any of them, which is written down with it
       units with SQL of their own            each inside a savepoint, at its place in the order of arrival
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
import structlog

from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.chat import personal, store
from chiron.server.platform import crashpoint
from chiron.server.ports import Ack, Finding, Record, Run, Screening, StatementError, Tx

T = TypeVar("T")

LOCK_NOT_AVAILABLE = "55P03"
DOUBT_WAIT_MS = 5_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Effect(Generic[T]):
    """What a change has done with its own SQL, and what must be logged with it.

    A change that writes logs at least one row: by it an interrupted COMMIT is looked for.
    """

    result: T
    entries: Sequence[store.Entry] = ()
    notices: Sequence[personal.Notice] = ()
    removed: Sequence[UUID] = ()
    """Who, as `entries` tell, is no longer a member: attachments of theirs end."""


class Change(Protocol[T]):
    """A unit of work that takes offsets and has SQL of its own, such as a change of membership."""

    @property
    def conversation(self) -> UUID:
        """The only conversation that it changes; locked when `run` is called, if it exists."""
        ...

    @property
    def people(self) -> Sequence[UUID]:
        """Everybody whom it may tell by a notice; locked when `run` is called."""
        ...

    async def run(self, tx: Tx) -> Effect[T]:
        """Raises `Refused`; then nothing of it is kept. May be called several times, and acts on the database alone."""
        ...


class Unit(msgspec.Struct, eq=False):
    """Work that waits for the committer: one entry or one change."""

    conversation: UUID
    work: store.Entry | Change[Any]
    future: asyncio.Future[Any]
    size: int
    """Bytes, for the bound of the queue."""
    since: float
    """When it was accepted, monotonic seconds."""
    link: int = 0
    run: Run | None = None
    answered: bool = False


class Outcome(msgspec.Struct, eq=False):
    """What the transaction has decided for a unit: a value or an error, and what to publish once it is committed."""

    unit: Unit
    value: Any = None
    error: ChironError | None = None
    records: Sequence[Record] = ()
    notices: Sequence[tuple[UUID, Record]] = ()
    removed: Sequence[UUID] = ()
    finding: Finding | None = None
    """What was written down against it."""
    screened: tuple[str, str, str] | None = None
    """For metrics: kind of conversation, verdict, and what was done."""


@dataclass(slots=True)
class Executed:
    """A transaction before its COMMIT."""

    screening: Screening | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    blocked: set[UUID] = field(default_factory=set)
    """Conversations left out, because somebody else holds their lock."""

    async def has_landed(self, tx: Tx) -> bool:
        """Whether the COMMIT took effect: any one row tells, for there are all or none."""
        for outcome in self.outcomes:
            for record in outcome.records:
                return await store.is_written(tx, outcome.unit.conversation, record.offset, record.message)
            for person, notice in outcome.notices:
                return await personal.is_written(tx, person, notice.offset, notice.message)
            if outcome.finding is not None and self.screening is not None:
                return await self.screening.has_kept(tx, outcome.finding.message)
        return True  # nothing was written that could be missing

    async def has_landed_for_sure(self, tx: Tx) -> bool:
        """The same while the old server process may still be at work: it holds the locks until it has ended."""
        await store.limit_waits(tx, DOUBT_WAIT_MS)
        conversations = {outcome.unit.conversation for outcome in self.outcomes}
        await store.lock(tx, conversations, wait=True, lock_timeout_ms=DOUBT_WAIT_MS)
        await personal.lock(tx, {person for outcome in self.outcomes for person, _ in outcome.notices}, wait=True)
        return await self.has_landed(tx)


async def execute(
    tx: Tx, units: Sequence[Unit], *, wait: bool, lock_timeout_ms: int, screening: Screening | None = None
) -> Executed:
    """Write the units in order, up to COMMIT.

    With `wait`, a lock that is not got in time ends the transaction (StatementError 55P03); without, what is locked by
    somebody else is left out. Any other StatementError is the fault of an entry, and ends the transaction too.
    """
    if not all(isinstance(unit.work, store.Entry) for unit in units):
        # Changes lock people too, also of conversations that do not exist yet.
        await store.limit_waits(tx, lock_timeout_ms)
    executed = Executed(screening, blocked=await _lock(tx, units, wait, lock_timeout_ms))
    entries: list[Unit] = []
    for unit in units:
        if unit.conversation in executed.blocked:
            continue
        if isinstance(unit.work, store.Entry):
            entries.append(unit)
            continue
        executed.outcomes += await _write(tx, entries, screening)
        entries = []
        executed.outcomes.append(await _change(tx, unit, unit.work))
    executed.outcomes += await _write(tx, entries, screening)
    crashpoint.reach("committer.before_commit")
    return executed


async def _lock(tx: Tx, units: Sequence[Unit], wait: bool, lock_timeout_ms: int) -> set[UUID]:
    """The conversations whose units must not be run now, because not every lock that they need was got."""
    wanted = {unit.conversation for unit in units}
    missing = wanted - await store.lock(tx, wanted, wait=wait, lock_timeout_ms=lock_timeout_ms)
    blocked = set() if wait or not missing else await store.existing(tx, missing)

    people = {unit.conversation: set[UUID]() for unit in units}
    for unit in units:
        if not isinstance(unit.work, store.Entry) and unit.conversation not in blocked:
            people[unit.conversation].update(unit.work.people)
    told = set().union(*people.values())
    if told:
        missing = told - await personal.lock(tx, told, wait=wait)
        held = set() if wait or not missing else await personal.existing(tx, missing)
        blocked |= {conversation for conversation, needed in people.items() if needed & held}
    return blocked


async def _write(tx: Tx, units: Sequence[Unit], screening: Screening | None) -> list[Outcome]:
    """One statement for a run of entries. What comes twice in it is written once, and the others repeat the first."""
    if not units:
        return []
    firsts: dict[tuple[UUID, UUID, str], int] = {}
    entries: list[store.Entry] = []
    for unit in units:
        entry = _entry(unit)
        if firsts.setdefault((entry.conversation, entry.sender, entry.client_id), len(entries)) == len(entries):
            entries.append(entry)
    written = await store.write(tx, entries)

    outcomes = []
    answered: set[int] = set()
    others: list[Unit] = []
    for unit in units:
        entry = _entry(unit)
        position = firsts[entry.conversation, entry.sender, entry.client_id]
        if written[position].blocked and written[position].body_hash != entry.body_hash:
            # What is blocked is nowhere, so that it keeps no client id from another text.
            others.append(unit)
            continue
        outcomes.append(_judged(unit, entry, written[position], repeat=position in answered))
        answered.add(position)
    findings = [outcome.finding for outcome in outcomes if outcome.finding is not None]
    if findings and screening is not None:
        await screening.keep(tx, findings)
    return outcomes + await _write(tx, others, screening)


def _entry(unit: Unit) -> store.Entry:
    assert isinstance(unit.work, store.Entry)
    return unit.work


def _judged(unit: Unit, entry: store.Entry, written: store.Written, *, repeat: bool) -> Outcome:
    record = written.record
    if record is None and not written.blocked:
        return Outcome(unit, error=Refused("not_found", what="conversation"))
    if written.body_hash != entry.body_hash:
        return Outcome(unit, error=Refused("client_id_reused"))
    judgement = entry.judgements.of(written.kind)
    finding = screened = None
    if not (repeat or written.duplicate):
        screened = (written.kind, judgement.verdict, judgement.done)
        if judgement.verdict != "allow":
            offset = None if record is None else record.offset
            finding = Finding(
                entry.id,
                entry.conversation,
                written.kind,
                offset,
                entry.sender,
                entry.time,
                judgement,
                entry.judgements.evidence,
            )
    if record is None:
        error = Refused("blocked", reasons=list(judgement.reasons))
        return Outcome(unit, error=error, finding=finding, screened=screened)
    duplicate = repeat or written.duplicate
    ack = Ack(record.message, record.offset, record.ordinal, record.time, duplicate, record.verdict)
    return Outcome(unit, value=ack, records=() if duplicate else (record,), finding=finding, screened=screened)


async def _change(tx: Tx, unit: Unit, change: Change[Any]) -> Outcome:
    """A unit with SQL of its own. Whatever of it is refused, the rest of the batch stands."""
    await tx.execute("SAVEPOINT change")
    try:
        effect = await change.run(tx)
        written = await store.write(tx, effect.entries) if effect.entries else []
        notices = await personal.write(tx, effect.notices) if effect.notices else []
    except (Refused, StatementError) as error:
        await tx.execute("ROLLBACK TO SAVEPOINT change")
        return Outcome(unit, error=_refusal(error))
    await tx.execute("RELEASE SAVEPOINT change")
    return Outcome(
        unit,
        value=effect.result,
        records=[row.record for row in written if row.record is not None],
        notices=[(notice.person, record) for notice, record in zip(effect.notices, notices, strict=True)],
        removed=effect.removed,
    )


def _refusal(error: Refused | StatementError) -> ChironError:
    if isinstance(error, Refused):
        return error
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return Unavailable("busy", retry_after=1.0)
    log.error("committer.change_failed", exc_info=error)
    return Unavailable("internal", incident=error.sqlstate)
