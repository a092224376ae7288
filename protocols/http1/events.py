"""What a connection tells its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chiron.protocols.http1.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Answer it with `Connection.respond` or `Connection.switch`; until then no other comes.

    `target` is in origin form, or `*` (RFC 9112 §3.2); names in `headers` are lower case, values latin-1.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    version: str
    """`1.0` or `1.1`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What came is no acceptable request: answer with `Connection.respond`, which then closes."""

    error: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Aborted:
    """The peer went away inside a request, or before its answer: nothing can be sent any more."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer is done, or was idle for too long, between requests: close."""


Event: TypeAlias = Request | Refused | Aborted | Finished
