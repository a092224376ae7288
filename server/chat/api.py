"""Chat over HTTP and as commands of a link: the same handlers behind both, each with its rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from chiron.server.chat import model
from chiron.server.chat.service import Chat
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import SIGNED_IN, VERIFIED, Call, Command, Draft, Principal, Response, Route, Rule

Answer = TypeVar("Answer", model.Conversation, model.Acknowledged)


class ChatApi:
    """`epoch` is the database's: offsets mean something only together with it."""

    def __init__(self, chat: Chat, epoch: str) -> None:
        self._chat = chat
        self._epoch = epoch
        self._member = Rule("member", check=self._must_be_member, refusals=("not_found",))
        self._speaker = Rule("verified member", verified=True, check=self._must_be_member, refusals=("not_found",))
        self._owner = Rule(
            "owner",
            verified=True,
            check=self._must_be_owner,
            refusals=("not_found", "direct_fixed", "forbidden"),
        )

    def routes(self) -> list[Route]:
        one = "/v1/conversations/{conversation:uuid}"
        return [
            Route(
                "POST",
                "/v1/conversations",
                self.create,
                VERIFIED,
                body=model.Create,
                result=model.Conversation,
                status=201,
                cost=5.0,
                also=(200,),
                refusals=("person_unknown", "not_found"),
                once="kept",
                summary="Begin a conversation, or find the direct one that exists (200)",
            ),
            Route(
                "GET",
                "/v1/conversations",
                self.conversations,
                SIGNED_IN,
                query=model.Paging,
                result=model.Conversations,
                cost=2.0,
                summary="One's conversations, the newest made first",
            ),
            Route("GET", one, self.open, self._member, result=model.Conversation, summary="One conversation"),
            Route(
                "GET",
                f"{one}/members",
                self.members,
                self._member,
                query=model.Paging,
                result=model.Members,
                cost=2.0,
                summary="Who is in a conversation",
            ),
            Route(
                "POST",
                f"{one}/members",
                self.add,
                self._owner,
                body=model.Add,
                result=model.Member,
                status=201,
                cost=5.0,
                refusals=("person_unknown", "already_member"),
                once="kept",
                summary="Add somebody to a group",
            ),
            Route(
                "DELETE",
                f"{one}/members/me",
                self.leave,
                self._member,
                status=204,
                cost=5.0,
                refusals=("direct_fixed",),
                once="kept",
                summary="Leave a group",
            ),
            Route(
                "DELETE",
                f"{one}/members/{{person:uuid}}",
                self.remove,
                self._owner,
                status=204,
                cost=5.0,
                once="kept",
                summary="Remove somebody from a group",
            ),
            Route(
                "POST",
                f"{one}/messages",
                self.publish,
                self._speaker,
                body=model.Publish,
                result=model.Acknowledged,
                status=201,
                also=(200,),
                refusals=("client_id_reused",),
                once="needless",
                summary="Publish a message; a repeat answers 200 with the first acknowledgement",
            ),
            Route(
                "GET",
                f"{one}/messages",
                self.history,
                self._member,
                query=model.HistoryPaging,
                result=model.History,
                cost=2.0,
                summary="History, above or below an offset",
            ),
            Route(
                "PUT",
                f"{one}/watermark",
                self.watermark,
                self._member,
                body=model.Watermark,
                status=204,
                once="needless",
                summary="Tell what was received and read",
            ),
        ]

    def commands(self) -> list[Command]:
        return [
            Command("conversation.create", self.create, VERIFIED, params=model.Create, cost=5.0),
            Command("conversation.list", self.conversations, SIGNED_IN, params=model.Paging, reads=True, cost=2.0),
            Command("conversation.open", self.open, self._member, params=model.OfConversation, reads=True),
            Command("conversation.members", self.members, self._member, params=model.MembersOf, reads=True, cost=2.0),
            Command("conversation.add", self.add, self._owner, params=model.AddTo, cost=5.0),
            Command("conversation.remove", self.remove, self._owner, params=model.RemoveFrom, cost=5.0),
            Command("conversation.leave", self.leave, self._member, params=model.OfConversation, cost=5.0),
        ]

    # --- handlers -----------------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> model.Conversation | Response:
        conversation, created = await self._chat.create(call.person, call.body, call.once)
        return conversation if created else _found(call, conversation)

    async def conversations(self, call: Call) -> model.Conversations:
        paging = call.query or call.body
        return await self._chat.conversations(call.person, paging.cursor, paging.limit)

    async def open(self, call: Call) -> model.Conversation:
        return await self._chat.open(call.person, call.params["conversation"])

    async def members(self, call: Call) -> model.Members:
        paging = call.query or call.body
        return await self._chat.members(call.person, call.params["conversation"], paging.cursor, paging.limit)

    async def add(self, call: Call) -> model.Member:
        return await self._chat.add(call.person, call.params["conversation"], call.body.person, call.once)

    async def remove(self, call: Call) -> None:
        await self._chat.remove(call.person, call.params["conversation"], call.params["person"], call.once)

    async def leave(self, call: Call) -> None:
        await self._chat.leave(call.person, call.params["conversation"], call.once)

    async def publish(self, call: Call) -> model.Acknowledged | Response:
        message: model.Publish = call.body
        assert call.principal is not None, "the rule asks for a member"
        ack = await self._chat.publish(
            Draft(
                principal=call.principal,
                target=call.params["conversation"],
                client_id=message.client_id,
                kind=message.kind,
                body=bytes(message.body),
                ref=message.ref,
            )
        )
        answer = model.Acknowledged(
            ack.message, ack.offset, ack.ordinal, milliseconds(ack.time), ack.duplicate, ack.verdict
        )
        return _found(call, answer) if ack.duplicate else answer

    async def history(self, call: Call) -> model.History:
        paging: model.HistoryPaging = call.query
        page = await self._chat.history(
            call.person, call.params["conversation"], after=paging.after, before=paging.before, limit=paging.limit
        )
        return model.History(
            items=[model.delivery(record) for record in page.records],
            more=page.more,
            head=page.view.head,
            floor=page.view.floor,
            epoch=self._epoch,
            number=page.view.number,
        )

    async def watermark(self, call: Call) -> None:
        mark: model.Watermark = call.body
        await self._chat.watermark(call.person, call.params["conversation"], received=mark.received, read=mark.read)

    # --- rules --------------------------------------------------------------------------------------------------------

    async def _must_be_member(self, principal: Principal, params: Mapping[str, Any]) -> None:
        await self._chat.must_be_member(principal.person, _conversation(params))

    async def _must_be_owner(self, principal: Principal, params: Mapping[str, Any]) -> None:
        await self._chat.must_be_owner(principal.person, _conversation(params))


def _conversation(params: Mapping[str, Any]) -> UUID:
    conversation: UUID = params["conversation"]
    return conversation


def _found(call: Call, value: Answer) -> Answer | Response:
    """The answer when nothing was made: over HTTP with status 200 instead of the route's 201."""
    if call.request is None:
        return value
    return Response(200, msgspec.json.encode(value), (("content-type", "application/json"),))
