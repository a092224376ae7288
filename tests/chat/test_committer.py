"""What the committer promises to who calls it, on a database that behaves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
from msgspec.structs import replace
from town import CLOCK, IDS, Office, Recorder, text_entry, ulid

from chiron.errors import ChironError, Refused, Unavailable
from chiron.server.chat import membership, personal, store
from chiron.server.chat.batch import Effect
from chiron.server.chat.committer import Bounds
from chiron.server.ports import Ack, Run, Tx


async def outcome(call: asyncio.Future[Ack] | asyncio.Task[Ack]) -> Ack | str:
    try:
        return await call
    except ChironError as error:
        return error.code


async def test_calls_take_offsets_in_the_order_in_which_they_were_made(office: Office) -> None:
    committer = await office.make(publisher=(publisher := Recorder()))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    calls = [committer.append(text_entry(room, (anna, bert)[n % 2], ulid(), str(n))) for n in range(1500)]
    acks = await asyncio.gather(*calls)
    assert [ack.offset for ack in acks] == list(range(2, 1502)), "the first offset told who was added"
    assert [ack.ordinal for ack in acks] == list(range(1, 1501))
    published = [record.offset for record in publisher.records(publisher.calls[0][1].number)]
    assert published == list(range(1, 1502))
    await office.check(room)


async def test_an_ack_comes_after_the_row_and_after_the_delivery(office: Office) -> None:
    committer = await office.make(publisher=(publisher := Recorder()))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    entry = text_entry(room, anna, ulid(), "hello")
    ack = await committer.append(entry, link=7)
    (row,) = await office.texts(room)
    assert (row["id"], row["offset"], row["ordinal"], row["created_at"]) == (
        ack.message,
        ack.offset,
        ack.ordinal,
        ack.time,
    )
    kind, record, link = publisher.calls[-1]
    assert (kind, record.message, link) == ("publish", ack.message, 7)
    assert (record.body, record.author, record.client_id) == (entry.body, anna, entry.client_id)
    assert office.changed[-1] == room


async def test_a_repeat_gets_the_first_ack_and_writes_nothing(office: Office) -> None:
    committer = await office.make(publisher=(publisher := Recorder()))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    client_id = ulid()
    first = await committer.append(text_entry(room, anna, client_id, "once"))
    published = len(publisher.calls)
    again = await committer.append(text_entry(room, anna, client_id, "once"))
    assert again == replace(first, duplicate=True)
    assert len(publisher.calls) == published
    assert len(await office.texts(room)) == 1


async def test_repeats_within_one_batch_and_another_body(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    client_id = ulid()
    answers = await asyncio.gather(
        *(
            outcome(asyncio.ensure_future(committer.append(entry)))
            for entry in (
                text_entry(room, anna, client_id, "one"),
                text_entry(room, anna, client_id, "one"),
                text_entry(room, anna, client_id, "other"),
                text_entry(room, bert, client_id, "other"),
            )
        )
    )
    first, again, reused, of_bert = answers
    assert isinstance(first, Ack)
    assert not first.duplicate
    assert again == replace(first, duplicate=True)
    assert reused == "client_id_reused"
    assert isinstance(of_bert, Ack)
    assert of_bert.offset == first.offset + 1, "client ids are each author's own"
    await office.check(room)


async def test_who_is_no_member_and_what_does_not_exist_look_alike(office: Office) -> None:
    committer = await office.make()
    anna, bert, carl, _ = office.people
    room = await office.room(anna, bert, committer=committer)
    for conversation in (room, IDS.new()):
        with pytest.raises(Refused) as caught:
            await committer.append(text_entry(conversation, carl, ulid(), "let me in"))
        assert (caught.value.code, caught.value.params) == ("not_found", {"what": "conversation"})
    assert await office.texts(room) == []


async def test_a_former_member_still_gets_the_ack_of_what_was_written(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    entry = text_entry(room, bert, ulid(), "bye")
    first = await committer.append(entry)
    await committer.change(membership.Leave(room, bert, IDS, CLOCK.now()))
    assert await committer.append(entry) == replace(first, duplicate=True)
    with pytest.raises(Refused, match="conversation"):
        await committer.append(text_entry(room, bert, ulid(), "one more"))


async def test_sending_moves_ones_own_read(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    await asyncio.gather(*(committer.append(text_entry(room, bert, ulid(), "hi")) for _ in range(3)))
    ack = await committer.append(text_entry(room, anna, ulid(), "hello"))
    rows = await office.fetch("SELECT person, received, read, read_ordinal FROM member WHERE conversation = $1", room)
    marks = {row["person"]: tuple(row)[1:] for row in rows}
    assert marks == {anna: (ack.offset, ack.offset, 4), bert: (ack.offset - 1, ack.offset - 1, 3)}


async def test_waiting_inside_a_transaction_is_refused(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)

    async def work(_: Tx) -> None:
        await committer.append(text_entry(room, anna, ulid(), "deadlock"))

    with pytest.raises(RuntimeError, match="inside a transaction"):
        await office.migrated.pool.run(work)


async def test_a_row_that_cannot_be_stored_is_refused_alone(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    entries = [text_entry(room, anna, ulid(), str(n)) for n in range(40)]
    bad = {7, 8, 31}
    for n in bad:
        entries[n] = replace(entries[n], body=b'{"text": NOT JSON')
    answers = await asyncio.gather(*(outcome(asyncio.ensure_future(committer.append(entry))) for entry in entries))
    assert {n for n, answer in enumerate(answers) if answer == "invalid"} == bad
    offsets = [answer.offset for answer in answers if isinstance(answer, Ack)]
    assert offsets == list(range(2, 39))
    await office.check(room)


@dataclass(frozen=True)
class Defect:
    """A change that fails with what nobody expects."""

    conversation: UUID
    people: Sequence[UUID] = ()

    async def run(self, tx: Tx) -> Effect[None]:
        await store.dismiss(tx, self.conversation, next(iter(self.people)))
        raise ZeroDivisionError


@dataclass(frozen=True)
class BadSql:
    conversation: UUID
    people: Sequence[UUID] = ()

    async def run(self, tx: Tx) -> Effect[None]:
        await store.dismiss(tx, self.conversation, next(iter(self.people)))
        await tx.execute("SELECT 1 / 0")
        return Effect(None)


@pytest.mark.parametrize("kind", [Defect, BadSql])
async def test_a_change_that_fails_takes_nobody_with_it(office: Office, kind: type[Defect | BadSql]) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    before = [asyncio.ensure_future(committer.append(text_entry(room, bert, ulid(), "a"))) for _ in range(5)]
    failing = asyncio.ensure_future(committer.change(kind(room, (bert,))))
    after = [asyncio.ensure_future(committer.append(text_entry(room, bert, ulid(), "b"))) for _ in range(5)]
    acks = await asyncio.gather(*before, *after)
    assert [ack.offset for ack in acks] == list(range(2, 12)), "bert is still a member"
    with pytest.raises(Unavailable) as caught:
        await failing
    assert caught.value.code == "internal"
    await office.check(room)


async def test_a_defect_in_an_entry_fails_what_is_behind_it_in_its_run_alone(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    run = Run()
    mine = [text_entry(room, anna, ulid(), str(n)) for n in range(4)]
    mine[1] = replace(mine[1], body=b"\xff")  # not UTF-8: fails before any statement
    calls = [asyncio.ensure_future(committer.append(entry, run=run)) for entry in mine]
    of_bert = asyncio.ensure_future(committer.append(text_entry(room, bert, ulid(), "bert")))
    answers = [await outcome(call) for call in (*calls, of_bert)]
    assert isinstance(answers[0], Ack)
    assert answers[1:4] == ["internal", "after_failed", "after_failed"]
    assert isinstance(answers[4], Ack)
    assert run.failed
    with pytest.raises(Unavailable) as caught:
        await committer.append(text_entry(room, anna, ulid(), "later"), run=run)
    assert caught.value.code == "after_failed"


async def test_the_queue_is_bounded_and_says_busy(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    small = await office.make(bounds=Bounds(queue_units=10, queue_bytes=10_000))
    run = Run()
    calls = [asyncio.ensure_future(small.append(text_entry(room, anna, ulid(), str(n)), run=run)) for n in range(12)]
    answers = [await outcome(call) for call in calls]
    assert answers[10:] == ["busy", "after_failed"]
    large = [asyncio.ensure_future(small.append(text_entry(room, anna, ulid(), "x" * 4000))) for _ in range(3)]
    answers = [await outcome(call) for call in large]
    assert [isinstance(answer, Ack) for answer in answers] == [True, True, False]
    assert small.waiting == 0
    await office.check(room)


async def test_who_gives_up_waiting_does_not_cancel_the_message(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    call = asyncio.ensure_future(committer.append(text_entry(room, anna, ulid(), "still written")))
    await asyncio.sleep(0)
    call.cancel()
    await committer.append(text_entry(room, anna, ulid(), "next"))
    assert [row["body"] for row in await office.texts(room)] == ['{"text":"still written"}', '{"text":"next"}']
    assert committer.waiting == 0


async def test_stop_finishes_what_was_accepted_and_accepts_no_more(office: Office) -> None:
    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    calls = [asyncio.ensure_future(committer.append(text_entry(room, anna, ulid(), str(n)))) for n in range(1000)]
    await asyncio.sleep(0)
    await committer.stop()
    assert all(call.done() for call in calls)
    assert len(await office.texts(room)) == 1000
    with pytest.raises(Unavailable) as caught:
        await committer.append(text_entry(room, anna, ulid(), "too late"))
    assert caught.value.code == "draining"


async def test_changes_and_messages_keep_their_order(office: Office) -> None:
    """Within one batch: what bert says before he is removed is written, what he says after it is not."""
    committer = await office.make(publisher=(publisher := Recorder()))
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    publisher.calls.clear()
    before = asyncio.ensure_future(committer.append(text_entry(room, bert, ulid(), "before")))
    remove = asyncio.ensure_future(committer.change(membership.RemoveMember(room, anna, IDS, CLOCK.now(), bert)))
    after = asyncio.ensure_future(committer.append(text_entry(room, bert, ulid(), "after")))
    last = asyncio.ensure_future(committer.append(text_entry(room, anna, ulid(), "last")))
    assert isinstance(await outcome(before), Ack)
    await remove
    assert await outcome(after) == "not_found"
    assert (await last).offset == 4
    told = [(call[0], call[1].kind if call[0] == "publish" else call[2]) for call in publisher.calls]
    assert told == [
        ("publish", "text"),
        ("revoke", bert),
        ("publish", "member.removed"),
        ("publish", "membership.removed"),
        ("publish", "text"),
    ]
    await office.check(room)


async def test_the_personal_channel_is_gapless_too(office: Office) -> None:
    committer = await office.make(publisher=(publisher := Recorder()))
    anna, bert, *_ = office.people
    rooms = await asyncio.gather(*(office.room(anna, bert, committer=committer) for _ in range(40)))
    for room in rooms[:10]:
        await committer.change(membership.Leave(room, bert, IDS, CLOCK.now()))
    (person,) = await office.fetch("SELECT number, head FROM person WHERE id = $1", bert)
    log = await office.migrated.pool.read(lambda tx: personal.records_after(tx, bert, person["number"], 0, 100))
    assert [record.offset for record in log] == list(range(1, 51)) == list(range(1, person["head"] + 1))
    assert [record.kind for record in log] == ["membership.added"] * 40 + ["membership.removed"] * 10
    assert publisher.records(person["number"]) == log


async def test_a_batch_holds_few_changes_so_that_messages_need_not_wait_for_many(office: Office) -> None:
    committer = await office.make(bounds=Bounds(batch_changes=2))
    anna, bert, *_ = office.people
    order: list[str] = []

    async def note(name: str, call: asyncio.Future[object]) -> None:
        await call
        order.append(name)

    room = await office.room(anna, bert, committer=committer)
    calls = [note("room", asyncio.ensure_future(office.room(anna, bert, committer=committer))) for _ in range(4)]
    calls.append(note("text", asyncio.ensure_future(committer.append(text_entry(room, anna, ulid(), "x")))))
    await asyncio.gather(*calls)
    assert order == ["room"] * 4 + ["text"], "nothing overtakes"
    assert await committer.check() is None


async def test_a_publisher_that_raises_stops_everything_loudly(office: Office) -> None:
    class Broken(Recorder):
        def publish(self, *_: object, **__: object) -> None:
            raise ZeroDivisionError

    committer = await office.make()
    anna, bert, *_ = office.people
    room = await office.room(anna, bert, committer=committer)
    broken = await office.make(publisher=Broken())
    for _ in itertools.repeat(None, 2):
        with pytest.raises(Unavailable):
            await broken.append(text_entry(room, anna, ulid(), "x"))
    assert "ZeroDivisionError" in (await broken.check() or "")
