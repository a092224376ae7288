"""Mails of a unit of work: sent after its COMMIT, never without it, in their order, and never lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from database import MigratedDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chiron.errors import Unavailable
from chiron.server.platform import keys
from chiron.server.platform.clock import SystemClock
from chiron.server.platform.ids import UuidV7
from chiron.server.platform.mail import Down, Letter, Mailer, Undelivered
from chiron.server.ports import Database, Mail, Tx

SEALER = keys.Sealer(keys.generate().sealing)
IDS = UuidV7(SystemClock())
TOKEN = "verify-TOKEN-3141"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def pass_(self, **duration: float) -> None:
        self.time += timedelta(**duration)


class Killed(BaseException):
    """What happens to the code when its process dies: nothing after it runs."""


Fate = BaseException | None


@dataclass
class Post:
    """A transport that remembers. `fates` happen to the next mails before they are taken, `late` after."""

    sent: list[Letter] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    late: list[Fate] = field(default_factory=list)
    always: Fate = None
    tries: int = 0
    closed: int = 0
    seconds: float = 0.0
    clock: Clock | None = None

    async def send(self, letter: Letter) -> None:
        self.tries += 1
        if self.clock is not None:
            self.clock.pass_(seconds=self.seconds)
        fate = self.fates.pop(0) if self.fates else self.always
        if fate is not None:
            raise fate
        self.sent.append(letter)
        fate = self.late.pop(0) if self.late else None
        if fate is not None:
            raise fate

    async def close(self) -> None:
        self.closed += 1

    @property
    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.sent]


@dataclass
class Office:
    """A database with an outbox, and mailers at it."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    post: Post = field(default_factory=Post)

    def mailer(self, post: Post | None = None, database: Database | None = None) -> Mailer:
        return Mailer(database or self.database, self.clock, SEALER, post or self.post, random.Random(7))

    async def put(self, *subjects: str, to: str | None = "ada@example.org", mailer: Mailer | None = None) -> list[UUID]:
        mails = [Mail(IDS.new(), to, subject, f"Follow {TOKEN}\n") for subject in subjects]
        mailer = mailer or self.mailer()

        async def work(tx: Tx) -> None:
            for mail in mails:
                await mailer.put(tx, mail, self.clock.now())

        await self.database.run(work)
        return [mail.id for mail in mails]

    async def rows(self) -> Sequence[Any]:
        return await self.database.read(lambda tx: tx.fetch("SELECT * FROM outbox_mail ORDER BY put_at, id"))

    async def drain(self, mailer: Mailer) -> None:
        """Until nothing waits, however long that takes by the clock."""
        for _ in range(200):
            while await mailer.deliver():
                pass
            if not [row for row in await self.rows() if row["dead"] is None]:
                return
            self.clock.pass_(minutes=61)
        pytest.fail("something waits for ever")


@pytest.fixture
def office(database: MigratedDatabase) -> Office:
    return Office(database.pool)


async def test_a_mail_is_sent_once_and_leaves_nothing_behind(office: Office) -> None:
    (id,) = await office.put("Grüße\r\nBcc: evil@example.org")
    mailer = office.mailer()
    await mailer.deliver()
    await mailer.deliver()
    (letter,) = office.post.sent
    assert (letter.id, letter.to, letter.text) == (id, "ada@example.org", f"Follow {TOKEN}\n")
    assert letter.subject == "Grüße Bcc: evil@example.org", "a subject is one line"
    assert letter.date == office.clock.now()
    assert await office.rows() == []
    assert (mailer.sent, mailer.failed, mailer.dead) == (1, 0, 0)


async def test_what_is_rolled_back_is_not_sent(office: Office) -> None:
    mailer = office.mailer()

    async def work(tx: Tx) -> None:
        await mailer.put(tx, Mail(IDS.new(), "ada@example.org", "No", "No"), office.clock.now())
        mailer.wake()
        await mailer.deliver()
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError):
        await office.database.run(work)
    await mailer.deliver()
    assert office.post.tries == 0


async def test_mails_are_sent_in_the_order_of_their_due_times(office: Office) -> None:
    for number in range(45):
        await office.put(str(number))
        office.clock.pass_(milliseconds=1)
    mailer = office.mailer()
    while await mailer.deliver():
        pass
    assert office.post.subjects == [str(number) for number in range(45)]
    assert office.post.closed >= 3, "a connection ends with its batch"


