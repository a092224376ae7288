"""The realtime frames as types: the schema of `docs/protocol.md`, used by `chiron.client`, and the tests' oracle.

Client frames are `msgspec` structs tagged by `op`; a WebSocket text message carries one frame or an array of them.
Server messages always carry one frame. Unknown members are ignored on both sides.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Outcome = Literal["complete", "more", "truncated", "denied", "epoch_changed"]


class Frame(msgspec.Struct, tag_field="op", omit_defaults=True, kw_only=True, frozen=True):
    """Base of all frames."""


# Client → server.


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    epoch: str
    offset: int


class Connect(Frame, tag="connect", frozen=True):
    id: int
    token: str
    device: str = ""
    capabilities: list[str] = []
    resume: Resume | None = None


class Attach(Frame, tag="attach", frozen=True):
    id: int
    channel: str
    gen: int
    epoch: str | None = None
    after: int | None = None


class Detach(Frame, tag="detach", frozen=True):
    id: int
    channel: str
    gen: int


class Publish(Frame, tag="publish", frozen=True):
    id: int
    channel: str
    client_id: str
    n: int
    kind: str
    body: dict[str, Any]
    ref: str | None = None


class Watermark(Frame, tag="watermark", frozen=True):
    id: int
    channel: str
    received: int | None = None
    read: int | None = None


class Sync(Frame, tag="sync", frozen=True):
    id: int
    channel: str
    after: int | None = None
    before: int | None = None
    limit: int = 100


class Refresh(Frame, tag="refresh", frozen=True):
    id: int
    token: str
    gen: int


class Command(Frame, tag="command", frozen=True):
    id: int
    name: str
    params: dict[str, Any] = {}


class Pong(Frame, tag="pong", frozen=True):
    pass


ClientFrame = Connect | Attach | Detach | Publish | Watermark | Sync | Refresh | Command | Pong


# Server → client.


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    frame_bytes: int
    text_bytes: int
    in_flight: int
    rate: float
    burst: float


class Welcome(Frame, tag="welcome", frozen=True):
    id: int
    link: str
    person: str
    number: int
    epoch: str
    head: int
    outcome: Outcome
    time: int
    ping_ms: int
    token_ms: int
    limits: Limits


class Attached(Frame, tag="attached", frozen=True):
    id: int
    channel: str
    number: int
    gen: int
    outcome: Outcome
    epoch: str
    head: int
    from_: int | None = msgspec.field(default=None, name="from")


class Ok(Frame, tag="ok", frozen=True):
    id: int
    result: Any = None


class Ack(Frame, tag="ack", frozen=True):
    id: int
    message: str
    offset: int
    ordinal: int
    time: int
    duplicate: bool = False
    verdict: str | None = None


class Delivery(Frame, tag="delivery", frozen=True):
    number: int
    offset: int
    message: str
    ordinal: int
    time: int
    author: str
    kind: str
    body: dict[str, Any]
    ref: str | None = None
    client_id: str | None = None
    verdict: str | None = None


class Event(Frame, tag="event", frozen=True):
    number: int
    kind: str
    body: dict[str, Any]


class Page(Frame, tag="page", frozen=True):
    id: int
    channel: str
    number: int
    items: list[Delivery]
    more: bool
    head: int
    floor: int
    epoch: str


class Error(Frame, tag="error", frozen=True):
    code: str
    temporary: bool
    scope: Literal["command", "channel", "link"]
    action: str
    id: int | None = None
    params: dict[str, Any] = {}
    retry_after_ms: int | None = None


class Lag(Frame, tag="lag", frozen=True):
    number: int
    head: int


class Detached(Frame, tag="detached", frozen=True):
    number: int
    reason: str


class TokenExpiring(Frame, tag="token_expiring", frozen=True):
    expires_in_ms: int


class Ping(Frame, tag="ping", frozen=True):
    pass


class Close(Frame, tag="close", frozen=True):
    code: int
    reason: str
    reconnect_in_ms: int
    resumable: bool


ServerFrame = (
    Welcome | Attached | Ok | Ack | Delivery | Event | Page | Error | Lag | Detached | TokenExpiring | Ping | Close
)
