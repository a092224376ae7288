"""What realtime may ask of the two kinds of channels."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
from town import IDS, Town, principal, ulid

from chiron.errors import Refused
from chiron.server.chat.channels import ConversationChannels, PersonalChannels
from chiron.server.ports import ChannelAuthority, ChannelView, Draft


async def refusal(call: Awaitable[object]) -> tuple[str, dict[str, object]]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.params


async def test_a_conversation_is_seen_by_its_members(town: Town) -> None:
    channels: ChannelAuthority = ConversationChannels(town.chat)
    assert channels.kind == "conv"
    direct = await town.direct(0, 1)
    anna, carl = principal(town.people[0]), principal(town.people[2])
    ack = await channels.publish(Draft(anna, direct.id, ulid(), "text", b'{"text":"hi"}', link=3))
    assert await channels.view(anna, direct.id) == ChannelView(direct.number, head=1, floor=0)
    page = await channels.read(anna, direct.id, after=0, before=None, limit=10)
    assert [record.message for record in page.records] == [ack.message]
    assert (page.view.head, page.more) == (1, False)
    unknown = await refusal(channels.view(anna, IDS.new()))
    assert await refusal(channels.view(carl, direct.id)) == unknown, "not a member and not there look alike"
    assert await refusal(channels.read(carl, direct.id, after=0, before=None, limit=10)) == unknown
    await channels.watermark(principal(town.people[1]), direct.id, received=None, read=1)
    await town.chat.stop()
    assert (await town.chat.open(town.people[1], direct.id)).read == 1


async def test_a_personal_channel_is_its_persons_own(town: Town) -> None:
    channels: ChannelAuthority = PersonalChannels(town.database)
    assert channels.kind == "person"
    anna, bert = town.people[:2]
    groups = [await town.group(0, 1, title=str(n)) for n in range(5)]
    await town.chat.remove(anna, groups[0].id, bert)
    (row,) = await town.fetch("SELECT number FROM person WHERE id = $1", bert)
    me = principal(bert)
    assert await channels.view(me, bert) == ChannelView(row["number"], head=6, floor=0)
    page = await channels.read(me, bert, after=4, before=None, limit=10)
    assert [(record.offset, record.kind) for record in page.records] == [
        (5, "membership.added"),
        (6, "membership.removed"),
    ]
    older = await channels.read(me, bert, after=None, before=4, limit=2)
    assert ([record.offset for record in older.records], older.more) == ([2, 3], True)
    assert page.records == town.publisher.records(row["number"])[4:], "delivered as it is read"
    for call in (
        channels.view(principal(anna), bert),
        channels.view(me, IDS.new()),
        channels.read(principal(anna), bert, after=0, before=None, limit=1),
    ):
        assert await refusal(call) == ("not_found", {"what": "channel"})


async def test_nobody_publishes_or_marks_in_a_personal_channel(town: Town) -> None:
    channels = PersonalChannels(town.database)
    me = principal(town.people[0])
    draft = Draft(me, me.person, ulid(), "text", b'{"text":"note to myself"}')
    assert (await refusal(channels.publish(draft)))[0] == "forbidden"
    assert (await refusal(channels.watermark(me, me.person, received=1, read=1)))[0] == "forbidden"
