"""The PROXY protocol, version 2, the receiver's half: whose connection a proxy in front has passed on.

Cited as "PROXY" with the section of the specification (`doc/proxy-protocol.txt` of HAProxy).
"""

from chiron.protocols.proxy.connection import Connection, Limits, State
from chiron.protocols.proxy.errors import LocalProtocolError, RemoteProtocolError
from chiron.protocols.proxy.events import Aborted, Accepted, Endpoint, Event, Finished, Refused

__all__ = [
    "Aborted",
    "Accepted",
    "Connection",
    "Endpoint",
    "Event",
    "Finished",
    "Limits",
    "LocalProtocolError",
    "Refused",
    "RemoteProtocolError",
    "State",
]
