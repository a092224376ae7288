"""Routes and commands: that each has its rule, what rules refuse, and what handlers make of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import pytest
from town import Town, principal, ulid

from chiron.errors import Refused
from chiron.server.chat import model
from chiron.server.chat.api import ChatApi
from chiron.server.ports import Call, Command, Request, Response, Route


@pytest.fixture
def api(town: Town) -> ChatApi:
    return ChatApi(town.chat, "e1")


def over_http(town: Town, who: int, params: Mapping[str, Any], body: Any = None, query: Any = None) -> Call:
    request = Request("POST", "/", (), b"", "127.0.0.1")
    return Call(principal(town.people[who]), params, body, query, request)


def over_link(town: Town, who: int, params: msgspec.Struct) -> Call:
    return Call(principal(town.people[who]), msgspec.structs.asdict(params), params)


def offered(api: ChatApi) -> list[Route | Command]:
    return [*api.routes(), *api.commands()]


async def verdict(offer: Route | Command, town: Town, who: int, conversation: UUID) -> str:
    """What the rule says to a person who asks about a conversation."""
    if offer.rule.check is None:
        return "admitted"
    try:
        await offer.rule.check(principal(town.people[who]), {"conversation": conversation, "person": town.people[1]})
    except Refused as error:
        return error.code
    return "admitted"


async def test_every_offer_asks_for_a_person_and_those_about_a_conversation_for_more(api: ChatApi) -> None:
    for offer in offered(api):
        assert offer.rule.signed_in
        about_one = (
            "{conversation" in offer.path
            if isinstance(offer, Route)
            else offer.params
            not in (
                model.Create,
                model.Paging,
            )
        )
        assert (offer.rule.check is not None) == about_one, offer


async def test_the_matrix_of_rules_and_roles(town: Town, api: ChatApi) -> None:
    """Who may: 0 owns, 1 is a member, 2 was one, 3 never was."""
    group, direct = await town.group(0, 1, 2), await town.direct(0, 1)
    await town.chat.leave(town.people[2], group.id)
    expected = {
        ("signed_in", group.id): ["admitted"] * 4,
        ("member", group.id): ["admitted", "admitted", "not_found", "not_found"],
        ("owner", group.id): ["admitted", "forbidden", "not_found", "not_found"],
        ("member", direct.id): ["admitted", "admitted", "not_found", "not_found"],
        ("owner", direct.id): ["direct_fixed", "direct_fixed", "not_found", "not_found"],
    }
    seen = set()
    for offer in offered(api):
        for conversation in (group.id, direct.id):
            if (offer.rule.name, conversation) in expected:
                seen.add((offer.rule.name, conversation))
                verdicts = [await verdict(offer, town, who, conversation) for who in range(4)]
                assert verdicts == expected[offer.rule.name, conversation], offer
    assert seen == expected.keys()


async def test_a_direct_conversation_is_made_with_201_and_found_with_200(town: Town, api: ChatApi) -> None:
    wanted = model.Create(kind="direct", people=[model.Who(person=town.people[1])])
    made = await api.create(over_http(town, 0, {}, wanted))
    assert isinstance(made, model.Conversation), "the route's own status, 201"
    found = await api.create(over_http(town, 0, {}, wanted))
    assert isinstance(found, Response)
    assert (found.status, msgspec.json.decode(found.body, type=model.Conversation)) == (200, made)
    assert await api.create(over_link(town, 1, model.Create(kind="direct", people=[model.Who(town.people[0])]))) == (
        await town.chat.open(town.people[1], made.id)
    )


async def test_publish_history_and_watermark_over_http(town: Town, api: ChatApi) -> None:
    direct = await town.direct(0, 1)
    params = {"conversation": direct.id}
    message = model.Publish(client_id=ulid(), kind="text", body=msgspec.Raw(b'{"text":"hi","later":1}'))
    ack = await api.publish(over_http(town, 0, params, message))
    assert isinstance(ack, model.Acknowledged)
    again = await api.publish(over_http(town, 0, params, message))
    assert isinstance(again, Response)
    assert again.status == 200
    assert msgspec.json.decode(again.body) == {**msgspec.to_builtins(ack), "duplicate": True}

    history = await api.history(over_http(town, 1, params, query=model.HistoryPaging(after=0)))
    assert msgspec.json.decode(msgspec.json.encode(history)) == {
        "items": [
            {
                "op": "delivery",
                "number": direct.number,
                "offset": 1,
                "message": str(ack.message),
                "ordinal": 1,
                "time": ack.time,
                "author": str(town.people[0]),
                "kind": "text",
                "body": {"text": "hi"},
                "client_id": message.client_id,
            }
        ],
        "more": False,
        "head": 1,
        "floor": 0,
        "epoch": "e1",
        "number": direct.number,
    }
    await api.watermark(over_http(town, 1, params, model.Watermark(read=1)))
    await town.chat.stop()
    assert (await town.chat.open(town.people[1], direct.id)).unread == 0


async def test_members_and_lists_over_both(town: Town, api: ChatApi) -> None:
    group = await town.group(0, 1)
    params = {"conversation": group.id}
    add = model.AddTo(conversation=group.id, person=model.Who(person=town.people[2]))
    member = await api.add(over_link(town, 0, add))
    assert (member.person, member.name) == (town.people[2], "Person 2")
    by_http = await api.members(over_http(town, 0, params, query=model.Paging()))
    assert by_http == await api.members(over_link(town, 0, model.MembersOf(group.id)))
    assert [member.person for member in by_http.items] == town.people[:3]
    await api.remove(over_link(town, 0, model.RemoveFrom(group.id, town.people[2])))
    await api.remove(over_http(town, 0, {**params, "person": town.people[1]}))
    assert (await api.open(over_link(town, 0, model.OfConversation(group.id)))).members == 1
    listed = await api.conversations(over_http(town, 0, {}, query=model.Paging()))
    assert listed == await api.conversations(over_link(town, 0, model.Paging()))
    await api.leave(over_http(town, 0, params))
    assert (await api.conversations(over_link(town, 0, model.Paging()))).items == []


@pytest.mark.parametrize(
    ("type", "body"),
    [
        (model.Create, b'{"kind":"direct","people":[{"person":"x"}]}'),
        (model.Create, b'{"kind":"direct","people":[{}]}'),
        (model.Create, b'{"kind":"direct","people":[{"person":"0193f0a0-0000-7000-8000-000000000001","email":"a@b"}]}'),
        (model.Create, b'{"kind":"crowd","people":[]}'),
        (model.HistoryPaging, b'{"limit":501}'),
        (model.HistoryPaging, b'{"after":-1}'),
        (model.HistoryPaging, b'{"before":9007199254740992}'),
        (model.Paging, b'{"limit":0}'),
    ],
)
def test_inputs_outside_their_types_do_not_decode(type: type[Any], body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=type)
