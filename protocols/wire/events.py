"""What a client connection tells its owner, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chiron.protocols.wire import frames


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The link is open; attachments and unacknowledged publishes are being sent again."""

    welcome: frames.Welcome


@dataclass(frozen=True, slots=True)
class Delivered:
    """The next record of a channel: each offset once, in order, one's own included."""

    channel: str
    record: frames.Delivery


@dataclass(frozen=True, slots=True)
class Caught:
    """The channel has been read up to its head and is live."""

    channel: str
    head: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A publish is on the server's disk."""

    channel: str
    client_id: str
    ack: frames.Ack


@dataclass(frozen=True, slots=True)
class Declined:
    """A publish was refused for good; those behind it go on."""

    channel: str
    client_id: str
    error: frames.Error


@dataclass(frozen=True, slots=True)
class Happened:
    """An ephemeral event of a channel (None: of one that is not attached any more)."""

    channel: str | None
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Records below `origin` cannot be read: forget what is older; with `restored`, forget the whole channel."""

    channel: str
    origin: int
    restored: bool


@dataclass(frozen=True, slots=True)
class Left:
    """The channel is not to be had (any more): `reason` is `denied` or the server's."""

    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request by its id."""

    id: int
    frame: frames.Ok | frames.Page | frames.Error


@dataclass(frozen=True, slots=True)
class Lost:
    """A request had no answer when the link ended; whether it was carried out is not known."""

    id: int


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """The access token expires in so many seconds: call `refresh` with a newer one."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Troubled:
    """The server said something about the whole link."""

    error: frames.Error


Event = (
    Welcomed
    | Delivered
    | Caught
    | Acknowledged
    | Declined
    | Happened
    | Forgotten
    | Left
    | Answered
    | Lost
    | TokenWanted
    | Troubled
)
