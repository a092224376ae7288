"""WebTransport over HTTP/3 (draft-ietf-webtrans-http3-02, RFC 9297): sessions, their streams, datagrams and capsules.

A session lives on an HTTP/3 connection, so `chiron.protocols.http3.Connection` is how it is used.
"""

from chiron.protocols.webtransport.capsules import CapsuleReader
from chiron.protocols.webtransport.errors import CapsuleError, SessionIdError
from chiron.protocols.webtransport.events import (
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionEvent,
    SessionStream,
    SessionStreamAborted,
)
from chiron.protocols.webtransport.limits import Limits
from chiron.protocols.webtransport.sessions import Sessions, datagram_prefix

__all__ = [
    "CapsuleError",
    "CapsuleReader",
    "Limits",
    "SessionClosed",
    "SessionData",
    "SessionDatagram",
    "SessionEvent",
    "SessionIdError",
    "SessionStream",
    "SessionStreamAborted",
    "Sessions",
    "datagram_prefix",
]
