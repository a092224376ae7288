"""What one peer may take of an HTTP/3 connection."""

from __future__ import annotations

from dataclasses import dataclass, field

from chiron.protocols.webtransport.limits import Limits as SessionLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, seconds and numbers of things."""

    field_section_bytes: int = 16_384
    """Of one head or of trailers, counted as RFC 9114 §4.2.2 does: 32 bytes more for each field. Advertised."""
    header_fields: int = 100
    target_bytes: int = 8_192
    body_bytes: int = 1_048_576
    """Of one request. What the owner takes may be less."""
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its head."""
    body_grace_seconds: float = 10.0
    body_bytes_per_second: float = 1024.0
    """A body must have come, on average, at this rate once the grace is over; pauses do not count."""
    stall_seconds: float = 60.0
    """That a response may wait for a client that gives no credit."""
    requests_open: int = 256
    """As many as the engine's credit allows at once: a client that keeps to it is never refused one."""
    requests: int = 100_000
    """Of one connection, which then gets GOAWAY and, once nothing is open, `drain_seconds` to go away itself."""
    drain_seconds: float = 5.0
    cancellations: int = 100
    """Requests that a client may waste (cancel, or have refused) in one go; beyond it the connection is closed."""
    cancellations_per_second: float = 10.0
    """At which that allowance comes back."""
    idle_frames: int = 256
    """Frames that carry nothing (unknown, or DATA of no bytes) allowed on one stream between two of data."""
    control_bytes: int = 4_096
    """Of one frame on the control stream that is kept to be read."""
    control_frames: int = 1_024
    """On the control stream, besides sixteen for each request."""
    webtransport: SessionLimits = field(default_factory=SessionLimits)
