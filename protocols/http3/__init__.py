"""HTTP/3 (RFC 9114) over an endpoint of QUIC, both halves: requests, responses, tunnels and WebTransport sessions."""

from chiron.protocols.http3.connection import Connection
from chiron.protocols.http3.errors import ErrorCode, LocalProtocolError
from chiron.protocols.http3.events import (
    Aborted,
    BodyReceived,
    Closed,
    Event,
    GoawayReceived,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
    TrailersReceived,
    Writable,
)
from chiron.protocols.http3.limits import Limits
from chiron.protocols.http3.priority import Priority
from chiron.protocols.webtransport.events import (
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionStream,
    SessionStreamAborted,
)

__all__ = [
    "Aborted",
    "BodyReceived",
    "Closed",
    "Connection",
    "ErrorCode",
    "Event",
    "GoawayReceived",
    "Limits",
    "LocalProtocolError",
    "Priority",
    "RequestReceived",
    "ResponseReceived",
    "SessionClosed",
    "SessionData",
    "SessionDatagram",
    "SessionStream",
    "SessionStreamAborted",
    "SettingsReceived",
    "TrailersReceived",
    "Writable",
]
