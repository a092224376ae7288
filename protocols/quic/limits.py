"""What one QUIC connection, and one endpoint, may take.

The native engine takes the same names as keywords, but for `max_stream_window`: its streams' windows stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and numbers of things."""

    idle_seconds: float = 30.0
    """A connection from which nothing comes for so long is over (RFC 9000 §10.1)."""
    handshake_seconds: float = 10.0
    max_connections: int = 10_000
    """Those in their handshake included; beyond it new ones get CONNECTION_REFUSED."""
    streams_bidi: int = 16
    """Streams of each kind that a peer may have open at first (RFC 9000 §4.6)."""
    streams_uni: int = 16
    max_streams: int = 256
    """Up to which the number of one kind rises, doubled whenever half of it is open."""
    stream_window: int = 262_144
    """Bytes that a peer may send on a stream before any was read (RFC 9000 §4.1)."""
    max_stream_window: int = 4_194_304
    """Up to which a stream's window rises, doubled when half of it is read within two round trips."""
    connection_window: int = 1_048_576
    max_connection_window: int = 16_777_216
    datagram_queue: int = 65_536
    """Bytes of DATAGRAM frames that wait, each way, before old ones are dropped."""
