"""Who decides on what was held, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from court import Court
from town import IDS

from chiron.errors import Refused
from chiron.server.moderation import store
from chiron.server.moderation.model import Choice, Decision
from chiron.server.ports import VERDICTS


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code


async def read(court: Court, reader: int, number: int) -> list[tuple[str, bytes]]:
    """(kind, body) of all that somebody may read of the conversations that they are in."""
    person = court.town.people[reader]
    found = []
    for conversation in (await court.town.chat.conversations(person, None, 50)).items:
        page = await court.town.chat.history(person, conversation.id, after=0, before=None, limit=100)
        found += [(record.kind, record.body) for record in page.records if record.kind != "member.added"]
    return found[:number]


async def test_moderators_are_who_was_granted_it(court: Court) -> None:
    people, database = court.town.people, court.town.database
    await court.moderation.must_be_moderator(people[0])
    assert await refusal(court.moderation.must_be_moderator(people[2])) == "forbidden"
    assert await database.run(lambda tx: store.revoke(tx, people[0]))
    assert not await database.run(lambda tx: store.revoke(tx, people[0]))
    assert await refusal(court.moderation.must_be_moderator(people[0])) == "forbidden"
    assert [person for person, _ in await database.read(store.moderators)] == [people[1]]


async def test_what_waits_is_listed_the_oldest_first_with_what_was_said_and_by_whom(court: Court) -> None:
    acks = [await court.hold(2, f"held words {index}") for index in range(3)]
    moderator = court.town.people[0]
    first = await court.moderation.held(moderator, None, 2)
    assert first.next is not None
    second = await court.moderation.held(moderator, first.next, 2)
    listed = [*first.items, *second.items]
    assert second.next is None
    assert [held.message for held in listed] == [ack.message for ack in acks]
    assert [(held.text, held.name, held.kind) for held in listed] == [
        (f"held words {index}", "Person 2", "group") for index in range(3)
    ]
    assert await refusal(court.moderation.held(moderator, first.next[:-2], 2)) == "invalid"
    assert await refusal(court.moderation.held(court.town.people[1], first.next, 2)) == "invalid"


async def test_what_is_released_is_read_by_everybody_and_waits_no_more(court: Court) -> None:
    ack = await court.hold(2)
    moderator = court.town.people[0]
    assert await read(court, 3, 2) == [("text", b"{}")]
    decided = await court.moderation.decide(moderator, ack.message, "release")
    assert (decided.message, decided.decision) == (ack.message, "release")
    [(_, first), (kind, _)] = await read(court, 3, 2)
    assert (first, kind) == (b'{"text":"held words"}', "message.decided")
    assert (await court.moderation.held(moderator, None, 10)).items == []
    (row,) = await court.town.fetch("SELECT * FROM finding")
    assert (row["decision"], row["decided_by"]) == ("release", moderator)


async def test_what_is_refused_stays_unread(court: Court) -> None:
    ack = await court.hold(2)
    await court.moderation.decide(court.town.people[0], ack.message, "refuse")
    assert (await read(court, 3, 1)) == [("text", b"{}")]
    assert (await read(court, 2, 1)) == [("text", b'{"text":"held words"}')]


async def test_nobody_decides_on_a_message_of_their_own_nor_sees_its_scores(court: Court) -> None:
    ack = await court.hold(0)
    moderator, other = court.town.people[:2]
    assert (await court.moderation.held(moderator, None, 10)).items == []
    assert await refusal(court.moderation.decide(moderator, ack.message, "release")) == "forbidden"
    assert [held.message for held in (await court.moderation.held(other, None, 10)).items] == [ack.message]
    await court.moderation.decide(other, ack.message, "release")
    assert await refusal(court.moderation.decide(moderator, ack.message, "release")) == "forbidden"


async def test_the_same_decision_again_changes_nothing_and_another_one_is_refused(court: Court) -> None:
    ack = await court.hold(2)
    moderator, other = court.town.people[:2]
    first = await court.moderation.decide(moderator, ack.message, "refuse")
    assert await court.moderation.decide(moderator, ack.message, "refuse") == first
    assert await court.moderation.decide(other, ack.message, "refuse") == first
    assert await refusal(court.moderation.decide(other, ack.message, "release")) == "already_decided"


async def test_of_two_who_decide_at_once_one_does(court: Court) -> None:
    ack = await court.hold(2)
    choices: list[tuple[int, Choice]] = [(0, "release"), (1, "refuse"), (1, "release"), (0, "release")]
    calls = [
        court.moderation.decide(court.town.people[moderator], ack.message, decision) for moderator, decision in choices
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, Decision)]
    refused = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert len({decision.decision for decision in made}) == 1
    assert refused == ["already_decided"] * (4 - len(made))
    rows = await court.town.fetch("SELECT FROM message WHERE kind = 'message.decided'")
    assert len(rows) == 1


async def test_who_was_a_moderator_when_they_asked_and_is_none_now_decides_nothing(court: Court) -> None:
    ack = await court.hold(2)
    moderator = court.town.people[0]
    await court.town.database.run(lambda tx: store.revoke(tx, moderator))
    assert await refusal(court.moderation.decide(moderator, ack.message, "release")) == "forbidden"
    assert (await read(court, 3, 1)) == [("text", b"{}")]


@pytest.mark.parametrize("text", ["flagged words", "shadow held words", "fine"])
async def test_only_what_is_held_is_decided(court: Court, text: str) -> None:
    ack = await court.hold(2, text)
    assert await refusal(court.moderation.decide(court.town.people[0], ack.message, "release")) == "not_found"
    assert await refusal(court.moderation.decide(court.town.people[0], IDS.new(), "release")) == "not_found"
    assert (await court.moderation.held(court.town.people[0], None, 10)).items == []


async def test_the_table_takes_the_verdicts_that_there_are(court: Court) -> None:
    checks = await court.town.fetch(
        "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conrelid = 'finding'::regclass"
    )
    said = " ".join(check["said"] for check in checks)
    assert all(f"'{verdict}'" in said for verdict in VERDICTS)
