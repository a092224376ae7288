"""ULIDs: the client ids of publishes. 48 bits of milliseconds, 80 random bits, in Crockford's base32."""

from __future__ import annotations

import secrets
import time
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new() -> str:
    """26 characters, sortable by time of making."""
    return _text(int(time.time() * 1000) << 80 | secrets.randbits(80))


def from_uuid(id: UUID) -> str:
    """The same 128 bits: for a message that must be sent once for each of something that has a UUID."""
    return _text(id.int)


def _text(value: int) -> str:
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))
