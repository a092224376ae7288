"""Two endpoints of QUIC in memory, without packets: what one sends, the other's `poll` tells, in order for each stream.

Streams, resets and datagrams behave as `Streams` of `chiron.protocols.quic.endpoint` says. Data waits until
`deliver`, which may cut it anywhere. It is for tests of what runs on QUIC; QUIC itself is tested with the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chiron.protocols.quic.endpoint import HIGH_WATER, Address, Ending, Event, Kind

CONNECTION = 1


@dataclass
class Sending:
    data: bytearray = field(default_factory=bytearray)
    fin: bool = False
    over: bool = False
    """It was reset, or all of it was handed over."""
    high: bool = False


class MemoryEndpoint:
    """One side; see `pair`."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.peer_side: MemoryEndpoint
        self.events: list[Event] = []
        self.sending: dict[int, Sending] = {}
        self.paused: set[int] = set()
        self.stopped: dict[int, int] = {}
        """Streams that we want no more of, and with which code."""
        self.resets: dict[int, int] = {}
        """Streams that we gave up sending on, and with which code."""
        self.datagrams: list[bytes] = []
        self.datagram_size = 1200
        self.closed: tuple[int, str] | None = None
        self.sends = 0
        self._next = {False: side, True: 2 + side}

    # --- the seam ----------------------------------------------------------------------------------------------------

    def poll(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def send(self, connection: int, stream: int, data: bytes, fin: bool = False) -> bool:
        if self.closed or stream < 0:
            return True
        self.sends += 1
        sending = self.sending.setdefault(stream, Sending())
        if sending.over or sending.fin:
            return True
        sending.data += data
        sending.fin = fin
        sending.high = sending.high or len(sending.data) > HIGH_WATER
        return len(sending.data) <= HIGH_WATER

    def open_stream(self, connection: int, unidirectional: bool) -> int:
        if self.closed:
            return -1
        stream = self._next[unidirectional]
        self._next[unidirectional] += 4
        return stream

    def reset(self, connection: int, stream: int, code: int) -> None:
        sending = self.sending.setdefault(stream, Sending())
        if not sending.over and not self.closed:
            sending.over = True
            sending.data.clear()
            self.resets[stream] = code
            if stream not in self.peer_side.stopped:
                self.peer_side.events.append((CONNECTION, Kind.RESET, stream, b"", code))

    def stop(self, connection: int, stream: int, code: int) -> None:
        if stream not in self.stopped and not self.closed:
            self.stopped[stream] = code
            self.events = [e for e in self.events if not (e[1] in (Kind.STREAM, Kind.RESET) and e[2] == stream)]
            sending = self.peer_side.sending.get(stream)
            if sending is None or not sending.over:
                self.peer_side.events.append((CONNECTION, Kind.STOPPED, stream, b"", code))

    def pause(self, connection: int, stream: int) -> None:
        self.paused.add(stream)

    def resume(self, connection: int, stream: int) -> None:
        self.paused.discard(stream)

    def send_datagram(self, connection: int, data: bytes) -> bool:
        if self.closed or len(data) > self.datagram_size:
            return False
        self.datagrams.append(data)
        return True

    def max_datagram(self, connection: int) -> int:
        return self.datagram_size

    def buffered(self, connection: int, stream: int) -> int:
        return len(self.sending[stream].data) if stream in self.sending else 0

    def peer(self, connection: int) -> Address | None:
        return ("192.0.2.1", 4433)

    def close(self, connection: int, code: int, reason: str = "") -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self.events.append((CONNECTION, Kind.CLOSED, Ending.LOCAL, reason.encode(), code))
            self.peer_side.closed = (code, reason)
            self.peer_side.events.append((CONNECTION, Kind.CLOSED, Ending.APPLICATION, reason.encode(), code))

    # --- what a socket would do --------------------------------------------------------------------------------------

    def deliver(self, cut: Callable[[bytes], Sequence[bytes]] = lambda data: [data]) -> None:
        """Hand what waits to the other side, cut into the pieces that `cut` makes of it."""
        other = self.peer_side
        for stream in sorted(self.sending):
            sending = self.sending[stream]
            if sending.over or stream in other.paused or not (sending.data or sending.fin):
                continue
            pieces = [piece for piece in cut(bytes(sending.data)) if piece] or [b""]
            sending.data.clear()
            sending.over = sending.fin
            if sending.high:
                sending.high = False
                self.events.append((CONNECTION, Kind.WRITABLE, stream, b"", 0))
            if stream in other.stopped:
                continue
            for index, piece in enumerate(pieces):
                last = sending.fin and index == len(pieces) - 1
                other.events.append((CONNECTION, Kind.STREAM, stream, piece, int(last)))
        for data in self.datagrams:
            other.events.append((CONNECTION, Kind.DATAGRAM, 0, data, 0))
        self.datagrams.clear()

    def waits(self) -> bool:
        return bool(self.datagrams) or any(
            (sending.data or sending.fin) and not sending.over and stream not in self.peer_side.paused
            for stream, sending in self.sending.items()
        )


def pair() -> tuple[MemoryEndpoint, MemoryEndpoint]:
    """(client, server), each with the one connection 1, whose handshake is over."""
    client, server = MemoryEndpoint(0), MemoryEndpoint(1)
    client.peer_side, server.peer_side = server, client
    return client, server
