"""What a WebTransport session tells the owner of its connection. `session` is the stream of its CONNECT request."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class SessionStream(msgspec.Struct, frozen=True, gc=False):
    """The peer opened a stream in a session."""

    session: int
    stream: int
    bidirectional: bool


class SessionData(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a stream, also of one that we opened; `end`: the last."""

    session: int
    stream: int
    data: bytes
    end: bool


class SessionStreamAborted(msgspec.Struct, frozen=True, gc=False):
    """The peer gave up sending on a stream or, with `stopped`, wants no more of ours, which is then reset.

    `code` is the peer's application error code; None when it gave another one, of HTTP/3 or of nobody.
    """

    session: int
    stream: int
    code: int | None
    stopped: bool


class SessionDatagram(msgspec.Struct, frozen=True, gc=False):
    session: int
    data: bytes


class SessionClosed(msgspec.Struct, frozen=True, gc=False):
    """The peer ended a session, and with it all its streams.

    `clean`: it said so itself; otherwise its stream was aborted or broke the protocol.
    """

    session: int
    code: int
    reason: str
    clean: bool


SessionEvent: TypeAlias = SessionStream | SessionData | SessionStreamAborted | SessionDatagram | SessionClosed
