"""ULIDs: the client ids of publishes. 48 bits of milliseconds, 80 random bits, in Crockford's base32."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new() -> str:
    """26 characters, sortable by time of making."""
    value = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))
