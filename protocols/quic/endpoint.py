"""The seam between QUIC and what runs on it: one endpoint per UDP socket, whatever engine is inside.

Routing by connection id, Retry, version negotiation, stateless reset, loss recovery and timers stay inside. Nothing
here reads a clock: `now` is an argument, in seconds of a monotonic clock. Connections are numbered from 1 and streams
have their QUIC ids (RFC 9000 §2.1). A call about a connection or stream that is gone does nothing.

How it is driven: `receive` (or `feed`), then `poll` until all events are handled, then `flush` (or `take`), and a timer
at `next_timeout`. Whatever a handler queued while events were handled leaves with that one flush.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

Address = tuple[str, int]
"""Numeric IP address and UDP port; an IPv4 peer of a dual-stack socket is IPv4-mapped (`::ffff:192.0.2.1`)."""


class Kind(IntEnum):
    """What an event says; `data` and `number` of the event depend on it."""

    OPENED = 0
    """Streams may be used from now on: the server's first flight is on its way. `data` is the server name that the
    client asked for, or empty. What arrives between OPENED and CONNECTED is early data (RFC 9001 §4.6.1)."""
    CONNECTED = 1
    """The handshake is complete. `number` is 1 when the session was resumed."""
    STREAM = 2
    """`data` of a stream, in order; `number` is 1 when it is the last."""
    RESET = 3
    """The peer gave up sending on a stream, with the application error code `number`."""
    STOPPED = 4
    """The peer wants no more of a stream, with the application error code `number`; what waited is dropped."""
    WRITABLE = 5
    """What waits for a stream sank below `LOW_WATER`, after `send` had said that it was above `HIGH_WATER`."""
    DATAGRAM = 6
    """`data` of a DATAGRAM frame (RFC 9221)."""
    MOVED = 7
    """The peer has another address, which was validated (RFC 9000 §9)."""
    CLOSED = 8
    """The connection is over: `number` is the error code, `data` the reason phrase, `stream` an `Ending`."""


class Ending(IntEnum):
    """Who ended a connection, and how."""

    APPLICATION = 0
    """CONNECTION_CLOSE of the application (RFC 9000 §19.19, type 0x1d)."""
    TRANSPORT = 1
    """CONNECTION_CLOSE of QUIC (type 0x1c), a stateless reset, or no version in common."""
    TIMEOUT = 2
    """Idle for too long, or the handshake did not finish."""
    LOCAL = 3
    """`close` was called here."""


Event = tuple[int, int, int, bytes, int]
"""(connection, kind, stream, data, number)."""

HIGH_WATER = 65_536
"""Bytes waiting for one stream above which `send` asks to be called no more."""
LOW_WATER = 16_384


class Streams(Protocol):
    """What runs on connections needs no more than this: calls about connections and their streams."""

    def send(self, connection: int, stream: int, data: bytes, fin: bool = False) -> bool:
        """Queue bytes of a stream. False: more than `HIGH_WATER` bytes wait; go on at WRITABLE."""
        ...

    def open_stream(self, connection: int, unidirectional: bool) -> int:
        """The id of a new stream of ours. Beyond the peer's limit it is a promise: what is sent waits for it.

        -1 when the connection is gone.
        """
        ...

    def reset(self, connection: int, stream: int, code: int) -> None:
        """Give up sending on a stream (RFC 9000 §19.4)."""
        ...

    def stop(self, connection: int, stream: int, code: int) -> None:
        """Ask the peer to send no more on a stream (RFC 9000 §19.5), and drop what comes."""
        ...

    def pause(self, connection: int, stream: int) -> None:
        """Make no more STREAM events of a stream: its peer gets no more credit, and has to wait."""
        ...

    def resume(self, connection: int, stream: int) -> None: ...

    def send_datagram(self, connection: int, data: bytes) -> bool:
        """Queue a DATAGRAM frame, which may be lost. False: the peer takes none, or none so long."""
        ...

    def max_datagram(self, connection: int) -> int:
        """Bytes that a datagram may have now; 0: the peer takes none."""
        ...

    def buffered(self, connection: int, stream: int) -> int:
        """Bytes of a stream that were queued and not given to the network yet."""
        ...

    def close(self, connection: int, code: int, reason: str = "") -> None:
        """End a connection with an application error code (RFC 9000 §10.2). CLOSED follows."""
        ...

    def peer(self, connection: int) -> Address | None:
        """Where the peer is now; None when the connection is gone."""
        ...


class DatagramEndpoint(Streams, Protocol):
    """An end of QUIC without a socket: a server's, or a client with its one connection."""

    def feed(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Take datagrams that somebody read, and who sent each."""
        ...

    def poll(self) -> list[Event]:
        """What happened since the last call, in order for each connection; empty: nothing is left."""
        ...

    def take(self, now: float) -> list[tuple[bytes, Address]]:
        """What may be sent now, for somebody to send."""
        ...

    def next_timeout(self) -> float | None:
        """When to call `handle_timeouts`; at least a millisecond ahead of the last `now`."""
        ...

    def handle_timeouts(self, now: float) -> None: ...


class ServerEndpoint(DatagramEndpoint, Protocol):
    """A server without its socket."""

    def refuse(self) -> None:
        """From now on answer new connections with CONNECTION_REFUSED (RFC 9000 §5.2.2)."""
        ...

    def reload(self, chain: bytes, key: bytes, named: tuple[bytes, bytes] | None) -> None:
        """Another certificate from the next handshake on. Raises ValueError and keeps the old one."""
        ...

    def set_ticket_keys(self, keys: Sequence[bytes]) -> None:
        """Keys of session tickets: the first seals, all of them open."""
        ...

    def stats(self) -> dict[str, int]:
        """Now: connections. Since the start: handshakes, resumed, refused, retries, received_datagrams,
        sent_datagrams, received_bytes, sent_bytes, lost_packets, moved."""
        ...


class Endpoint(ServerEndpoint, Protocol):
    """A server and its UDP socket. All methods belong to the thread of the loop."""

    def receive(self, descriptor: int, now: float) -> bool:
        """Read what waits at a non-blocking UDP socket, in batches, and `feed` it. True: there may be more, call again.

        Raises OSError when the socket is broken; an ICMP error about one peer is no error.
        """
        ...

    def flush(self, descriptor: int, now: float) -> bool:
        """Send what `take` would give. False: the socket takes no more; call again when it is writable.

        Raises OSError when the socket is broken.
        """
        ...
