"""What goes in and out of chat, as `docs/protocol.md` names it. Times are milliseconds since the Unix epoch."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from chiron.errors import Refused
from chiron.server.platform.clock import milliseconds
from chiron.server.ports import Record

TITLE_CHARACTERS = 120
MEMBERS = 1_000
"""Most people in one conversation."""
PREVIEW_CHARACTERS = 200
"""How much of the newest text a conversation list shows."""

Offset = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=200)]
HistorySize = Annotated[int, msgspec.Meta(ge=1, le=500)]
ClientId = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"})]
"""A ULID; `bodies.checked_client_id` says what is one."""
Email = Annotated[str, msgspec.Meta(extra_json_schema={"format": "email"})]
Body = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
"""Of a record: what it holds depends on its kind."""


# What comes in.


class Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person, by id or by e-mail address: exactly one of the two."""

    person: UUID | None = None
    email: Email | None = None

    def __post_init__(self) -> None:
        if (self.person is None) == (self.email is None):
            raise ValueError("give either person or email")


class Create(msgspec.Struct, frozen=True):
    kind: Literal["direct", "group"]
    people: Annotated[list[Who], msgspec.Meta(max_length=MEMBERS)]
    """The others; of a direct conversation the other one."""
    title: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": TITLE_CHARACTERS})] = ""
    """Of a group, which needs one: 1 to 120 characters."""


class Add(msgspec.Struct, frozen=True):
    person: Who


class Publish(msgspec.Struct, frozen=True):
    client_id: ClientId
    """Of the client's choice. Author and `client_id` name the message: repeating it writes nothing."""
    kind: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["text"]})]
    body: Body
    """`{"text": "…"}`, 1 to 16,384 bytes of UTF-8."""
    ref: UUID | None = None
    """A message that it is about."""


class Watermark(msgspec.Struct, frozen=True):
    received: Offset | None = None
    """Every offset up to this has reached the device."""
    read: Offset | None = None
    """Every offset up to this was read."""


class Paging(msgspec.Struct, frozen=True):
    cursor: str | None = None
    """`next` of the page before."""
    limit: PageSize = 50


class HistoryPaging(msgspec.Struct, frozen=True):
    after: Offset | None = None
    """Records above this offset, the oldest first. Give either this or `before`."""
    before: Offset | None = None
    """The newest records below this offset."""
    limit: HistorySize = 100


# The same as parameters of commands: path places and body in one object.


class OfConversation(msgspec.Struct, frozen=True):
    conversation: UUID


class MembersOf(msgspec.Struct, frozen=True):
    conversation: UUID
    cursor: str | None = None
    limit: PageSize = 50


class AddTo(msgspec.Struct, frozen=True):
    conversation: UUID
    person: Who


class RemoveFrom(msgspec.Struct, frozen=True):
    conversation: UUID
    person: UUID


# What goes out.


class Peer(msgspec.Struct, frozen=True):
    """The other one of a direct conversation."""

    person: UUID
    name: str


class Last(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest record; `text` is its beginning, empty for kinds without text, and for others than its author where
    `verdict` says that it is held."""

    offset: int
    author: UUID
    kind: str
    time: int
    text: str
    verdict: str | None = None


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation as one member sees it."""

    id: UUID
    number: int
    kind: str
    title: str
    created_at: int
    head: int
    ordinal: int
    floor: int
    unread: int
    received: int
    read: int
    role: str
    members: int
    peer: Peer | None = None
    last: Last | None = None


class Conversations(msgspec.Struct, frozen=True, omit_defaults=True):
    items: list[Conversation]
    next: str | None = None


class Member(msgspec.Struct, frozen=True):
    person: UUID
    name: str
    role: str
    received: int
    read: int
    joined_at: int


class Members(msgspec.Struct, frozen=True, omit_defaults=True):
    items: list[Member]
    next: str | None = None


class Acknowledged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members of `ack`."""

    message: UUID
    offset: int
    ordinal: int
    time: int
    duplicate: bool = False
    verdict: str | None = None


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="delivery"):
    """A record of the log, as it is delivered."""

    number: int
    offset: int
    message: UUID
    ordinal: int
    time: int
    author: UUID
    kind: str
    body: Body
    ref: UUID | None = None
    client_id: str | None = None
    verdict: str | None = None


class History(msgspec.Struct, frozen=True):
    items: list[Delivery]
    more: bool
    head: int
    floor: int
    epoch: str
    number: int


class Head(msgspec.Struct, frozen=True):
    """Event `head` of the personal channel."""

    conversation: UUID
    number: int
    head: int
    ordinal: int
    unread: int
    received: int
    read: int
    last: Last | None


class WatermarkMoved(msgspec.Struct, frozen=True):
    """Event `watermark` of a conversation."""

    person: UUID
    received: int
    read: int


def delivery(record: Record) -> Delivery:
    return Delivery(
        number=record.number,
        offset=record.offset,
        message=record.message,
        ordinal=record.ordinal,
        time=milliseconds(record.time),
        author=record.author,
        kind=record.kind,
        body=msgspec.Raw(record.body),
        ref=record.ref,
        client_id=record.client_id,
        verdict=record.verdict,
    )


def checked_title(title: str) -> str:
    """1–120 characters without control characters, outer white space cut. Raises Refused invalid."""
    title = title.strip()
    if not 1 <= len(title) <= TITLE_CHARACTERS:
        raise Refused("invalid", field="title", reason=f"it has between 1 and {TITLE_CHARACTERS} characters")
    if any(ord(character) < 32 or 0x7F <= ord(character) <= 0x9F for character in title):
        raise Refused("invalid", field="title", reason="it contains control characters")
    return title


def pair(one: UUID, other: UUID) -> str:
    """The name of a direct conversation: the same for both."""
    return ":".join(sorted((str(one), str(other))))


def other_of(pair: str, person: UUID) -> UUID:
    one, _, other = pair.partition(":")
    return UUID(other if one == str(person) else one)
