"""The outbox: mails are rows of the unit of work that they belong to, and are sent after its COMMIT, at least once.

What becomes of a row:

    put --COMMIT--> waiting --lease--> leased --taken--------------> removed
                       ^                  |
                       |--not tried-------|   given back as it was
                       |--temporary-------|   due again later and later, for three days
                       |--worker died-----|   when its lease ends
                                          |--permanent, too old----> dead: kept for a month, tried no more

A lease is a due time in the near future, taken in a transaction of its own, so that no connection of the pool and no
lock waits for a mail server. Who crashes between sending and removing sends again; the Message-ID, the Date and every
other byte are the same then.

Degraded mode: while no mail can be taken (server away, wrong password, folder full) requests succeed and mails wait.
One of them knocks now and then, and when it is let in all follow in their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from chiron.errors import Unavailable, Unknown
from chiron.server.platform import crashpoint
from chiron.server.platform.keys import Sealer
from chiron.server.platform.mail import store
from chiron.server.platform.mail.message import Letter, one_line
from chiron.server.platform.mail.store import Leased
from chiron.server.platform.mail.transport import Down, Transport, Undelivered
from chiron.server.ports import Clock, Database, Mail, Tx

POLL = 4.0
"""Seconds between looks for what others put or what was put off, about: several workers do not look at once."""
BATCH = 20
LEASE = timedelta(seconds=60)
SEND_SECONDS = 45.0
"""For one mail. No mail is begun that might not be done within the lease."""

KNOCK = (1.0, 60.0)
"""Seconds until the next try while nothing is taken: first and longest."""
BACKOFF = (timedelta(seconds=15), timedelta(hours=1))
"""Until the next try of one mail that was refused for now: first and longest."""
GIVE_UP = timedelta(days=3)
DEAD_KEPT = timedelta(days=30)
SWEEP = 3600.0
"""Seconds between looks for dead mails to forget."""
STOP_SECONDS = 5.0
"""What the mail that is being sent gets to finish at the stop."""

RECIPIENT_BYTES = 1_024
"""254 code points (`identity.model`) are at most 1,016 bytes."""
CONTENT_STEP = 2_048

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Mailer:
    """`ports.MailQueue` and `ports.Lifespan`: one task that sends what this or another worker put.

    `waiting` (as of the last look, at most 10,000 are counted), `sent`, `failed` (tries that are repeated) and `dead`
    are for metrics.
    """

    def __init__(
        self, database: Database, clock: Clock, sealer: Sealer, transport: Transport, rng: random.Random | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._transport = transport
        self._rng = rng or random.SystemRandom()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._taken: set[UUID] = set()
        """Sent, and not removed from the database yet."""
        self._knocks = 0
        """How often in a row nothing could be sent at all."""
        self._swept = -SWEEP
        self.waiting = 0
        self.sent = 0
        self.failed = 0
        self.dead = 0

    # --- ports.MailQueue ---------------------------------------------------------------------------------------------

    async def put(self, tx: Tx, mail: Mail, now: datetime) -> None:
        """See `ports.MailQueue.put`. Raises ValueError for an address that is too long to be one."""
        recipient = (mail.to or "").encode()
        if len(recipient) > RECIPIENT_BYTES:
            raise ValueError("that is longer than an address can be")
        content = f"{one_line(mail.subject)}\n{mail.text}".encode()
        content = content.ljust(-(-len(content) // CONTENT_STEP) * CONTENT_STEP, b"\0")
        await store.insert(
            tx,
            mail.id,
            self._sealer.seal(recipient.ljust(RECIPIENT_BYTES, b"\0"), _context("recipient", mail.id)),
            self._sealer.seal(content, _context("content", mail.id)),
            now,
        )

    def wake(self) -> None:
        self._woken.set()

    # --- ports.Lifespan ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="mail")

    async def stop(self) -> None:
        """What is being sent may finish; the rest is sent by whoever comes next."""
        self._stopping.set()
        self._woken.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_SECONDS)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                if await self.deliver():
                    continue
            except (Unavailable, Unknown):
                pass  # `/readyz` says so, and so does whoever asks for anything
            except Exception as error:  # a defect must not end the task
                _log_defect(error)
            signal, seconds = (self._woken, POLL * self._rng.uniform(0.75, 1.25))
            if self._knocks:
                first, longest = KNOCK
                seconds = min(first * 2.0 ** (self._knocks - 1), longest) * self._rng.uniform(0.5, 1.0)
                signal = self._stopping
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await signal.wait()

    async def deliver(self) -> bool:
        """Send what is due now, at most one batch; whether there may be more. Raises Unavailable and Unknown."""
        began = self._clock.monotonic()
        # While nothing is taken, one mail alone knocks.
        most = 1 if self._knocks else BATCH
        rest = deque(await self._lease(most))
        more = len(rest) == most
        down = None
        try:
            while rest and not self._stopping.is_set() and self._may_begin(began):
                await self._send(rest[0])
                rest.popleft()
        except Down as error:
            down = error
        finally:
            await self._transport.close()
        if down is not None:
            await self._wait_outside(rest, down.reason)
            return False
        if rest:
            await self._write(lambda tx: store.release(tx, list(rest)))
        return more

    def _may_begin(self, began: float) -> bool:
        return self._clock.monotonic() - began < LEASE.total_seconds() - SEND_SECONDS

    async def _lease(self, most: int) -> list[Leased]:
        now = self._clock.now()
        sweep = self._clock.monotonic() - self._swept >= SWEEP
        taken = frozenset(self._taken)

        async def work(tx: Tx) -> tuple[list[Leased], int]:
            if taken:
                await store.remove(tx, taken)
            if sweep:
                await store.forget_dead(tx, now - DEAD_KEPT)
            leased = await store.lease(tx, now, now + LEASE, most)
            return leased, await store.count_waiting(tx)

        leased, self.waiting = await self._write(work)
        self._taken -= taken
        if sweep:
            self._swept = self._clock.monotonic()
        return leased

    async def _send(self, mail: Leased) -> None:
        """Send one and write down what came of it. Raises Down, and then nothing was tried."""
        try:
            letter = self._open(mail)
        except ValueError:
            await self._bury(mail, "unreadable")
            return
        if letter is not None:
            crashpoint.reach("mail.before_send")
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._transport.send(letter)
            except Undelivered as error:
                self._let_in()
                if error.permanent:
                    await self._bury(mail, error.reason)
                else:
                    await self._postpone(mail, error.reason)
                return
            except TimeoutError:
                await self._postpone(mail, "timeout")
                return
            except Down:
                raise
            except Exception as error:  # a defect that one mail shows must not keep the others
                _log_defect(error)
                await self._postpone(mail, "defect")
                return
            crashpoint.reach("mail.after_send")
            self._let_in()
            self.sent += 1
            log.info("mail.sent", id=str(mail.id), attempts=mail.attempts)
        self._taken.add(mail.id)
        await self._write(lambda tx: store.remove(tx, [mail.id]))
        self._taken.discard(mail.id)

    def _open(self, mail: Leased) -> Letter | None:
        """None for a mail to nobody. Raises ValueError when it cannot be unsealed."""
        recipient = self._sealer.open(mail.recipient, _context("recipient", mail.id)).rstrip(b"\0").decode()
        content = self._sealer.open(mail.content, _context("content", mail.id)).rstrip(b"\0").decode()
        subject, _, text = content.partition("\n")
        return Letter(mail.id, recipient, subject, text, mail.put_at) if recipient else None

    async def _postpone(self, mail: Leased, reason: str) -> None:
        now = self._clock.now()
        if now - mail.put_at >= GIVE_UP:
            await self._bury(mail, "expired")
            return
        first, longest = BACKOFF
        pause = min(first * 2.0 ** min(mail.attempts - 1, 16), longest) * self._rng.uniform(0.5, 1.0)
        self.failed += 1
        log.warning("mail.later", id=str(mail.id), reason=reason, attempts=mail.attempts)
        await self._write(lambda tx: store.postpone(tx, mail, now + pause))

    async def _bury(self, mail: Leased, reason: str) -> None:
        self.dead += 1
        log.warning("mail.dead", id=str(mail.id), reason=reason, attempts=mail.attempts)
        await self._write(lambda tx: store.bury(tx, mail, reason, self._clock.now()))

    async def _wait_outside(self, mails: Collection[Leased], reason: str) -> None:
        """Nothing is taken: give the mails back, and give up those that are too old."""
        if not self._knocks:
            log.warning("mail.down", reason=reason)
        self._knocks += 1
        self.failed += 1
        now = self._clock.now()

        async def work(tx: Tx) -> list[UUID]:
            await store.release(tx, mails)
            return await store.expire(tx, now, now - GIVE_UP)

        for id in await self._write(work):
            self.dead += 1
            log.warning("mail.dead", id=str(id), reason="expired")

    def _let_in(self) -> None:
        if self._knocks:
            log.info("mail.up", knocks=self._knocks)
        self._knocks = 0

    async def _write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Everything written here may be written twice: so after an unanswered COMMIT it may simply run again."""
        return await self._database.run(work, landed=_not_known)


async def _not_known(_: Tx) -> None:
    return None


def _log_defect(error: BaseException) -> None:
    """Kind and place alone: the message may hold what no log may."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("mail.defect", kind=type(error).__name__, place=f"{place.name}:{place.lineno}")


def _context(column: str, id: UUID) -> bytes:
    return f"outbox_mail.{column} {id}".encode()
