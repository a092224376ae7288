"""A client and a server of HTTP/3 over a pair of endpoints in memory, on one clock of the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quic_pair import CONNECTION, MemoryEndpoint, pair

from chiron.protocols.http3 import Connection, Event, Limits
from chiron.protocols.quic import varint
from chiron.protocols.quic.endpoint import Kind

GET = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"chiron.test"), (b":path", b"/")]


def whole(data: bytes) -> Sequence[bytes]:
    return [data]


class Pair:
    """`turn` carries everything to and fro, and collects what each side was told."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        cut: Callable[[bytes], Sequence[bytes]] = whole,
        early: bool = False,
        datagrams: int = 1200,
    ) -> None:
        self.now = 100.0
        self.cut = cut
        self.client_endpoint, self.server_endpoint = pair()
        self.client_endpoint.datagram_size = self.server_endpoint.datagram_size = datagrams
        self.client = Connection(self.client_endpoint, CONNECTION, client=True, now=self.now)
        self.server = Connection(self.server_endpoint, CONNECTION, limits=limits, now=self.now)
        self.client_told: list[Event] = []
        self.server_told: list[Event] = []
        if not early:
            self.connected()
        self.turn()

    def connected(self) -> None:
        for endpoint in (self.client_endpoint, self.server_endpoint):
            endpoint.events.append((CONNECTION, Kind.CONNECTED, 0, b"", 0))

    def turn(self) -> None:
        """Until nothing is under way."""
        while True:
            self.client_endpoint.deliver(self.cut)
            self.server_endpoint.deliver(self.cut)
            client, server = self.client_endpoint.poll(), self.server_endpoint.poll()
            for event in client:
                self.client_told += self.client.receive(event, self.now)
            for event in server:
                self.server_told += self.server.receive(event, self.now)
            if not (client or server or self.client_endpoint.waits() or self.server_endpoint.waits()):
                return

    def served(self) -> list[Event]:
        """Carry, and what the server was told since the last call."""
        self.turn()
        told, self.server_told = self.server_told, []
        return told

    def answered(self) -> list[Event]:
        """Carry, and what the client was told since the last call."""
        self.turn()
        told, self.client_told = self.client_told, []
        return told

    def get(self, path: str = "/", **kwargs: object) -> int:
        return self.client.request("GET", "https", "chiron.test", path)


class RawClient:
    """A server of HTTP/3 and a client that says what it likes, byte by byte. Header blocks are static QPACK."""

    def __init__(self, limits: Limits | None = None, *, settings: bytes | None = b"", connected: bool = True) -> None:
        self.now = 100.0
        self.endpoint, self.server_endpoint = pair()
        self.server = Connection(self.server_endpoint, CONNECTION, limits=limits, now=self.now)
        self.told: list[Event] = []
        if connected:
            self.server_endpoint.events.append((CONNECTION, Kind.CONNECTED, 0, b"", 0))
        self.control = self.endpoint.open_stream(CONNECTION, True)
        if settings is not None:
            self.send(self.control, b"\x00" + frame(0x04, settings))

    def send(self, stream: int, data: bytes, fin: bool = False) -> list[Event]:
        """Bytes of a stream; what the server was told because of them."""
        self.endpoint.send(CONNECTION, stream, data, fin)
        return self.turn()

    def request(self, data: bytes, fin: bool = False) -> tuple[int, list[Event]]:
        """The same on a request stream of its own."""
        stream = self.endpoint.open_stream(CONNECTION, False)
        return stream, self.send(stream, data, fin)

    def open(self, data: bytes, fin: bool = False) -> tuple[int, list[Event]]:
        """The same on a unidirectional stream of its own."""
        stream = self.endpoint.open_stream(CONNECTION, True)
        return stream, self.send(stream, data, fin)

    def turn(self) -> list[Event]:
        self.endpoint.deliver()
        return self.serve()

    def serve(self) -> list[Event]:
        """Have the server read what its endpoint has told."""
        told: list[Event] = []
        for event in self.server_endpoint.poll():
            told += self.server.receive(event, self.now)
        self.told += told
        return told

    def expire(self, now: float) -> list[Event]:
        self.now = now
        return self.server.expire(now)

    @property
    def closed(self) -> int | None:
        """The code with which the server has closed the connection."""
        return None if self.server_endpoint.closed is None else self.server_endpoint.closed[0]

    def sent(self, stream: int) -> bytes:
        """What the server has sent on a stream, since the last call."""
        sending = self.server_endpoint.sending.get(stream)
        if sending is None:
            return b""
        data = bytes(sending.data)
        sending.data.clear()
        return data

    def ended(self, stream: int) -> bool:
        sending = self.server_endpoint.sending.get(stream)
        return sending is not None and sending.fin


def frame(kind: int, payload: bytes) -> bytes:
    return varint.encode(kind) + varint.encode(len(payload)) + payload


def section(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A field section of literals without the dynamic table (RFC 9204 §4.5.6)."""
    block = bytearray(b"\x00\x00")
    for name, value in fields:
        block += _prefixed(len(name), 3, 0x20) + name + _prefixed(len(value), 7, 0x00) + value
    return bytes(block)


def head(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A HEADERS frame."""
    return frame(0x01, section(fields))


def _prefixed(number: int, bits: int, first: int) -> bytes:
    """An integer with a prefix (RFC 7541 §5.1)."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([first | number])
    out = bytearray([first | most])
    number -= most
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


__all__ = ["CONNECTION", "GET", "MemoryEndpoint", "Pair", "RawClient", "frame", "head", "section"]
