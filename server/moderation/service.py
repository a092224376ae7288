"""The rules of deciding on what was held: who may, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from chiron.errors import Refused
from chiron.server.moderation import model, store
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import HEADS, Clock, Cursors, Database, People, Tx

_FIRST = UUID(int=0)


class Conversations(Protocol):
    """What moderation asks chat's service."""

    async def texts(self, tx: Tx, places: Sequence[tuple[UUID, int]]) -> dict[UUID, str]: ...

    async def decide(
        self,
        conversation: UUID,
        message: UUID,
        offset: int,
        *,
        release: bool,
        now: datetime,
        note: Callable[[Tx], Awaitable[None]],
    ) -> int: ...


class Moderation:
    """What moderators do. Each method but the first is for those whom `must_be_moderator` lets pass."""

    def __init__(
        self, database: Database, clock: Clock, conversations: Conversations, people: People, cursors: Cursors
    ) -> None:
        self._database = database
        self._clock = clock
        self._conversations = conversations
        self._people = people
        self._cursors = cursors

    async def must_be_moderator(self, person: UUID) -> None:
        """Raises Refused forbidden."""
        if not await self._database.read(lambda tx: store.is_moderator(tx, person)):
            raise Refused("forbidden")

    async def held(self, moderator: UUID, cursor: str | None, limit: int) -> model.HeldPage:
        """What waits for a decision, the oldest first, without what is the moderator's own.

        Raises Refused invalid (cursor).
        """
        scope = f"held:{moderator}"
        after = UUID(bytes=self._cursors.open(scope, cursor)) if cursor is not None else _FIRST

        async def work(tx: Tx) -> list[model.Held]:
            found = await store.held(tx, after, moderator, limit + 1)
            places = [(kept.conversation, kept.offset) for kept in found if kept.offset is not None]
            texts = await self._conversations.texts(tx, places)
            names = await self._people.by_id(tx, list({kept.sender for kept in found}))
            return [_held(kept, texts.get(kept.message, ""), names.get(kept.sender, "")) for kept in found]

        found = await self._database.read(work)
        items = found[:limit]
        more = len(found) > limit
        return model.HeldPage(items, self._cursors.seal(scope, items[-1].message.bytes) if more else None)

    async def decide(self, moderator: UUID, message: UUID, decision: model.Choice) -> model.Decision:
        """Release or refuse what is held; harmless to repeat.

        Raises Refused: not_found, forbidden (one's own), already_decided (otherwise); Unavailable.
        """
        kept = await self._database.read(lambda tx: store.finding(tx, message))
        if kept is None or kept.done != "hold" or kept.offset is None:
            raise Refused("not_found", what="held message")
        if kept.sender == moderator:
            raise Refused("forbidden")
        if kept.decision is not None:
            return _decided(kept, decision)
        now = self._clock.now()

        async def note(tx: Tx) -> None:
            if not await store.is_moderator(tx, moderator):
                raise Refused("forbidden")
            if not await store.decide(tx, message, decision, moderator, now):
                raise Refused("already_decided")

        try:
            await self._conversations.decide(
                kept.conversation, message, kept.offset, release=decision == "release", now=now, note=note
            )
        except Refused as error:
            if error.code not in ("not_found", "already_decided"):
                raise
            # Somebody else was faster.
            kept = await self._database.read(lambda tx: store.finding(tx, message))
            if kept is None or kept.decision is None:
                raise
            return _decided(kept, decision)
        return model.Decision(message, decision, milliseconds(now))


def _decided(kept: store.Kept, decision: model.Choice) -> model.Decision:
    """What was decided before, if that is what is wanted now. Raises Refused already_decided."""
    if kept.decision != decision or kept.decided_at is None:
        raise Refused("already_decided")
    return model.Decision(kept.message, decision, milliseconds(kept.decided_at))


def _held(kept: store.Kept, text: str, name: str) -> model.Held:
    assert kept.offset is not None, "what is held was written"
    return model.Held(
        message=kept.message,
        conversation=kept.conversation,
        kind=kept.kind,
        offset=kept.offset,
        author=kept.sender,
        name=name,
        text=text,
        reasons=list(kept.reasons),
        # Stored with 24 bits, made of 16.
        scores={head: round(score, 5) for head, score in zip(HEADS, kept.scores, strict=True)},
        severity=kept.severity,
        spans=kept.detail.spans,
        time=milliseconds(kept.created_at),
    )