async def test_nobody_can_see_in_the_database_what_a_mail_says_or_to_whom(office: Office) -> None:
    await office.put("A subject", to="ada@example.org")
    await office.put("A subject", to=None)
    await office.put("A subject", to="x" * 240 + "@example.org")
    one, nobody, long = await office.rows()
    for row in (one, nobody, long):
        for secret in (b"ada", b"example", b"subject", TOKEN.encode()):
            assert secret not in row["recipient"] + row["content"]
        assert (len(row["recipient"]), len(row["content"])) == (len(one["recipient"]), len(one["content"]))
    assert one["recipient"] != nobody["recipient"]


async def test_a_mail_to_nobody_is_work_and_no_mail(office: Office) -> None:
    await office.put("For nobody", to=None)
    mailer = office.mailer()
    await mailer.deliver()
    assert office.post.tries == 0
    assert mailer.sent == 0
    assert await office.rows() == []


async def test_a_row_that_was_moved_or_changed_is_dead_and_keeps_no_other(office: Office) -> None:
    first, second = await office.put("First", "Second")

    async def swap(tx: Tx) -> None:
        await tx.execute(
            "UPDATE outbox_mail SET recipient = (SELECT recipient FROM outbox_mail WHERE id = $2) WHERE id = $1",
            first,
            second,
        )

    await office.database.run(swap)
    mailer = office.mailer()
    await mailer.deliver()
    assert office.post.subjects == ["Second"]
    assert [row["dead"] for row in await office.rows()] == ["unreadable"]


async def test_a_temporary_refusal_is_tried_again_ever_later_for_three_days_and_then_kept_as_dead(
    office: Office,
) -> None:
    office.post.always = Undelivered("rcpt:450", permanent=False)
    await office.put("Hello")
    mailer = office.mailer()
    began = office.clock.now()
    waits: list[timedelta] = []
    while (row := (await office.rows())[0])["dead"] is None:
        await mailer.deliver()
        due = (await office.rows())[0]["due"]
        waits.append(due - office.clock.now())
        office.clock.time = max(due, office.clock.time)
    assert timedelta(days=3) <= row["died_at"] - began < timedelta(days=3, hours=1)
    assert timedelta(seconds=7) <= waits[0] <= timedelta(seconds=15)
    assert max(waits) <= timedelta(hours=1)
    assert all(timedelta(minutes=30) <= wait for wait in waits[9:-1])
    assert office.post.tries < 110
    assert row["dead"] == "expired"
    assert mailer.dead == 1
    assert mailer.failed == office.post.tries - 1
    await mailer.deliver()
    assert office.post.tries == mailer.failed + 1


async def test_a_permanent_refusal_ends_it_and_says_why(office: Office) -> None:
    office.post.fates = [Undelivered("rcpt:550", permanent=True)]
    await office.put("First", "Second")
    mailer = office.mailer()
    await mailer.deliver()
    (row,) = await office.rows()
    assert (row["dead"], row["died_at"]) == ("rcpt:550", office.clock.now())
    assert office.post.subjects == ["Second"]
    office.clock.pass_(days=29)
    await mailer.deliver()
    assert len(await office.rows()) == 1
    office.clock.pass_(days=2)
    await mailer.deliver()
    assert await office.rows() == [], "dead mails are forgotten after a month"


async def test_while_nothing_is_taken_mails_wait_and_then_go_in_their_order(office: Office) -> None:
    office.post.always = Down("connect:SMTPConnectError")
    mailer = office.mailer()
    for number in range(30):
        await office.put(str(number))
        office.clock.pass_(milliseconds=1)
    for _ in range(5):
        assert not await mailer.deliver()
        office.clock.pass_(minutes=1)
    assert office.post.tries == 5, "one mail knocks for all"
    assert mailer.waiting == 30
    assert {row["attempts"] for row in await office.rows()} == {0}, "nothing was tried"
    office.post.always = None
    while await mailer.deliver():
        pass
    assert office.post.subjects == [str(number) for number in range(30)]


