"""The start of one connection that a proxy passes on: bytes and a timestamp in, one event out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from chiron.protocols.proxy import frames
from chiron.protocols.proxy.errors import LocalProtocolError, RemoteProtocolError
from chiron.protocols.proxy.events import Aborted, Accepted, Event, Finished, Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """What a proxy may take: bytes and seconds."""

    block_bytes: int = 2_048
    """Addresses and type-length-values. PROXY §2.2 promises no more than 520; client certificates need more."""
    header_seconds: float = 3.0
    """From the opening of the connection to the end of the header: a proxy sends it in one piece and at once."""


class State(Enum):
    """READING until the one event; DONE after it, whatever it was."""

    READING = auto()
    DONE = auto()


class Connection:
    """Sans-I/O: `receive` bytes, act on the event; call `expire` at `deadline`. Nothing is ever sent (PROXY §2).

    `now` is in seconds of any monotonic clock. The event does not depend on how the bytes were cut, but for what of
    the proxied protocol is `trailing` and what comes later.
    """

    def __init__(self, now: float, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.state = State.READING
        self._began = now
        self._input = bytearray()

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the peer. Raises LocalProtocolError after the event: they are another protocol's then."""
        if self.state is State.DONE:
            raise LocalProtocolError("the header has been read")
        self._input += data
        try:
            return self._done(self._read())
        except RemoteProtocolError as error:
            return self._done(Refused(error))

    def receive_end(self, now: float) -> list[Event]:
        """The peer will send nothing more."""
        if self.state is State.DONE:
            return []
        return self._done(Aborted() if self._input else Finished())

    def to_send(self, now: float) -> bytes:
        return b""

    def deadline(self) -> float | None:
        """When to call `expire`."""
        return None if self.state is State.DONE else self._began + self.limits.header_seconds

    def expire(self, now: float) -> list[Event]:
        """Time has come to `now`: a header that is not complete is refused."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        return self._done(Refused(RemoteProtocolError("no complete header came in time")))

    def _read(self) -> Accepted | None:
        """None while more is needed. Raises RemoteProtocolError."""
        data = self._input
        if not frames.SIGNATURE.startswith(data[: len(frames.SIGNATURE)]):
            raise RemoteProtocolError("the connection does not begin with a header of the PROXY protocol, version 2")
        if len(data) < frames.PREAMBLE:
            return None
        _, _, length = frames.read_preamble(data)
        if length > self.limits.block_bytes:
            raise RemoteProtocolError(f"the header has more than {self.limits.block_bytes} bytes")
        end = frames.PREAMBLE + length
        if len(data) < end:
            return None
        endpoints = frames.read_header(bytes(data[:end]))
        source, destination = endpoints or (None, None)
        return Accepted(source, destination, bytes(data[end:]))

    def _done(self, event: Event | None) -> list[Event]:
        if event is None:
            return []
        self.state = State.DONE
        self._input.clear()
        return [event]
