"""The records that a connection keeps: of each open request, of the streams that it has seen, of a peer's waste."""

from __future__ import annotations

from chiron.protocols.http3.framing import Message
from chiron.protocols.http3.priority import Priority


class Exchange:
    """One request and its response, while either is open."""

    # Defaults belong to the class: most requests set few of them.
    method = ""
    protocol: str | None = None
    head = False
    """The peer's head has come, and the owner knows of it."""
    length: int | None = None
    """Bytes that the peer's body must have."""
    body_bytes = 0
    received = False
    """All that the peer has to say has come, or is not wanted."""
    responded = False
    """The final head was sent."""
    sending = True
    tunnel = False
    """CONNECT: what follows the head is no body, but somebody else's bytes both ways (RFC 9114 §4.4)."""
    paused_at: float | None = None
    blocked = False
    """The head waits for the QPACK encoder stream, and reading is paused for it."""
    priority: str | Priority | None = None

    def __init__(self, stream: int, message: Message, now: float) -> None:
        self.stream = stream
        self.message = message
        self.began = now
        """The phase that is being received: the head, then the body."""


class Seen:
    """Which streams of one kind were opened. QUIC opens all below the highest, but data may come in any order."""

    __slots__ = ("_gaps", "next")

    def __init__(self, kind: int) -> None:
        self.next = kind
        self._gaps: set[int] | None = None

    def first(self, stream: int) -> bool:
        """Note a stream; whether it is the first time."""
        if stream == self.next:
            self.next += 4
            return True
        if stream > self.next:
            self._gaps = (self._gaps or set()) | set(range(self.next, stream, 4))
            self.next = stream + 4
            return True
        if self._gaps and stream in self._gaps:
            self._gaps.discard(stream)
            return True
        return False

    def __contains__(self, stream: int) -> bool:
        return stream < self.next and not (self._gaps and stream in self._gaps)


class Allowance:
    """A bucket of what a peer may waste: `burst` at once, and `rate` a second."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: int, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = float(burst)
        self._at = now

    def take(self, now: float, cost: float) -> bool:
        """Waste `cost` more; False: it was too much."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - cost
        self._at = now
        return self._left >= 0.0