async def test_what_nobody_took_for_three_days_is_dead(office: Office) -> None:
    office.post.always = Down("connect:SMTPConnectError")
    mailer = office.mailer()
    await office.put("Old", "Old too")
    office.clock.pass_(days=2)
    await office.put("Newer")
    await mailer.deliver()
    assert [row["dead"] for row in await office.rows()] == [None, None, None]
    office.clock.pass_(days=1, seconds=1)
    await mailer.deliver()
    assert [row["dead"] for row in await office.rows()] == ["expired", "expired", None]
    assert mailer.dead == 2


async def test_a_mail_that_breaks_the_connection_each_time_keeps_no_other(office: Office) -> None:
    office.post.fates = [Undelivered("broken_off:SMTPServerDisconnected", permanent=False)]
    await office.put("Poison", "Good")
    await office.mailer().deliver()
    assert office.post.subjects == ["Good"]


async def test_a_defect_keeps_no_other_and_does_not_say_what_it_saw(office: Office) -> None:
    office.post.fates = [KeyError("ada@example.org")]
    await office.put("Poison", "Good")
    with capture_logs() as logged:
        await office.mailer().deliver()
    assert office.post.subjects == ["Good"]
    assert "ada" not in repr(logged)
    assert {"event": "mail.defect", "kind": "KeyError"}.items() <= logged[0].items()


async def test_no_log_line_has_an_address_a_subject_or_a_token(office: Office) -> None:
    office.post.fates = [
        Undelivered("rcpt:550", permanent=True),
        Undelivered("rcpt:450", permanent=False),
        None,
        Down("auth:535"),
    ]
    ids = await office.put("Subject 1", "Subject 2", "Subject 3", "Subject 4")
    mailer = office.mailer()
    with capture_logs() as logged:
        await mailer.deliver()
        await mailer.deliver()
    assert [line["event"] for line in logged] == [
        "mail.dead",
        "mail.later",
        "mail.sent",
        "mail.down",
        "mail.up",
        "mail.sent",
    ]
    for secret in ("ada", "example", "Subject", TOKEN):
        assert secret not in repr(logged)
    assert logged[0]["id"] == str(ids[0])


async def test_two_workers_share_and_send_nothing_twice(office: Office) -> None:
    await office.put(*(str(number) for number in range(100)))
    mailers = [office.mailer() for _ in range(4)]

    async def work(mailer: Mailer) -> None:
        while await mailer.deliver():
            pass

    await asyncio.gather(*(work(mailer) for mailer in mailers))
    assert sorted(map(int, office.post.subjects)) == list(range(100))
    assert await office.rows() == []


async def test_no_mail_is_begun_that_might_outlast_its_lease(office: Office) -> None:
    office.post.clock, office.post.seconds = office.clock, 10.0
    await office.put(*"abcd")
    slow = office.mailer()
    await slow.deliver()
    assert office.post.subjects == ["a", "b"], "two of ten seconds, and the third would begin after fifteen"
    assert [row["due"] <= office.clock.now() for row in await office.rows()] == [True, True]
    await office.mailer().deliver()
    assert office.post.subjects == list("abcd")


async def test_a_result_counts_only_for_the_lease_that_it_is_of(office: Office) -> None:
    """The slow worker's lease has ended, another has sent the mail; then the slow one fails."""
    (id,) = await office.put("Hello")
    other = office.mailer()

    class Slow(Post):
        async def send(self, letter: Letter) -> None:
            office.clock.pass_(seconds=61)
            office.post.fates = [Undelivered("rcpt:450", permanent=False)]
            await other.deliver()
            raise Undelivered("rcpt:550", permanent=True)

    await office.mailer(Slow()).deliver()
    (row,) = await office.rows()
    assert (row["id"], row["dead"], row["attempts"]) == (id, None, 2)


async def test_a_mail_that_was_sent_is_not_sent_again_because_the_database_was_away(office: Office) -> None:
    class Away:
        """A database that goes away when the mail is sent."""

        runs = 0

        async def run(self, work: Callable[[Tx], Awaitable[Any]], **options: Any) -> Any:
            self.runs += 1
            if self.runs == 2:
                raise Unavailable("unavailable")
            return await office.database.run(work, **options)

    mailer = office.mailer(database=cast("Database", Away()))
    await office.put("Hello")
    with pytest.raises(Unavailable):
        await mailer.deliver()
    office.clock.pass_(minutes=2)
    await mailer.deliver()
    assert office.post.subjects == ["Hello"]
    assert await office.rows() == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_it_sends_by_itself_when_woken_and_also_when_not(office: Office) -> None:
    mailer = Mailer(office.database, SystemClock(), SEALER, office.post)
    await mailer.start()
    try:
        await office.put("Unannounced")  # as by a worker that died before it could wake anybody
        await until(lambda: office.post.subjects == ["Unannounced"])
        await office.put("Announced")
        mailer.wake()
        await until(lambda: office.post.subjects == ["Unannounced", "Announced"])
    finally:
        await mailer.stop()
    assert await office.rows() == []


