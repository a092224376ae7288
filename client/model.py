"""What the server answers: the JSON objects of docs/protocol.md as types. Unknown members may be there too."""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

Item = TypeVar("Item")

# Times are milliseconds since the Unix epoch; persons, conversations, messages and logins are UUIDs as text.


class Me(TypedDict):
    """One's own account."""

    person: str
    number: int
    """Of the personal channel."""
    name: str
    email: str
    verified: bool
    locale: str
    zone: str
    created_at: int


class Session(TypedDict):
    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds."""
    person: Me


class Login(TypedDict):
    """A device where one is signed in."""

    login: str
    device: str
    created_at: int
    refreshed_at: int
    current: bool


class Profile(TypedDict):
    """A role that one has here."""

    kind: Literal["mentor", "mentee"]
    state: Literal["active", "paused"]
    created_at: int
    changed_at: int


class Key(TypedDict):
    """A public Ed25519 key (RFC 8037 §2)."""

    kty: str
    crv: str
    x: str
    """32 bytes, base64url."""
    kid: str
    alg: str
    use: str


class KeySet(TypedDict):
    """RFC 7517 §5."""

    keys: list[Key]


class Offer(TypedDict):
    """Where the server takes HTTP/3 and WebTransport."""

    url: str
    hashes: list[str]
    """SHA-256 of certificates in base64, one of which it shows there; empty when an authority vouches for it."""


class Transports(TypedDict):
    webtransport: Offer | None


class Items(TypedDict, Generic[Item]):
    """A list that is not paged."""

    items: list[Item]


class Page(TypedDict, Generic[Item]):
    """`next` is the `cursor` of the next page; without it this was the last one."""

    items: list[Item]
    next: NotRequired[str]


class Peer(TypedDict):
    person: str
    name: str


class Last(TypedDict):
    """The newest record, shortened."""

    offset: int
    author: str
    kind: str
    time: int
    text: str
    verdict: NotRequired[Literal["hold", "block"]]
    """Where it is held: then only its author has its text."""


class Conversation(TypedDict):
    id: str
    number: int
    """Of its channel."""
    kind: Literal["direct", "group"]
    title: str
    created_at: int
    head: int
    ordinal: int
    floor: int
    unread: int
    received: int
    read: int
    role: Literal["owner", "member"]
    members: int
    peer: NotRequired[Peer]
    """The other one of a direct conversation."""
    last: NotRequired[Last]


class Member(TypedDict):
    person: str
    name: str
    role: Literal["owner", "member"]
    received: int
    read: int
    joined_at: int


class Acknowledged(TypedDict):
    message: str
    offset: int
    ordinal: int
    time: int
    duplicate: NotRequired[bool]
    verdict: NotRequired[str]


class Record(TypedDict):
    """What happened in a conversation: who did what, and when."""

    offset: int
    time: int
    author: str
    kind: str
    body: dict[str, Any]
    verdict: NotRequired[str]
    """Where it is not allow: flag, hold or block."""


class Delivery(Record):
    number: int
    message: str
    ordinal: int
    ref: NotRequired[str]
    client_id: NotRequired[str]


class Span(TypedDict):
    """A place in a text that spoke against it: half-open indices of its code points."""

    start: int
    end: int
    label: str
    severity: NotRequired[int]
    text: NotRequired[str]


class Held(TypedDict):
    """A message that waits for a moderator."""

    message: str
    conversation: str
    kind: Literal["direct", "group"]
    offset: int
    author: str
    name: str
    text: str
    reasons: list[str]
    """The strongest first."""
    scores: dict[str, float]
    """Probabilities by head."""
    severity: int
    spans: list[Span]
    time: int


class Decision(TypedDict):
    message: str
    decision: Literal["release", "refuse"]
    decided_at: int


class History(TypedDict):
    """Records in rising order of offset."""

    items: list[Delivery]
    more: bool
    head: int
    floor: int
    epoch: str
    number: int
