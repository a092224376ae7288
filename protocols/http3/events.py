"""What a connection tells its owner."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chiron.protocols.webtransport.events import (
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionStream,
    SessionStreamAborted,
)

Headers = list[tuple[str, str]]
"""Names in lower case, values latin-1, without pseudo-header fields."""


class RequestReceived(msgspec.Struct, frozen=True, gc=False):
    """The head of a request (RFC 9114 §4.3.1). Answer it with `Connection.respond`."""

    stream: int
    method: str
    scheme: str
    authority: str
    """Of `:authority`, or of Host where there was none; never with user information."""
    path: str
    """With the query; `*` for OPTIONS of the whole server."""
    protocol: str | None
    """What an extended CONNECT asks for (RFC 9220 §3): `websocket`, `webtransport`."""
    headers: Headers
    """As sent, but with Host in front where it was not, for `:authority` stands for it (RFC 9114 §4.3.1), and crumbs of
    cookies are joined (§4.2.1)."""
    end: bool
    """There is no body, and nothing more comes on this stream."""
    early: bool
    """It came as early data, so somebody may have recorded it and sent it again (RFC 8470)."""


class ResponseReceived(msgspec.Struct, frozen=True, gc=False):
    """The head of the final response to a request of ours."""

    stream: int
    status: int
    headers: Headers
    end: bool


class BodyReceived(msgspec.Struct, frozen=True, gc=False):
    stream: int
    data: bytes
    end: bool


class TrailersReceived(msgspec.Struct, frozen=True, gc=False):
    """Fields behind the body; they end the message."""

    stream: int
    headers: Headers


class Aborted(msgspec.Struct, frozen=True, gc=False):
    """A message that was begun is off, in both directions: cancel the work. `code` says why (RFC 9114 §8.1)."""

    stream: int
    code: int


class Writable(msgspec.Struct, frozen=True, gc=False):
    """A stream on which sending had returned False takes more."""

    stream: int


class SettingsReceived(msgspec.Struct, frozen=True, gc=False):
    """To a client: what the server can do (RFC 9220 §3, RFC 9297 §2.1.1)."""

    extended_connect: bool
    webtransport: bool


class GoawayReceived(msgspec.Struct, frozen=True, gc=False):
    """To a client: requests from `stream` on were not and will not be answered (RFC 9114 §5.2).

    `Aborted` with H3_REQUEST_REJECTED follows for each that is open: those may be sent again elsewhere.
    """

    stream: int


class Closed(msgspec.Struct, frozen=True, gc=False):
    """The connection is over, and with it everything that was open on it. Nothing follows."""

    code: int
    reason: str
    ending: int
    """An `Ending` of the endpoint."""


Event: TypeAlias = (
    RequestReceived
    | ResponseReceived
    | BodyReceived
    | TrailersReceived
    | Aborted
    | Writable
    | SettingsReceived
    | GoawayReceived
    | SessionStream
    | SessionData
    | SessionStreamAborted
    | SessionDatagram
    | SessionClosed
    | Closed
)
