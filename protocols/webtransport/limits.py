"""What one peer may take of the sessions of a connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of things, and bytes."""

    sessions: int = 16
    """Open at once; one more is answered with 429."""
    streams: int = 256
    """That the peer may have open in one session."""
    early_streams: int = 16
    """That may wait for a session that is not accepted yet, in all sessions of a connection."""
    early_bytes: int = 65_536
    """Of streams and datagrams that wait with them."""
    datagram_bytes: int = 65_536
    """Of a datagram that comes in a capsule."""
