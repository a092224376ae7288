"""The rules of chat: who may see, say and change what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import NoneType
from typing import TypeVar
from uuid import UUID

import msgspec
import structlog

from chiron.errors import Refused
from chiron.server.chat import bodies, decisions, membership, model, store
from chiron.server.chat.batch import Change
from chiron.server.chat.committer import Committer
from chiron.server.chat.heads import Heads, last
from chiron.server.chat.watermarks import Watermarks
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import (
    ALLOWED,
    Ack,
    ChannelView,
    Clock,
    Cursors,
    Database,
    Draft,
    Ids,
    Once,
    Page,
    People,
    Publisher,
    Record,
    Row,
    Screening,
    Tx,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)

_FIRST = UUID(int=0)
_BEYOND = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Reader:
    """Pages of one channel's log, in the snapshot of the transaction that its two queries use."""

    view: ChannelView
    records_after: Callable[[int, int], Awaitable[Sequence[Record]]]
    records_before: Callable[[int, int], Awaitable[Sequence[Record]]]

    async def page(self, after: int | None, before: int | None, limit: int) -> Page:
        """Above `after` the oldest, or below `before` the newest, or the newest of all; in rising order.

        Offsets are gapless, so the ends of a page tell whether there is more in its direction.
        """
        if after is not None and before is not None:
            raise Refused("invalid", field="before", reason="give either after or before")
        head, floor = self.view.head, self.view.floor
        if after is not None:
            records = await self.records_after(max(after, floor), limit)
            more = bool(records) and records[-1].offset < head
        else:
            records = await self.records_before(head + 1 if before is None else before, limit)
            more = bool(records) and records[0].offset > floor + 1
        return Page(self.view, records, more)


