"""What people can do with conversations, and what they cannot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from uuid import UUID

import pytest
from town import CLOCK, IDS, Town, principal, register, ulid

from chiron.errors import ChironError, Refused
from chiron.server.chat import model
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Draft


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code


def who(person: UUID) -> model.Who:
    return model.Who(person=person)


async def kinds(town: Town, conversation: UUID, person: UUID) -> list[str]:
    page = await town.chat.history(person, conversation, after=0, before=None, limit=100)
    return [record.kind for record in page.records]


# --- creating ---------------------------------------------------------------------------------------------------------


async def test_a_direct_conversation_exists_once_whoever_asks(town: Town) -> None:
    anna, bert, *_ = town.people
    first, created = await town.chat.create(anna, model.Create(kind="direct", people=[who(bert)]))
    again, created_again = await town.chat.create(
        bert, model.Create(kind="direct", people=[model.Who(email="person0@example.org")])
    )
    assert (created, created_again) == (True, False)
    assert again.id == first.id
    assert first.peer == model.Peer(bert, "Person 1")
    assert again.peer == model.Peer(anna, "Person 0")
    assert (first.kind, first.members, first.head, first.role, first.last) == ("direct", 2, 0, "member", None)


async def test_times_of_conversations_members_and_messages_are_in_milliseconds(town: Town) -> None:
    before = milliseconds(CLOCK.now())
    group = await town.group(0, 1)
    ack = await town.say(0, group.id, "hello")
    (member, _) = (await town.chat.members(town.people[0], group.id, None, 10)).items
    seen = await town.chat.open(town.people[0], group.id)
    assert seen.last is not None
    times = [before, seen.created_at, member.joined_at, milliseconds(ack.time), milliseconds(CLOCK.now())]
    assert times == sorted(times)
    assert seen.last.time == milliseconds(ack.time)
    (row,) = await town.fetch("SELECT created_at FROM conversation WHERE id = $1", group.id)
    assert seen.created_at == milliseconds(row["created_at"])


async def test_a_group_tells_who_was_added_and_nothing_is_unread(town: Town) -> None:
    group = await town.group(0, 1, 2, title="  Mentors ")
    assert (group.title, group.role, group.members, group.head, group.ordinal, group.unread) == (
        "Mentors",
        "owner",
        3,
        2,
        0,
        0,
    )
    page = await town.chat.history(town.people[1], group.id, after=0, before=None, limit=10)
    assert [json.loads(record.body) for record in page.records] == [
        {"person": str(town.people[n]), "name": f"Person {n}", "by": str(town.people[0])} for n in (1, 2)
    ]
    assert [record.client_id for record in page.records] == [None, None]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (model.Create(kind="direct", people=[]), "invalid"),
        (model.Create(kind="direct", people=[model.Who(email="person0@example.org")]), "invalid"),
        (model.Create(kind="direct", people=[model.Who(email=f"person{n}@example.org") for n in (1, 2)]), "invalid"),
        (model.Create(kind="direct", people=[model.Who(email="nobody@example.org")]), "person_unknown"),
        (model.Create(kind="direct", people=[model.Who(person=UUID(int=5))]), "not_found"),
        (model.Create(kind="group", people=[], title="   "), "invalid"),
        (model.Create(kind="group", people=[], title="x" * 121), "invalid"),
        (model.Create(kind="group", people=[], title="a\x07b"), "invalid"),
        (model.Create(kind="group", people=[model.Who(email="nobody@example.org")], title="x"), "person_unknown"),
    ],
)
async def test_what_cannot_be_created_is_refused(town: Town, wanted: model.Create, code: str) -> None:
    assert await refusal(town.chat.create(town.people[0], wanted)) == code
    assert await town.fetch("SELECT FROM conversation") == []


async def test_naming_somebody_twice_or_oneself_adds_them_once(town: Town) -> None:
    anna, bert, *_ = town.people
    group, _ = await town.chat.create(
        anna, model.Create(kind="group", title="x", people=[who(bert), who(anna), who(bert)])
    )
    assert group.members == 2


async def test_a_group_holds_a_thousand_and_no_more(town: Town) -> None:
    crowd = await register(town.database, 999)
    wanted = model.Create(kind="group", title="Everybody", people=[who(person) for person in crowd])
    group, _ = await town.chat.create(town.people[0], wanted)
    assert group.members == 1000
    assert await refusal(town.chat.add(town.people[0], group.id, who(town.people[1]))) == "invalid"
    too_many = model.Create(kind="group", title="x", people=[*wanted.people, who(town.people[1])])
    assert await refusal(town.chat.create(town.people[0], too_many)) == "invalid"


# --- members ----------------------------------------------------------------------------------------------------------


async def test_only_the_owner_adds_and_removes(town: Town) -> None:
    anna, bert, carl, dora, _ = town.people
    group = await town.group(0, 1, 2)
    assert await refusal(town.chat.add(bert, group.id, who(dora))) == "forbidden"
    assert await refusal(town.chat.remove(bert, group.id, carl)) == "forbidden"
    assert await refusal(town.chat.add(dora, group.id, who(dora))) == "not_found"
    assert await refusal(town.chat.add(anna, group.id, who(bert))) == "already_member"
    assert await refusal(town.chat.remove(anna, group.id, dora)) == "not_found"
    member = await town.chat.add(anna, group.id, model.Who(email="person3@example.org"))
    assert (member.person, member.name, member.role) == (dora, "Person 3", "member")
    await town.chat.remove(anna, group.id, carl)
    assert await refusal(town.chat.open(carl, group.id)) == "not_found"
    assert (await kinds(town, group.id, anna))[-2:] == ["member.added", "member.removed"]


async def test_members_of_a_direct_conversation_are_fixed(town: Town) -> None:
    anna, bert, carl, *_ = town.people
    direct = await town.direct(0, 1)
    assert await refusal(town.chat.add(anna, direct.id, who(carl))) == "direct_fixed"
    assert await refusal(town.chat.remove(anna, direct.id, bert)) == "direct_fixed"
    assert await refusal(town.chat.leave(anna, direct.id)) == "direct_fixed"
    assert await refusal(town.chat.leave(carl, direct.id)) == "not_found"


async def test_when_the_owner_leaves_the_longest_standing_member_owns(town: Town) -> None:
    anna, bert, carl, *_ = town.people
    group = await town.group(0, 1, 2)
    await town.chat.remove(anna, group.id, anna)
    page = await town.chat.history(bert, group.id, after=None, before=None, limit=1)
    assert json.loads(page.records[0].body) == {"person": str(anna), "owner": str(bert)}
    assert (await town.chat.open(bert, group.id)).role == "owner"
    await town.chat.leave(bert, group.id)
    await town.chat.leave(carl, group.id)
    (row,) = await town.fetch("SELECT members FROM conversation WHERE id = $1", group.id)
    assert row["members"] == 0


async def test_who_returns_sees_what_comes_from_then_on(town: Town) -> None:
    anna, bert, *_ = town.people
    group = await town.group(0, 1)
    await town.say(0, group.id, "heard")
    await town.chat.leave(bert, group.id)
    await town.say(0, group.id, "missed")
    await town.chat.add(anna, group.id, who(bert))
    opened = await town.chat.open(bert, group.id)
    assert (opened.floor, opened.head, opened.unread, opened.role) == (4, 5, 0, "member")
    await town.say(0, group.id, "welcome back")
    assert await kinds(town, group.id, bert) == ["member.added", "text"]
    page = await town.chat.history(bert, group.id, after=None, before=6, limit=100)
    assert [record.offset for record in page.records] == [5]
    assert not page.more
    assert (await town.chat.open(bert, group.id)).unread == 1


async def test_a_former_member_reads_and_writes_nothing(town: Town) -> None:
    anna, bert, *_ = town.people
    group = await town.group(0, 1)
    await town.say(1, group.id, "hello")
    await town.chat.remove(anna, group.id, bert)
    assert await refusal(town.chat.history(bert, group.id, after=0, before=None, limit=10)) == "not_found"
    assert await refusal(town.chat.view(bert, group.id)) == "not_found"
    assert await refusal(town.chat.members(bert, group.id, None, 10)) == "not_found"
    assert await refusal(town.say(1, group.id, "still here?")) == "not_found"
    assert (await town.chat.conversations(bert, None, 10)).items == []


async def test_removal_is_told_to_the_person_and_ends_their_attachments(town: Town) -> None:
    anna, bert, *_ = town.people
    group = await town.group(0, 1)
    (person,) = await town.fetch("SELECT number FROM person WHERE id = $1", bert)
    town.publisher.calls.clear()
    await town.chat.remove(anna, group.id, bert)
    await town.say(0, group.id, "he is gone")
    durable = [call for call in town.publisher.calls if call[0] in ("publish", "revoke")]
    assert durable[0] == ("revoke", group.number, bert)
    assert [call[1].kind for call in durable[1:]] == ["member.removed", "membership.removed", "text"]
    notice = durable[2][1]
    assert (notice.number, notice.offset, notice.author) == (person["number"], 2, bert)
    assert json.loads(notice.body) == {"conversation": str(group.id), "number": group.number}


# --- lists ------------------------------------------------------------------------------------------------------------


async def test_conversations_are_listed_newest_first_page_by_page(town: Town) -> None:
    anna, bert, *_ = town.people
    made = [(await town.group(0, 1, title=f"Group {n}")).id for n in range(7)]
    await town.group(1, 2, title="not of anna")
    seen: list[UUID] = []
    cursor = None
    for expected in (3, 3, 1):
        page = await town.chat.conversations(anna, cursor, 3)
        assert len(page.items) == expected
        seen += [conversation.id for conversation in page.items]
        cursor = page.next
    assert cursor is None
    assert seen == made[::-1]
    of_anna = (await town.chat.conversations(anna, None, 3)).next
    assert await refusal(town.chat.conversations(bert, of_anna, 3)) == "invalid", "a cursor is its owner's own"


async def test_a_list_shows_head_unread_peer_and_the_newest_record(town: Town) -> None:
    _, bert, *_ = town.people
    direct = await town.direct(0, 1)
    await town.say(0, direct.id, "one")
    ack = await town.say(0, direct.id, "é" * 300)
    (seen,) = (await town.chat.conversations(bert, None, 10)).items
    assert (seen.head, seen.ordinal, seen.unread, seen.received, seen.read) == (2, 2, 2, 0, 0)
    assert seen.peer == model.Peer(town.people[0], "Person 0")
    assert seen.last == model.Last(2, town.people[0], "text", milliseconds(ack.time), "é" * 200)


async def test_members_are_listed_page_by_page(town: Town) -> None:
    group = await town.group(0, 1, 2, 3)
    await town.chat.leave(town.people[2], group.id)
    first = await town.chat.members(town.people[1], group.id, None, 2)
    rest = await town.chat.members(town.people[1], group.id, first.next, 2)
    assert [member.person for member in (*first.items, *rest.items)] == [town.people[n] for n in (0, 1, 3)]
    assert [member.name for member in rest.items] == ["Person 3"]
    assert rest.next is None
    assert await refusal(town.chat.members(town.people[4], group.id, None, 2)) == "not_found"


# --- history ----------------------------------------------------------------------------------------------------------


async def test_history_reads_both_ways_and_says_whether_there_is_more(town: Town) -> None:
    anna, *_ = town.people
    direct = await town.direct(0, 1)
    await asyncio.gather(*(town.say(n % 2, direct.id, str(n)) for n in range(10)))

    async def offsets(after: int | None, before: int | None, limit: int) -> tuple[list[int], bool]:
        page = await town.chat.history(anna, direct.id, after=after, before=before, limit=limit)
        assert (page.view.head, page.view.floor, page.view.number) == (10, 0, direct.number)
        return [record.offset for record in page.records], page.more

    assert await offsets(0, None, 4) == ([1, 2, 3, 4], True)
    assert await offsets(6, None, 4) == ([7, 8, 9, 10], False)
    assert await offsets(10, None, 4) == ([], False)
    assert await offsets(99, None, 4) == ([], False)
    assert await offsets(None, None, 4) == ([7, 8, 9, 10], True)
    assert await offsets(None, 7, 4) == ([3, 4, 5, 6], True)
    assert await offsets(None, 5, 4) == ([1, 2, 3, 4], False)
    assert await offsets(None, 1, 4) == ([], False)
    assert await refusal(town.chat.history(anna, direct.id, after=1, before=2, limit=4)) == "invalid"


async def test_a_message_comes_back_as_it_was_sent(town: Town) -> None:
    anna, bert, *_ = town.people
    direct = await town.direct(0, 1)
    text = 'Grüße 👩‍🏫 \u202e\u200b\r\n\t\\u0000 "quoted" </script> \U0010ffff'
    ref, client_id = IDS.new(), ulid()
    body = json.dumps({"text": text}).encode()
    ack = await town.chat.publish(Draft(principal(anna), direct.id, client_id, "text", body, ref=ref))
    (record,) = (await town.chat.history(bert, direct.id, after=0, before=None, limit=10)).records
    assert json.loads(record.body) == {"text": text}
    assert (record.message, record.offset, record.ordinal, record.time) == (
        ack.message,
        ack.offset,
        ack.ordinal,
        ack.time,
    )
    assert (record.author, record.kind, record.ref, record.client_id, record.verdict) == (
        anna,
        "text",
        ref,
        client_id,
        None,
    )
    assert record == town.publisher.records(direct.number)[0], "delivered as it is read"


async def test_another_ref_is_another_message(town: Town) -> None:
    direct = await town.direct(0, 1)
    client_id = ulid()
    await town.say(0, direct.id, "hi", client_id=client_id)
    answer = Draft(principal(town.people[0]), direct.id, client_id, "text", b'{"text":"hi"}', ref=IDS.new())
    assert await refusal(town.chat.publish(answer)) == "client_id_reused"


async def test_bad_drafts_are_refused_before_they_wait(town: Town) -> None:
    direct = await town.direct(0, 1)
    anna = principal(town.people[0])
    for draft in (
        Draft(anna, direct.id, "short", "text", b'{"text":"hi"}'),
        Draft(anna, direct.id, ulid(), "member.added", b'{"text":"hi"}'),
        Draft(anna, direct.id, ulid(), "text", b'{"text":""}'),
    ):
        assert await refusal(town.chat.publish(draft)) == "invalid"
    assert await town.fetch("SELECT FROM message") == []


# --- life -------------------------------------------------------------------------------------------------------------


async def test_after_stop_nothing_is_accepted(town: Town) -> None:
    direct = await town.direct(0, 1)
    await town.chat.stop()
    with pytest.raises(ChironError) as caught:
        await town.say(0, direct.id, "late")
    assert caught.value.code == "draining"
    assert await town.chat.check() is None
