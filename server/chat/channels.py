"""Who may see and do what on the channels of kind `conv` and `person` (`ports.ChannelAuthority`)."""

from __future__ import annotations

from uuid import UUID

from chiron.errors import Refused
from chiron.server.chat import personal
from chiron.server.chat.service import Chat, Reader
from chiron.server.ports import Ack, ChannelView, Database, Draft, Page, Principal, Tx


class ConversationChannels:
    """`conv:<id>`: its members, while they are."""

    kind = "conv"

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def view(self, principal: Principal, target: UUID) -> ChannelView:
        return await self._chat.view(principal.person, target)

    async def read(
        self, principal: Principal, target: UUID, *, after: int | None, before: int | None, limit: int
    ) -> Page:
        return await self._chat.history(principal.person, target, after=after, before=before, limit=limit)

    async def publish(self, draft: Draft) -> Ack:
        return await self._chat.publish(draft)

    async def watermark(self, principal: Principal, target: UUID, *, received: int | None, read: int | None) -> None:
        await self._chat.watermark(principal.person, target, received=received, read=read)


class PersonalChannels:
    """`person:<id>`: that person alone. Nobody publishes there; each device reads it itself: it has no watermarks."""

    kind = "person"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def view(self, principal: Principal, target: UUID) -> ChannelView:
        return await self._database.read(lambda tx: self._view(tx, principal, target))

    async def read(
        self, principal: Principal, target: UUID, *, after: int | None, before: int | None, limit: int
    ) -> Page:
        async def work(tx: Tx) -> Page:
            view = await self._view(tx, principal, target)
            return await Reader(
                view,
                lambda after, limit: personal.records_after(tx, target, view.number, after, limit),
                lambda before, limit: personal.records_before(tx, target, view.number, before, limit),
            ).page(after, before, limit)

        return await self._database.read(work)

    async def publish(self, draft: Draft) -> Ack:
        raise Refused("forbidden")

    async def watermark(self, principal: Principal, target: UUID, *, received: int | None, read: int | None) -> None:
        raise Refused("forbidden")

    async def _view(self, tx: Tx, principal: Principal, target: UUID) -> ChannelView:
        view = await personal.view(tx, target) if target == principal.person else None
        if view is None:
            raise Refused("not_found", what="channel")
        return view
