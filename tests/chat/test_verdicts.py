"""What a verdict does to a message: who reads it, what counts, and what is decided on it later."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from town import CLOCK, IDS, Office, Town, Words, eventually, text_entry, ulid

from chiron.errors import Refused
from chiron.server.chat import bodies
from chiron.server.chat.batch import Executed, Outcome
from chiron.server.ports import ALLOWED, Ack, Judgement, Judgements, Record, Tx

HELD = Judgements(*(Judgement("hold", "hold", ("abuse",)),) * 2)
BLOCKED = Judgements(*(Judgement("block", "block", ("threat",)),) * 2)


async def slot(town: Town, reader: int, conversation: UUID, offset: int) -> tuple[Any, str | None]:
    """(body, verdict) of an offset, the same whichever way it is read."""
    found = []
    for after, before in ((offset - 1, None), (None, offset + 1)):
        page = await town.chat.history(town.people[reader], conversation, after=after, before=before, limit=1)
        found.append(page.records[0])
    assert found[0] == found[1]
    assert found[0].offset == offset
    return json.loads(found[0].body), found[0].verdict


async def unread(town: Town, reader: int, conversation: UUID) -> int:
    return (await town.chat.open(town.people[reader], conversation)).unread


# --- held -------------------------------------------------------------------------------------------------------------


async def test_a_held_message_is_its_authors_alone_and_takes_its_offset(town: Town) -> None:
    group = await town.group(0, 1, 2)
    ack = await town.say(0, group.id, "held words")
    assert (ack.verdict, ack.offset, ack.ordinal) == ("hold", group.head + 1, group.ordinal)
    assert await slot(town, 0, group.id, ack.offset) == ({"text": "held words"}, "hold")
    assert await slot(town, 1, group.id, ack.offset) == ({}, "hold")
    after = await town.say(1, group.id, "fine")
    assert (after.offset, after.ordinal, after.verdict) == (ack.offset + 1, group.ordinal + 1, None)


async def test_what_is_redacted_says_neither_what_was_said_nor_about_what(town: Town) -> None:
    group = await town.group(0, 1)
    first = await town.say(1, group.id, "fine")
    ack = await town.say(0, group.id, "held words")
    page = await town.chat.history(town.people[1], group.id, after=first.offset, before=None, limit=10)
    (seen,) = page.records
    assert seen == Record(
        number=group.number,
        offset=ack.offset,
        message=ack.message,
        ordinal=ack.ordinal,
        time=ack.time,
        author=town.people[0],
        kind="text",
        body=b"{}",
        verdict="hold",
    )


async def test_a_held_message_is_not_unread_and_still_moves_its_authors_own_read(town: Town) -> None:
    group = await town.group(0, 1)
    await town.say(1, group.id, "fine")
    assert await unread(town, 0, group.id) == 1
    ack = await town.say(0, group.id, "held words")
    assert [await unread(town, reader, group.id) for reader in (0, 1)] == [0, 0]
    assert (await town.chat.open(town.people[0], group.id)).read == ack.offset


async def test_lists_and_heads_show_the_text_of_a_held_message_to_its_author_alone(town: Town) -> None:
    group = await town.group(0, 1)
    town.publisher.calls.clear()
    await town.say(0, group.id, "held words")
    await eventually(lambda: len(town.publisher.told(town.people[1])) > 0, "a head")
    await eventually(lambda: len(town.publisher.told(town.people[0])) > 0, "a head")
    for reader, text in ((0, "held words"), (1, "")):
        person = town.people[reader]
        (listed,) = (await town.chat.conversations(person, None, 10)).items
        opened = await town.chat.open(person, group.id)
        assert listed.last is not None
        assert listed.last == opened.last
        told = town.publisher.told(person)[-1]["last"]
        assert (listed.last.text, listed.last.verdict) == (told["text"], told["verdict"]) == (text, "hold")


async def test_listeners_of_the_server_hear_no_held_words(town: Town) -> None:
    group = await town.group(0, 1)
    town.heard.clear()
    ack = await town.say(0, group.id, "held words")
    assert [(record.offset, record.body) for _, record in town.heard] == [(ack.offset, b"{}")]


async def test_a_repeat_of_a_held_message_gets_the_first_ack_with_its_verdict(town: Town) -> None:
    group = await town.group(0, 1)
    client_id = ulid()
    first = await town.say(0, group.id, "held words", client_id=client_id)
    again = await town.say(0, group.id, "held words", client_id=client_id)
    assert again == Ack(first.message, first.offset, first.ordinal, first.time, True, "hold")
    await town.decide(group.id, first, release=True)
    assert (await town.say(0, group.id, "held words", client_id=client_id)).verdict == "hold"
    assert len(town.words.kept) == 1, "nothing is written down twice"


async def test_a_flagged_message_is_delivered_and_says_so(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "flagged words")
    assert ack.verdict == "flag"
    assert await slot(town, 1, group.id, ack.offset) == ({"text": "flagged words"}, "flag")
    assert await unread(town, 1, group.id) == 1
    last = (await town.chat.open(town.people[1], group.id)).last
    assert last is not None
    assert (last.text, last.verdict) == ("flagged words", None)


async def test_in_shadow_nothing_is_done_and_everything_is_written_down(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "shadow held words")
    assert ack.verdict is None
    assert await slot(town, 1, group.id, ack.offset) == ({"text": "shadow held words"}, None)
    (kept,) = town.words.kept
    assert (kept.message, kept.judgement.verdict, kept.judgement.done) == (ack.message, "hold", "allow")


async def test_the_kind_of_the_conversation_decides(town: Town) -> None:
    group, direct = await town.group(0, 1), await town.direct(0, 1)
    assert (await town.say(0, group.id, "group words")).verdict == "hold"
    assert (await town.say(0, direct.id, "group words")).verdict is None
    assert [(kept.kind, kept.conversation) for kept in town.words.kept] == [("group", group.id)]
    counted = town.chat.committer.screened
    assert (counted["group", "hold", "hold"], counted["direct", "allow", "allow"]) == (1, 1)


# --- blocked ----------------------------------------------------------------------------------------------------------


async def test_a_blocked_message_leaves_no_trace_in_the_log(town: Town) -> None:
    group = await town.group(0, 1)
    with pytest.raises(Refused) as caught:
        await town.say(0, group.id, "blocked words")
    assert (caught.value.code, caught.value.params) == ("blocked", {"reasons": ["abuse"]})
    after = await town.say(0, group.id, "fine")
    assert after.offset == group.head + 1, "no offset is missing"
    (kept,) = town.words.kept
    assert (kept.offset, kept.sender, kept.judgement.done) == (None, town.people[0], "block")
    (row,) = await town.fetch("SELECT * FROM finding")
    assert (row["message"], row["offset"]) == (kept.message, None)


async def test_who_is_no_member_is_told_nothing_by_a_verdict(town: Town) -> None:
    group = await town.group(0, 1)
    with pytest.raises(Refused) as caught:
        await town.say(3, group.id, "blocked words")
    assert caught.value.code == "not_found"
    assert town.words.kept == []


async def test_a_message_that_was_written_is_acknowledged_whatever_its_repeat_is_judged_now(office: Office) -> None:
    committer = await office.make()
    room = await office.room(*office.people[:2], committer=committer)
    entry = text_entry(room, office.people[0], ulid(), "fine")
    first = await committer.append(entry)
    again = await committer.append(_judged(entry, BLOCKED))
    assert (again.offset, again.duplicate, again.verdict) == (first.offset, True, None)


async def test_of_one_batch_each_message_gets_what_is_its_own(office: Office) -> None:
    words = Words()
    committer = await office.make(screening=words)
    room = await office.room(*office.people[:2], committer=committer)
    entries = [text_entry(room, office.people[0], ulid(), "text") for _ in range(9)]
    verdicts = [ALLOWED, HELD, BLOCKED] * 3
    calls = [asyncio.ensure_future(committer.append(_judged(*pair))) for pair in zip(entries, verdicts, strict=True)]
    answers = [await answer(call) for call in calls]
    assert [got.verdict if isinstance(got, Ack) else got for got in answers] == [None, "hold", "blocked"] * 3
    acks = [got for got in answers if isinstance(got, Ack)]
    assert [ack.offset - acks[0].offset for ack in acks] == list(range(6))
    assert [ack.ordinal for ack in acks] == [1, 1, 2, 2, 3, 3]
    assert [kept.judgement.done for kept in words.kept] == ["hold", "block"] * 3


async def test_an_interrupted_commit_of_nothing_but_a_block_is_looked_for_by_what_was_kept(office: Office) -> None:
    words = Words()
    committer = await office.make(screening=words)
    room = await office.room(*office.people[:2], committer=committer)
    assert (
        await answer(committer.append(_judged(text_entry(room, office.people[0], ulid(), "x"), BLOCKED))) == "blocked"
    )
    (kept,) = words.kept

    async def landed(tx: Tx) -> bool:
        found: Any = None
        executed = Executed(words, [Outcome(found, finding=kept)])
        return await executed.has_landed(tx)

    assert await office.migrated.pool.read(landed)
    await office.migrated.pool.run(lambda tx: tx.execute("DELETE FROM finding"))
    assert not await office.migrated.pool.read(landed)


# --- decided ----------------------------------------------------------------------------------------------------------


async def test_a_released_message_is_read_in_both_places_and_is_unread_from_then_on(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "held words")
    await town.say(0, group.id, "fine")
    offset = await town.decide(group.id, ack, release=True)
    assert offset == ack.offset + 2
    assert await slot(town, 1, group.id, offset) == (
        {
            "message": str(ack.message),
            "offset": ack.offset,
            "verdict": "allow",
            "body": {"text": "held words"},
        },
        None,
    )
    for reader in (0, 1):
        assert await slot(town, reader, group.id, ack.offset) == ({"text": "held words"}, None)
    assert await unread(town, 1, group.id) == 2
    last = (await town.chat.open(town.people[1], group.id)).last
    assert last is not None
    assert (last.kind, last.text) == ("message.decided", "held words")
    assert town.heard[-1][1].kind == "message.decided"


async def test_a_release_is_nothing_that_its_author_has_read(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "held words")
    await town.say(1, group.id, "fine")
    await town.decide(group.id, ack, release=True)
    assert (await town.chat.open(town.people[0], group.id)).read == ack.offset
    assert await unread(town, 0, group.id) == 2


async def test_a_refused_message_stays_its_authors_alone(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "held words")
    offset = await town.decide(group.id, ack, release=False)
    decided = {"message": str(ack.message), "offset": ack.offset, "verdict": "block"}
    for reader, body in ((0, {"text": "held words"}), (1, {})):
        assert await slot(town, reader, group.id, ack.offset) == (body, "block")
        assert await slot(town, reader, group.id, offset) == (decided, None)
    assert await unread(town, 1, group.id) == 0


async def test_a_decision_is_a_record_of_the_author_and_names_nobody_else(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "held words")
    await town.decide(group.id, ack, release=True)
    decided = town.publisher.records(group.number)[-1]
    assert (decided.kind, decided.author, decided.ref, decided.client_id) == (
        "message.decided",
        town.people[0],
        ack.message,
        None,
    )


@pytest.mark.parametrize("release", [True, False])
async def test_a_message_is_decided_once(town: Town, release: bool) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "held words")
    head = await town.decide(group.id, ack, release=release)
    for again in (True, False):
        with pytest.raises(Refused) as caught:
            await town.decide(group.id, ack, release=again)
        assert caught.value.code == "not_found"
    assert (await town.chat.open(town.people[0], group.id)).head == head


async def test_what_is_not_held_is_not_decided(town: Town) -> None:
    group, other = await town.group(0, 1), await town.group(0, 1)
    fine = await town.say(0, group.id, "flagged words")
    held = await town.say(0, other.id, "held words")
    for conversation, ack in ((group.id, fine), (group.id, held), (IDS.new(), held)):
        with pytest.raises(Refused) as caught:
            await town.decide(conversation, ack, release=True)
        assert caught.value.code == "not_found"


async def test_what_its_keeper_refuses_is_not_decided(town: Town) -> None:
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "held words")

    async def note(_: Tx) -> None:
        raise Refused("forbidden")

    with pytest.raises(Refused):
        await town.chat.decide(group.id, ack.message, ack.offset, release=True, now=CLOCK.now(), note=note)
    assert await slot(town, 1, group.id, ack.offset) == ({}, "hold")


async def test_texts_of_held_messages_are_found_by_their_places(town: Town) -> None:
    group, direct = await town.group(0, 1), await town.direct(0, 1)
    one, other = await town.say(0, group.id, "held words"), await town.say(1, direct.id, "held too")
    places = [(group.id, one.offset), (direct.id, other.offset)]
    found = await town.database.read(lambda tx: town.chat.texts(tx, places))
    assert found == {one.message: "held words", other.message: "held too"}


def test_a_refusal_is_told_without_a_body() -> None:
    told = bodies.encode(bodies.Decided(UUID(int=1), 7, "block"))
    assert json.loads(told) == {"message": str(UUID(int=1)), "offset": 7, "verdict": "block"}


def _judged(entry: Any, judgements: Judgements) -> Any:
    return msgspec.structs.replace(entry, judgements=judgements)


async def answer(call: Any) -> Ack | str:
    try:
        got: Ack = await call
    except Refused as error:
        return error.code
    return got
