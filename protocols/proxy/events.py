"""What a connection tells its owner: exactly one of these, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chiron.protocols.proxy.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`address` is an IPv4 or IPv6 address in its canonical text (RFC 5952)."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The header is complete; `trailing` and all that follows is the proxied protocol's.

    `source` is who connected to the proxy, `destination` where. Both are None when the proxy speaks for itself (LOCAL,
    as for its health checks) or does not say: then the connection's own endpoints count.
    """

    source: Endpoint | None
    destination: Endpoint | None
    trailing: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """No acceptable header came, or not in time: close at once."""

    error: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Aborted:
    """The peer went away inside the header."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer went away before it said anything, as many health checks do."""


Event: TypeAlias = Accepted | Refused | Aborted | Finished
