"""Changes of membership, as units of the committer: create, add, remove, leave.

Each runs under the lock of its conversation, so what it checks still holds when it writes. What changes is logged twice
in the same transaction: in the conversation, for those who stay, and in the personal channel of whom it concerns.
Membership of a direct conversation is fixed, and so is not logged in it: it begins empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from chiron.errors import Refused
from chiron.server.chat import bodies, model, personal, store
from chiron.server.chat.batch import Change, Effect
from chiron.server.platform import once
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Ids, Once, Tx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A change that its client may ask for again: the result, which JSON can hold, is kept with the effect.

    The locks that the committer takes for the change are the same each time, so a repeat on another worker waits for
    these and never, inside the batch, for `once`.
    """

    change: Change[T]
    once: Once
    result: type[T]
    now: datetime

    @property
    def conversation(self) -> UUID:
        return self.change.conversation

    @property
    def people(self) -> Sequence[UUID]:
        return self.change.people

    async def run(self, tx: Tx) -> Effect[T]:
        kept = await once.recall(tx, self.once)
        if kept is not None:
            return Effect(msgspec.json.decode(kept, type=self.result))
        effect = await self.change.run(tx)
        await once.keep(tx, self.once, msgspec.json.encode(effect.result), self.now)
        return effect


class Joined(msgspec.Struct, frozen=True):
    """A membership as it began."""

    person: UUID
    role: str
    offset: int
    """Head of the conversation: nothing up to it is to be received or read."""
    joined_at: int
    """Milliseconds."""


async def room_to_change(tx: Tx, conversation: UUID, person: UUID, *, owner: bool = False) -> store.Room:
    """The conversation whose members this person may change: as one of them, or as its owner.

    Raises Refused: not_found for who is no member, direct_fixed where nobody may, forbidden.
    """
    room, role = await store.room(tx, conversation), await store.role(tx, conversation, person)
    if room is None or role is None:
        raise Refused("not_found", what="conversation")
    if room.kind == "direct":
        raise Refused("direct_fixed")
    if owner and role != "owner":
        raise Refused("forbidden")
    return room


@dataclass(frozen=True, slots=True)
class _Logged:
    """What every change needs: its conversation, who asks, and ids and time to write with."""

    conversation: UUID
    by: UUID
    ids: Ids
    now: datetime

    def entry(self, kind: str, body: msgspec.Struct) -> store.Entry:
        id, encoded = self.ids.new(), bodies.encode(body)
        return store.Entry(
            id=id,
            conversation=self.conversation,
            sender=self.by,
            # Longer than a client's, so that the two never meet.
            client_id=str(id),
            kind=kind,
            body=encoded,
            body_hash=bodies.digest(kind, None, encoded),
            time=self.now,
            counts=False,
            as_member=False,
        )

    def notice(self, person: UUID, kind: str, number: int) -> personal.Notice:
        body = bodies.encode(bodies.Membership(self.conversation, number))
        return personal.Notice(id=self.ids.new(), person=person, kind=kind, body=body, time=self.now)


@dataclass(frozen=True, slots=True)
class CreateDirect(_Logged):
    """Result: (conversation, whether it is new). One per pair: both people are locked, so no two of them meet here."""

    other: UUID

    @property
    def people(self) -> Sequence[UUID]:
        return (self.by, self.other)

    async def run(self, tx: Tx) -> Effect[tuple[UUID, bool]]:
        pair = model.pair(self.by, self.other)
        found = await store.direct(tx, pair)
        if found is not None:
            return Effect((found, False))
        number = await store.insert_conversation(
            tx, id=self.conversation, kind="direct", title="", pair=pair, by=self.by, now=self.now
        )
        await store.admit(tx, self.conversation, self.people, role="member", now=self.now)
        notices = [self.notice(person, "membership.added", number) for person in self.people]
        return Effect((self.conversation, True), notices=notices)


@dataclass(frozen=True, slots=True)
class CreateGroup(_Logged):
    """Result: (conversation, True). Who makes it owns it; `others` are names by id, without the owner."""

    title: str
    others: Mapping[UUID, str]

    @property
    def people(self) -> Sequence[UUID]:
        return (self.by, *self.others)

    async def run(self, tx: Tx) -> Effect[tuple[UUID, bool]]:
        number = await store.insert_conversation(
            tx, id=self.conversation, kind="group", title=self.title, pair=None, by=self.by, now=self.now
        )
        await store.admit(tx, self.conversation, [self.by], role="owner", now=self.now)
        await store.admit(tx, self.conversation, list(self.others), role="member", now=self.now)
        return Effect(
            (self.conversation, True),
            entries=[
                self.entry("member.added", bodies.MemberAdded(person, name, self.by))
                for person, name in self.others.items()
            ],
            notices=[self.notice(person, "membership.added", number) for person in self.people],
        )


@dataclass(frozen=True, slots=True)
class AddMember(_Logged):
    """The owner adds; who returns sees what comes from now on, not what was said meanwhile."""

    person: UUID
    name: str

    @property
    def people(self) -> Sequence[UUID]:
        return (self.person,)

    async def run(self, tx: Tx) -> Effect[Joined]:
        room = await room_to_change(tx, self.conversation, self.by, owner=True)
        if await store.is_member(tx, self.conversation, self.person):
            raise Refused("already_member")
        if room.members >= model.MEMBERS:
            raise Refused("invalid", field="person", reason=f"a conversation has at most {model.MEMBERS} members")
        await store.admit(tx, self.conversation, [self.person], role="member", now=self.now)
        return Effect(
            Joined(self.person, "member", room.head, milliseconds(self.now)),
            entries=[self.entry("member.added", bodies.MemberAdded(self.person, self.name, self.by))],
            notices=[self.notice(self.person, "membership.added", room.number)],
        )


@dataclass(frozen=True, slots=True)
class RemoveMember(_Logged):
    """The owner removes somebody else."""

    person: UUID

    @property
    def people(self) -> Sequence[UUID]:
        return (self.person,)

    async def run(self, tx: Tx) -> Effect[None]:
        room = await room_to_change(tx, self.conversation, self.by, owner=True)
        if not await store.dismiss(tx, self.conversation, self.person):
            raise Refused("not_found", what="member")
        return Effect(
            None,
            entries=[self.entry("member.removed", bodies.MemberRemoved(self.person, self.by))],
            notices=[self.notice(self.person, "membership.removed", room.number)],
            removed=(self.person,),
        )


@dataclass(frozen=True, slots=True)
class Leave(_Logged):
    """Anybody may leave. When the owner does, the longest-standing member becomes the owner."""

    @property
    def people(self) -> Sequence[UUID]:
        return (self.by,)

    async def run(self, tx: Tx) -> Effect[None]:
        room = await room_to_change(tx, self.conversation, self.by)
        owned = await store.role(tx, self.conversation, self.by) == "owner"
        await store.dismiss(tx, self.conversation, self.by)
        heir = await store.hand_over(tx, self.conversation) if owned else None
        return Effect(
            None,
            entries=[self.entry("member.left", bodies.MemberLeft(self.by, heir))],
            notices=[self.notice(self.by, "membership.removed", room.number)],
            removed=(self.by,),
        )