class Chat:
    """Conversations, messages and watermarks (`ports.Lifespan`).

    What it publishes goes to `publisher` after COMMIT; `people` says who exists and by which name. `heard` is told of
    each record of a conversation that this process has committed, as everybody but its author has it. `screening` says
    what is to become of messages; without it everything is allowed.
    """

    def __init__(
        self,
        database: Database,
        ids: Ids,
        clock: Clock,
        publisher: Publisher,
        people: People,
        cursors: Cursors,
        *,
        heard: Callable[[UUID, Record], None] | None = None,
        screening: Screening | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock
        self._people = people
        self._cursors = cursors
        self._heads = Heads(database, clock, publisher, sleep=sleep)
        self._watermarks = Watermarks(database, clock, publisher, self._heads.changed, sleep=sleep)
        self._heard = heard
        self._screening = screening
        self._committer = Committer(
            database,
            clock,
            publisher,
            self._heads.changed,
            heard=self._hear if heard is not None else None,
            screening=screening,
        )

    @property
    def committer(self) -> Committer:
        """For metrics."""
        return self._committer

    async def start(self) -> None:
        await self._heads.start()
        await self._watermarks.start()
        await self._committer.start()

    async def stop(self) -> None:
        """What was accepted is finished, and what is known is written."""
        await self._committer.stop()
        await self._watermarks.stop()
        await self._heads.stop()

    async def check(self) -> str | None:
        """For `ports.Health`."""
        return await self._committer.check()

    # --- conversations ------------------------------------------------------------------------------------------------

    async def create(
        self, person: UUID, wanted: model.Create, once: Once | None = None
    ) -> tuple[model.Conversation, bool]:
        """(conversation, whether it is new). The direct conversation of two people exists once.

        Raises Refused: invalid with its field, person_unknown, not_found (also for a repeat by who has left since).
        """
        decided = _decided(once, tuple[UUID, bool])
        if decided is None:
            decided = await self._change(await self._creation(person, wanted), tuple[UUID, bool], once)
        conversation, created = decided
        return await self.open(person, conversation), created

    async def _creation(self, person: UUID, wanted: model.Create) -> membership.CreateDirect | membership.CreateGroup:
        others = {id: name for id, name in (await self._resolve(person, wanted.people)).items() if id != person}
        if wanted.kind == "direct":
            if len(others) != 1 or len(wanted.people) != 1:
                raise Refused("invalid", field="people", reason="a direct conversation is with one other person")
            return membership.CreateDirect(self._ids.new(), person, self._ids, self._clock.now(), next(iter(others)))
        if len(others) >= model.MEMBERS:
            raise Refused("invalid", field="people", reason=f"a conversation has at most {model.MEMBERS} members")
        return membership.CreateGroup(
            self._ids.new(), person, self._ids, self._clock.now(), model.checked_title(wanted.title), others
        )

    async def open(self, person: UUID, conversation: UUID) -> model.Conversation:
        """Raises Refused not_found."""

        async def work(tx: Tx) -> model.Conversation:
            row = await store.conversation(tx, person, conversation, model.PREVIEW_CHARACTERS)
            if row is None:
                raise Refused("not_found", what="conversation")
            return (await self._seen_by(tx, person, [row]))[0]

        return await self._database.read(work)

    async def conversations(self, person: UUID, cursor: str | None, limit: int) -> model.Conversations:
        """One's own, the newest made first. Raises Refused invalid (cursor)."""
        scope = f"conversations:{person}"
        before = UUID(bytes=self._cursors.open(scope, cursor)) if cursor is not None else _BEYOND

        async def work(tx: Tx) -> list[model.Conversation]:
            rows = await store.conversations(tx, person, before, limit + 1, model.PREVIEW_CHARACTERS)
            return await self._seen_by(tx, person, rows)

        found = await self._database.read(work)
        items = found[:limit]
        return model.Conversations(items, self._cursors.seal(scope, items[-1].id.bytes) if len(found) > limit else None)

    async def members(self, person: UUID, conversation: UUID, cursor: str | None, limit: int) -> model.Members:
        """Raises Refused: not_found, invalid (cursor)."""
        scope = f"members:{conversation}"
        after = UUID(bytes=self._cursors.open(scope, cursor)) if cursor is not None else _FIRST

        async def work(tx: Tx) -> list[model.Member]:
            await self._must_see(tx, conversation, person)
            rows = await store.members(tx, conversation, after, limit + 1)
            names = await self._people.by_id(tx, [row["person"] for row in rows])
            return [_member(row, names) for row in rows]

        found = await self._database.read(work)
        items = found[:limit]
        return model.Members(items, self._cursors.seal(scope, items[-1].person.bytes) if len(found) > limit else None)

    async def add(self, by: UUID, conversation: UUID, who: model.Who, once: Once | None = None) -> model.Member:
        """The owner adds; the member as the membership began.

        Raises Refused: not_found, forbidden, direct_fixed, person_unknown, already_member, invalid.
        """
        joined = _decided(once, membership.Joined)
        if joined is None:
            ((person, name),) = (await self._resolve(by, [who])).items()
            change = membership.AddMember(conversation, by, self._ids, self._clock.now(), person, name)
            joined = await self._change(change, membership.Joined, once)
        people = [joined.person]
        names = await self._database.read(lambda tx: self._people.by_id(tx, people))
        return model.Member(
            person=joined.person,
            name=names.get(joined.person, ""),
            role=joined.role,
            received=joined.offset,
            read=joined.offset,
            joined_at=joined.joined_at,
        )

    async def remove(self, by: UUID, conversation: UUID, person: UUID, once: Once | None = None) -> None:
        """The owner removes; removing oneself is leaving. Raises Refused: not_found, forbidden, direct_fixed."""
        if person == by:
            await self.leave(by, conversation, once)
            return
        change = membership.RemoveMember(conversation, by, self._ids, self._clock.now(), person)
        await self._change(change, NoneType, once)

    async def leave(self, person: UUID, conversation: UUID, once: Once | None = None) -> None:
        """Raises Refused: not_found, direct_fixed."""
        change = membership.Leave(conversation, person, self._ids, self._clock.now())
        await self._change(change, NoneType, once)

    async def _change(self, change: Change[T], result: type[T], once: Once | None) -> T:
        """Done now, or before under the same key."""
        if once is None:
            return await self._committer.change(change)
        if once.outcome is not None:
            return msgspec.json.decode(once.outcome, type=result)
        return await self._committer.change(membership.Kept(change, once, result, self._clock.now()))

    # --- messages -----------------------------------------------------------------------------------------------------

    async def publish(self, draft: Draft) -> Ack:
        """Write a message; it is on disk when this returns. See `ports.ChannelAuthority.publish`.

        `ref` is kept as it is given: what it points to may be gone by retention, so readers must bear that anyway.
        Raises Refused: unverified, invalid, too_large, not_found, client_id_reused, blocked; Unavailable.
        """
        if not draft.principal.verified:
            raise Refused("unverified")
        client_id = bodies.checked_client_id(draft.client_id)
        body = bodies.canonical(draft.kind, draft.body)
        entry = store.Entry(
            id=self._ids.new(),
            conversation=draft.target,
            sender=draft.principal.person,
            client_id=client_id,
            kind=draft.kind,
            body=body,
            body_hash=bodies.digest(draft.kind, draft.ref, body),
            time=self._clock.now(),
            ref=draft.ref,
            judgements=ALLOWED
            if self._screening is None
            else self._screening.judge(draft.score, partial(bodies.text, body)),
        )
        return await self._committer.append(entry, link=draft.link, run=draft.run)

    async def view(self, person: UUID, conversation: UUID) -> ChannelView:
        """Raises Refused not_found."""
        return await self._database.read(lambda tx: self._must_see(tx, conversation, person))

    async def history(
        self, person: UUID, conversation: UUID, *, after: int | None, before: int | None, limit: int
    ) -> Page:
        """Raises Refused: not_found, invalid."""

        async def work(tx: Tx) -> Page:
            view = await self._must_see(tx, conversation, person)
            return await Reader(
                view,
                lambda after, limit: store.records_after(tx, person, conversation, view.number, after, limit),
                lambda before, limit: store.records_before(
                    tx, person, conversation, view.number, before, view.floor, limit
                ),
            ).page(after, before, limit)

        return await self._database.read(work)

    async def watermark(self, person: UUID, conversation: UUID, *, received: int | None, read: int | None) -> None:
        """Noted now and written within a second; from somebody who is no member it changes nothing."""
        for name, offset in (("received", received), ("read", read)):
            if offset is not None and not 0 <= offset < 2**53:
                raise Refused("invalid", field=name, reason="it is not an offset")
        self._watermarks.note(conversation, person, received, read)

    # --- moderation: for its service, which knows who may ----------------------------------------------------------

    async def texts(self, tx: Tx, places: Sequence[tuple[UUID, int]]) -> dict[UUID, str]:
        """What was said at (conversation, offset), by message."""
        return await store.texts(tx, places)

    async def decide(
        self,
        conversation: UUID,
        message: UUID,
        offset: int,
        *,
        release: bool,
        now: datetime,
        note: Callable[[Tx], Awaitable[None]],
    ) -> int:
        """Release or refuse a held message: the offset of the record that says so.

        `note` runs in the same transaction, under the lock of the conversation. Raises what it raises, Refused
        not_found for what is not held or was decided, Unavailable.
        """
        return await self._committer.change(
            decisions.Decide(conversation, self._ids.new(), message, offset, release, now, note)
        )

    # --- rules of routes ----------------------------------------------------------------------------------------------

    async def must_be_member(self, person: UUID, conversation: UUID) -> None:
        """Raises Refused not_found."""
        if await self._role(person, conversation) is None:
            raise Refused("not_found", what="conversation")

    async def must_be_owner(self, person: UUID, conversation: UUID) -> None:
        """Raises Refused: not_found for who is no member, direct_fixed where nobody is, forbidden."""
        await self._database.read(lambda tx: membership.room_to_change(tx, conversation, person, owner=True))

    def _hear(self, conversation: UUID, record: Record) -> None:
        assert self._heard is not None
        try:
            self._heard(conversation, record)
        except Exception:
            log.exception("chat.heard_failed", conversation=str(conversation))

    async def _role(self, person: UUID, conversation: UUID) -> str | None:
        return await self._database.read(lambda tx: store.role(tx, conversation, person))

    async def _must_see(self, tx: Tx, conversation: UUID, person: UUID) -> ChannelView:
        view = await store.view(tx, conversation, person)
        if view is None:
            raise Refused("not_found", what="conversation")
        return view

    async def _resolve(self, asker: UUID, wanted: Sequence[model.Who]) -> dict[UUID, str]:
        """Names by id, in the order given. Raises Refused: person_unknown (by e-mail), not_found (by id)."""

        async def work(tx: Tx) -> dict[UUID, str]:
            people: list[UUID] = []
            for who in wanted:
                person = who.person
                if who.email is not None:
                    person = await self._people.by_email(tx, who.email, asker=asker)
                    if person is None:
                        raise Refused("person_unknown", email=who.email)
                assert person is not None, "a Who has one of the two"
                people.append(person)
            names = await self._people.by_id(tx, people)
            if any(person not in names for person in people):
                raise Refused("not_found", what="person")
            return {person: names[person] for person in people}

        return await self._database.read(work)

    async def _seen_by(self, tx: Tx, person: UUID, rows: Sequence[Row]) -> list[model.Conversation]:
        peers = {row["id"]: model.other_of(row["pair"], person) for row in rows if row["pair"] is not None}
        names = await self._people.by_id(tx, list(peers.values())) if peers else {}
        return [_conversation(person, row, peers.get(row["id"]), names) for row in rows]


def _decided(once: Once | None, result: type[T]) -> T | None:
    """What was decided when the request was done before."""
    return None if once is None or once.outcome is None else msgspec.json.decode(once.outcome, type=result)


def _conversation(person: UUID, row: Row, peer: UUID | None, names: dict[UUID, str]) -> model.Conversation:
    return model.Conversation(
        id=row["id"],
        number=row["number"],
        kind=row["kind"],
        title=row["title"],
        created_at=milliseconds(row["created_at"]),
        head=row["head"],
        ordinal=row["ordinal"],
        floor=row["floor"],
        unread=row["unread"],
        received=row["received"],
        read=row["read"],
        role=row["role"],
        members=row["members"],
        peer=model.Peer(peer, names.get(peer, "")) if peer is not None else None,
        last=last(row, withheld=row["last_verdict"] in store.WITHHELD and row["last_author"] != person),
    )


def _member(row: Row, names: dict[UUID, str]) -> model.Member:
    return model.Member(
        person=row["person"],
        name=names.get(row["person"], ""),
        role=row["role"],
        received=row["received"],
        read=row["read"],
        joined_at=milliseconds(row["joined_at"]),
    )