async def test_it_goes_on_after_the_database_was_away(office: Office) -> None:
    class Away:
        runs = 0

        async def run(self, work: Callable[[Tx], Awaitable[Any]], **options: Any) -> Any:
            self.runs += 1
            if self.runs <= 2:
                raise Unavailable("unavailable")
            return await office.database.run(work, **options)

    mailer = Mailer(cast("Database", Away()), SystemClock(), SEALER, office.post)
    await office.put("Hello")
    await mailer.start()
    try:
        await until(lambda: office.post.subjects == ["Hello"])
    finally:
        await mailer.stop()


async def test_the_stop_lets_the_mail_that_is_being_sent_finish_and_gives_the_rest_back(office: Office) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    class Slow(Post):
        async def send(self, letter: Letter) -> None:
            begun.set()
            await may_end.wait()
            await super().send(letter)

    post = Slow()
    mailer = Mailer(office.database, SystemClock(), SEALER, post)
    await office.put("First", "Second")
    await mailer.start()
    await begun.wait()
    stopping = asyncio.create_task(mailer.stop())
    await asyncio.sleep(0)
    may_end.set()
    await stopping
    assert post.subjects == ["First"]
    (row,) = await office.rows()
    assert (row["attempts"], row["due"]) == (0, row["put_at"])


SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

fates = st.sampled_from(
    [
        (None, None),
        (None, None),
        (Undelivered("rcpt:450", permanent=False), None),
        (Undelivered("rcpt:550", permanent=True), None),
        (Down("connect:SMTPConnectError"), None),
        (Killed(), None),
        (None, Killed("after it was sent")),
    ]
)
acts = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("roll back"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("send"), st.lists(fates, min_size=1, max_size=6), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.floats(0.1, 4000.0), st.none()),
)


@SETTINGS
@given(st.lists(acts, min_size=3, max_size=25))
async def test_every_history_of_commits_rollbacks_refusals_and_crashes_sends_exactly_what_was_committed(
    office: Office, history: list[tuple[str, Any, Any]]
) -> None:
    office = Office(office.database)
    mailers = [office.mailer(), office.mailer()]
    committed: set[UUID] = set()
    dead: set[UUID] = set()
    died_after = 0
    for act, what, how in history:
        if act == "put":
            ids = await office.put(*map(str, range(what)), to="ada@example.org" if how else None)
            committed |= set(ids) if how else set()
        elif act == "roll back":
            count = what

            async def work(tx: Tx, count: int = count) -> None:
                for _ in range(count):
                    await mailers[0].put(tx, Mail(IDS.new(), "ada@example.org", "No", "No"), office.clock.now())
                raise RuntimeError

            with pytest.raises(RuntimeError):
                await office.database.run(work)
        elif act == "wait":
            office.clock.pass_(seconds=what)
        else:
            office.post.fates = [early for early, _ in what]
            office.post.late = [late for early, late in what if early is None]
            try:
                await mailers[how].deliver()
            except Killed as killed:
                died_after += len(killed.args)
                mailers[how] = office.mailer()  # a process that knows nothing of the one before
    office.post.fates, office.post.late = [], []
    dead |= {row["id"] for row in await office.rows() if row["dead"] is not None}
    await office.drain(mailers[0])

    times = Counter(letter.id for letter in office.post.sent)
    assert set(times) == committed - dead, "what was committed is sent, and nothing else"
    assert sum(times.values()) - len(times) <= died_after, "again only what a crash made doubtful"
    for id in times:
        copies = [letter for letter in office.post.sent if letter.id == id]
        assert copies == [copies[0]] * len(copies), "the same mail each time"
    await office.database.run(lambda tx: tx.execute("DELETE FROM outbox_mail"))
