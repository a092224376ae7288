"""Watermarks and what members are told of heads and unread counts."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from database import MigratedDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from town import CLOCK, Town, eventually, register

from chiron.errors import Refused
from chiron.server.chat import model
from chiron.server.chat.watermarks import ANNOUNCED_TO
from chiron.server.platform.clock import milliseconds


async def mark(town: Town, who: int, conversation: model.Conversation, received: int | None, read: int | None) -> None:
    await town.chat.watermark(town.people[who], conversation.id, received=received, read=read)


async def marks(town: Town, who: int, conversation: model.Conversation) -> tuple[int, int, int]:
    """(received, read, unread)"""
    seen = await town.chat.open(town.people[who], conversation.id)
    return seen.received, seen.read, seen.unread


async def written(town: Town, who: int, conversation: model.Conversation, expected: tuple[int, int, int]) -> None:
    async with asyncio.timeout(10):
        while await marks(town, who, conversation) != expected:
            pass


async def test_reading_implies_receiving_and_neither_runs_ahead_or_falls(town: Town) -> None:
    direct = await town.direct(0, 1)
    for n in range(5):
        await town.say(0, direct.id, str(n))
    await mark(town, 1, direct, 2, None)
    await written(town, 1, direct, (2, 0, 5))
    await mark(town, 1, direct, None, 3)
    await written(town, 1, direct, (3, 3, 2))
    await mark(town, 1, direct, 1, 1)
    await mark(town, 1, direct, 4, 2)
    await written(town, 1, direct, (4, 3, 2))
    await mark(town, 1, direct, None, 2**53 - 1)
    await written(town, 1, direct, (5, 5, 0))


async def test_members_learn_who_has_read_and_the_reader_what_is_left(town: Town) -> None:
    direct = await town.direct(0, 1)
    for n in range(3):
        await town.say(0, direct.id, str(n))
    await eventually(lambda: any(head["unread"] == 3 for head in town.publisher.told(town.people[1])), "unread 3")
    await mark(town, 1, direct, None, 2)
    event = {"person": str(town.people[1]), "received": 2, "read": 2}
    await eventually(lambda: event in town.publisher.events(direct.number), "the event")
    await eventually(lambda: town.publisher.told(town.people[1])[-1]["unread"] == 1, "unread 1 on other devices")
    assert town.publisher.told(town.people[1])[-1]["read"] == 2


async def test_every_member_is_told_the_head(town: Town) -> None:
    group = await town.group(0, 1, 2)
    ack = await town.say(0, group.id, "hello")
    for who, unread in ((0, 0), (1, 1), (2, 1)):
        person = town.people[who]
        await eventually(lambda person=person: [h["head"] for h in town.publisher.told(person)][-1:] == [3], "head")  # type: ignore[misc]
        head = town.publisher.told(person)[-1]
        assert head == {
            "conversation": str(group.id),
            "number": group.number,
            "head": 3,
            "ordinal": 1,
            "unread": unread,
            "received": 3 if who == 0 else 0,
            "read": 3 if who == 0 else 0,
            "last": {
                "offset": 3,
                "author": str(town.people[0]),
                "kind": "text",
                "time": milliseconds(ack.time),
                "text": "hello",
            },
        }
    assert {call[2:4] for call in town.publisher.calls if call[0] == "tell"} == {("head", str(group.id))}


async def test_a_busy_conversation_is_told_of_at_most_once_a_second(town: Town) -> None:
    direct = await town.direct(0, 1)
    begun = CLOCK.monotonic()
    for n in range(200):
        await town.say(0, direct.id, str(n))
    heads = town.publisher.told
    await eventually(lambda: [head["head"] for head in heads(town.people[1])][-1:] == [200], "the last head")
    seconds = CLOCK.monotonic() - begun
    assert len(town.publisher.told(town.people[1])) <= seconds + 2


async def test_from_outside_a_watermark_changes_nothing(town: Town) -> None:
    direct = await town.direct(0, 1)
    await town.say(0, direct.id, "x")
    await mark(town, 2, direct, 1, 1)
    await mark(town, 1, direct, 1, 1)
    await written(town, 1, direct, (1, 1, 0))
    assert {event["person"] for event in town.publisher.events(direct.number)} == {str(town.people[1])}


@pytest.mark.parametrize("offset", [-1, 2**53])
async def test_what_is_no_offset_is_refused(town: Town, offset: int) -> None:
    direct = await town.direct(0, 1)
    with pytest.raises(Refused, match="read"):
        await mark(town, 1, direct, None, offset)


async def test_a_member_row_that_is_locked_is_written_later(town: Town, database: MigratedDatabase) -> None:
    direct, other = await town.direct(0, 1), await town.direct(2, 1)
    for conversation, sender in ((direct, 0), (other, 2)):
        await town.say(sender, conversation.id, "x")
    holder = await asyncpg.connect(database.superuser_dsn)
    async with holder.transaction():
        await holder.execute("SELECT FROM member WHERE conversation = $1 FOR UPDATE", direct.id)
        await mark(town, 1, direct, 1, 1)
        await mark(town, 1, other, 1, 1)
        await written(town, 1, other, (1, 1, 0))
        assert await marks(town, 1, direct) == (0, 0, 1)
    await holder.close()
    await written(town, 1, direct, (1, 1, 0))


async def test_stop_writes_what_was_noted(town: Town) -> None:
    direct = await town.direct(0, 1)
    await town.say(0, direct.id, "x")
    await mark(town, 1, direct, 1, 1)
    await town.chat.stop()
    assert await marks(town, 1, direct) == (1, 1, 0)


async def test_a_crowd_is_not_told_who_has_read(town: Town) -> None:
    crowd = await register(town.database, ANNOUNCED_TO)
    wanted = model.Create(kind="group", title="Crowd", people=[model.Who(person=person) for person in crowd])
    group, _ = await town.chat.create(town.people[0], wanted)
    await town.say(0, group.id, "x")
    await town.chat.watermark(crowd[0], group.id, received=None, read=group.head)
    await eventually(lambda: any(h["read"] == group.head for h in town.publisher.told(crowd[0])), "the own head")
    assert town.publisher.events(group.number) == []


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.integers(0, 2), st.just(0)),
            st.tuples(st.just("read"), st.integers(0, 2), st.integers(0, 20)),
            st.tuples(st.just("received"), st.integers(0, 2), st.integers(0, 20)),
        ),
        max_size=25,
    )
)
async def test_unread_equals_a_recount(town: Town, history: list[tuple[str, int, int]]) -> None:
    group = await town.group(0, 1, 2)
    # A member who comes and goes puts records between the texts that do not count.
    comes_and_goes = model.Who(person=town.people[3])
    read = [0, 0, 0]
    texts: list[int] = []
    for number, (act, who, offset) in enumerate(history):
        if act == "say":
            ack = await town.say(who, group.id, "x")
            texts.append(ack.offset)
            read[who] = ack.offset
            if number % 3 == 0:
                await town.chat.add(town.people[0], group.id, comes_and_goes)
                await town.chat.leave(town.people[3], group.id)
        else:
            await mark(town, who, group, offset if act == "received" else None, offset if act == "read" else None)
            if act == "read":
                head = (await town.chat.open(town.people[0], group.id)).head
                read[who] = max(read[who], min(offset, head))
    await town.chat.stop()
    await town.chat.start()
    for who in range(3):
        seen = await town.chat.open(town.people[who], group.id)
        # What was noted early may be written late, when the head has grown: it may be higher then, never lower.
        assert seen.read >= read[who]
        assert seen.unread == sum(offset > seen.read for offset in texts)
        assert seen.received >= seen.read
