"""HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112), the server's half: bytes and a timestamp in, events and bytes out."""

from chiron.protocols.http1.connection import Connection, Limits, State
from chiron.protocols.http1.errors import LocalProtocolError, RemoteProtocolError
from chiron.protocols.http1.events import Aborted, Event, Finished, Refused, Request

__all__ = [
    "Aborted",
    "Connection",
    "Event",
    "Finished",
    "Limits",
    "LocalProtocolError",
    "Refused",
    "RemoteProtocolError",
    "Request",
    "State",
]
