"""One connection behind the seam of `endpoint`: aioquic's calls and events in terms of ours.

Receive backpressure: aioquic hands over data as it comes, so what comes on a paused stream is held here, and earns the
peer no credit until it is taken (see `transport`). That bounds what is held by the windows in `limits`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

from aioquic.quic import events
from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.packet import QuicErrorCode
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStreamSender

from chiron.protocols.quic.endpoint import HIGH_WATER, LOW_WATER, Address, Ending, Event, Kind
from chiron.protocols.quic.limits import Limits
from chiron.protocols.quic.transport import ServerTransport, Transport

_SHORT_HEADER = 3
_TAG = 16
_DATAGRAM_HEADER = 3
"""Frame type and a length of two bytes."""
_REASON_BYTES = 256

# How a connection ends
# ---------------------
#
# aioquic speaks of the end when its closing or draining period is over; here CLOSED is told as soon as it is certain,
# and what comes after it is no news any more. Who ended it is read from the state in which aioquic is by then:
#
#   DRAINING             the peer closed: by its application if the frame names no frame type, else its QUIC
#   CLOSING, or pending  we closed: `close` has said CLOSED before, so it was our QUIC that found an error
#   TERMINATED           nobody closed: the idle timeout, or no version in common


class Session:
    """A connection `number`, opened or not. Its events are appended to `events`."""

    def __init__(
        self, number: int, transport: Transport, limits: Limits, happened: list[Event], now: float, *, quiet: bool
    ) -> None:
        self.number = number
        self.transport = transport
        self.opened = False
        self.connected = False
        self.resumed = False
        self.closed = False
        """Nothing is told of it any more; it may still have to say goodbye."""
        self.armed: float | None = None
        """When its owner's timer is set for."""
        self.connection_ids: set[bytes] = set()
        self.fresh_ids: list[bytes] = []
        self.retired_ids: list[bytes] = []
        self.moves = 0
        self.inbox = 0
        """Bytes of datagrams that came since events were taken."""
        self._limits = limits
        self._events = happened
        self._quiet = quiet
        self._handshake_deadline = now + limits.handshake_seconds
        self._address: Address | None = None
        self._paused: dict[int, bytearray] = {}
        self._ended: set[int] = set()
        """Paused streams whose last byte is held."""
        self._dropped: set[int] = set()
        """Streams that were stopped here."""
        self._stopped: set[int] = set()
        self._waiting: set[int] = set()
        self._datagrams: deque[bytes] = transport._datagrams_pending
        self._farewell: list[tuple[bytes, Address]] = []
        self._late = 0

    # --- the network ---------------------------------------------------------------------------------------------

    @property
    def terminated(self) -> bool:
        return self.transport.state is QuicConnectionState.TERMINATED

    @property
    def blank(self) -> bool:
        """Nothing that came could be decrypted yet."""
        return self.transport.state is QuicConnectionState.FIRSTFLIGHT

    def receive(self, data: bytes, address: Address, now: float) -> None:
        self.transport.now = now
        if self.transport.state is QuicConnectionState.CLOSING:
            self._late += 1
        self.transport.receive_datagram(data, address, now)
        self._collect()

    def transmit(self, now: float) -> list[tuple[bytes, Address]]:
        transport = self.transport
        if transport.state is QuicConnectionState.CLOSING:
            # The peer did not hear the goodbye; it is said again, and ever less often (RFC 9000 §10.2.1).
            again = self._late and not self._late & (self._late - 1)
            self._late += bool(again)
            return self._farewell if again else []
        transport.now = now
        goodbye = transport._close_pending
        datagrams: list[tuple[bytes, Address]] = transport.datagrams_to_send(now)
        if goodbye:
            path = transport._network_paths[0]
            # aioquic counts a goodbye, but lets it go beyond the anti-amplification limit (RFC 9000 §8.1).
            if not path.is_validated and path.bytes_sent > 3 * path.bytes_received:
                datagrams = []
            self._farewell = datagrams
        self._collect()
        for stream in [stream for stream in self._waiting if self.buffered(stream) < LOW_WATER]:
            self._waiting.discard(stream)
            self._tell(Kind.WRITABLE, stream)
        self._stopped.intersection_update(transport._streams)
        return datagrams

    def deadline(self) -> float | None:
        timer = self.transport.get_timer()
        if self.connected or self.closed:
            return timer
        return self._handshake_deadline if timer is None else min(timer, self._handshake_deadline)

    def expire(self, now: float) -> None:
        transport = self.transport
        transport.now = now
        timer = transport.get_timer()
        if timer is not None and now >= timer:
            transport.handle_timer(now)
        if not self.connected and not self.closed and now >= self._handshake_deadline:
            self._close(Ending.TIMEOUT, 0, "the handshake took too long")
            transport.close(error_code=QuicErrorCode.NO_ERROR, frame_type=0)
        self._collect()

    # --- what happened -------------------------------------------------------------------------------------------

    def _tell(self, kind: Kind, stream: int = 0, data: bytes = b"", number: int = 0) -> None:
        if not self.closed:
            self._events.append((self.number, kind, stream, data, number))

    def open_early(self) -> None:
        """A client's streams, before the server answered."""
        self._open()

    def lost(self, reason: str) -> None:
        """The peer is certain not to have the connection any more (RFC 9000 §10.3.1)."""
        if not self.closed:
            self._close(Ending.TRANSPORT, QuicErrorCode.NO_ERROR, reason)
            self.transport.abandon()

    def _open(self) -> None:
        if not self.opened:
            self.opened = True
            name = self.transport.server_name if isinstance(self.transport, ServerTransport) else ""
            self._tell(Kind.OPENED, data=name.encode())

    def _close(self, ending: Ending, code: int, reason: str) -> None:
        if self.opened or not self._quiet:
            self._tell(Kind.CLOSED, ending, reason.encode(), code)
        self.closed = True
        self._paused.clear()
        self._waiting.clear()

    def _collect(self) -> None:
        transport = self.transport
        while (event := transport.next_event()) is not None:
            match event:
                case events.StreamDataReceived():
                    self._received(event.stream_id, event.data, event.end_stream)
                case events.DatagramFrameReceived():
                    self._datagram(event.data)
                case events.StreamReset():
                    self._reset_by_peer(event.stream_id, event.error_code)
                case events.StopSendingReceived():
                    self._stopped_by_peer(event.stream_id, event.error_code)
                case events.ProtocolNegotiated():
                    if isinstance(transport, ServerTransport):
                        self._open()
                case events.HandshakeCompleted():
                    self._open()
                    self.connected = True
                    self.resumed = event.session_resumed
                    self._tell(Kind.CONNECTED, number=int(event.session_resumed))
                case events.ConnectionIdIssued():
                    self.fresh_ids.append(event.connection_id)
                case events.ConnectionIdRetired():
                    self.retired_ids.append(event.connection_id)
        if self.connected:
            self._follow()
        if not self.closed and transport._close_event is not None:
            self._ended_by(transport._close_event)

    def _ended_by(self, event: events.ConnectionTerminated) -> None:
        state = self.transport.state
        if state is QuicConnectionState.DRAINING and event.frame_type is None:
            self._close(Ending.APPLICATION, event.error_code, event.reason_phrase)
        elif state is QuicConnectionState.TERMINATED and event.reason_phrase == "Idle timeout":
            self._close(Ending.TIMEOUT, 0, "nothing came for too long")
        else:
            self._close(Ending.TRANSPORT, event.error_code, event.reason_phrase)

    def _follow(self) -> None:
        """Notice that the peer has another address, once it is validated (RFC 9000 §9.3)."""
        path = self.transport._network_paths[0]
        if path.addr != self._address and path.is_validated:
            if self._address is not None:
                self.moves += 1
                self._tell(Kind.MOVED)
            self._address = path.addr

    def _datagram(self, data: bytes) -> None:
        self.inbox += len(data)
        if self.inbox > self._limits.datagram_queue:
            for at, (connection, kind, _, oldest, _) in enumerate(self._events):
                if connection == self.number and kind == Kind.DATAGRAM:
                    self.inbox -= len(oldest)
                    del self._events[at]
                    break
        self._tell(Kind.DATAGRAM, data=data)

    def _received(self, stream: int, data: bytes, end: bool) -> None:
        transport = self.transport
        if stream in self._dropped or self.closed:
            transport.read(stream, len(data))
        elif (held := self._paused.get(stream)) is not None:
            held += data
            if end:
                self._ended.add(stream)
            return
        else:
            transport.read(stream, len(data))
            self._tell(Kind.STREAM, stream, data, int(end))
        if end:
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        self._dropped.discard(stream)
        self._ended.discard(stream)
        self._paused.pop(stream, None)
        self.transport.forget(stream)

    def _reset_by_peer(self, stream: int, code: int) -> None:
        held = len(self._paused.get(stream, b""))
        self.transport.read(stream, held + self.transport.unread_at_reset(stream))
        if stream not in self._dropped:
            self._tell(Kind.RESET, stream, number=code)
        self._forget(stream)

    def _stopped_by_peer(self, stream: int, code: int) -> None:
        found = self.transport._streams.get(stream)
        if found is None or stream in self._stopped or found.sender.is_finished:
            return
        _discard(found.sender)
        self._waiting.discard(stream)
        self._stopped.add(stream)
        self._tell(Kind.STOPPED, stream, number=code)

    # --- what the application does -------------------------------------------------------------------------------

    def _sender(self, stream: int) -> QuicStreamSender | None:
        """The sending part of a stream that takes more."""
        found = self.transport._streams.get(stream)
        if self.closed or found is None or not self.transport._stream_can_send(stream):
            return None
        sender = found.sender
        if sender.is_finished or sender._reset_error_code is not None or sender._buffer_fin is not None:
            return None
        return sender

    def send(self, stream: int, data: bytes, fin: bool) -> bool:
        sender = self._sender(stream)
        if sender is None:
            return True
        sender.write(data, end_stream=fin)
        if self.buffered(stream) <= HIGH_WATER:
            return True
        self._waiting.add(stream)
        return False

    def open_stream(self, unidirectional: bool) -> int:
        if self.closed:
            return -1
        stream = self.transport.get_next_available_stream_id(unidirectional)
        self.transport.send_stream_data(stream, b"")
        return stream

    def reset(self, stream: int, code: int) -> None:
        found = self.transport._streams.get(stream)
        if not self.closed and found is not None and self.transport._stream_can_send(stream):
            found.sender.reset(code)
            if found.sender.reset_pending:
                _discard(found.sender)
            self._waiting.discard(stream)

    def stop(self, stream: int, code: int) -> None:
        if self.closed or not self.transport._stream_can_receive(stream) or stream in self._dropped:
            return
        found = self.transport._streams.get(stream)
        held = self._paused.pop(stream, None)
        if held:
            self.transport.read(stream, len(held))
        if stream in self._ended or found is None or found.receiver.is_finished:
            self._forget(stream)
            return
        self.transport.stop_stream(stream, code)
        self._dropped.add(stream)

    def pause(self, stream: int) -> None:
        found = self.transport._streams.get(stream)
        if not self.closed and found is not None and not found.receiver.is_finished and stream not in self._dropped:
            self._paused.setdefault(stream, bytearray())

    def resume(self, stream: int) -> None:
        held = self._paused.pop(stream, None)
        if held is None:
            return
        end = stream in self._ended
        if held or end:
            self._received(stream, bytes(held), end)

    def send_datagram(self, data: bytes) -> bool:
        if len(data) > self.max_datagram() or self.closed:
            return False
        waiting = sum(map(len, self._datagrams))
        while self._datagrams and waiting + len(data) > self._limits.datagram_queue:
            waiting -= len(self._datagrams.popleft())
        self.transport.send_datagram_frame(data)
        return True

    def max_datagram(self) -> int:
        transport = self.transport
        taken = transport._remote_max_datagram_frame_size or 0
        room = transport._max_datagram_size - _SHORT_HEADER - len(transport._peer_cid.cid) - _TAG
        return 0 if self.closed else max(0, min(taken, room) - _DATAGRAM_HEADER)

    def buffered(self, stream: int) -> int:
        found = self.transport._streams.get(stream)
        return 0 if found is None else found.sender._buffer_stop - found.sender.highest_offset

    def close(self, code: int, reason: str) -> None:
        if not self.closed:
            # A frame has to fit into a packet.
            reason = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
            self.transport.close(error_code=code, reason_phrase=reason)
            self._close(Ending.LOCAL, code, reason)

    def peer(self) -> Address | None:
        return None if self.closed else self.transport.get_peer_address()


def _discard(sender: QuicStreamSender) -> None:
    """Drop what a sender that was reset would never send again; aioquic keeps it until the stream is gone."""
    sender._buffer.clear()
    sender._pending = RangeSet()
    sender._buffer_stop = sender.highest_offset


class Sessions(ABC):
    """The calls of `endpoint.Streams`, for whoever knows the session of a number."""

    @abstractmethod
    def _act(self, connection: int) -> Session | None:
        """The session of a connection about which something is to be done."""

    def send(self, connection: int, stream: int, data: bytes, fin: bool = False) -> bool:
        session = self._act(connection)
        return session.send(stream, data, fin) if session else True

    def open_stream(self, connection: int, unidirectional: bool) -> int:
        session = self._act(connection)
        return session.open_stream(unidirectional) if session else -1

    def reset(self, connection: int, stream: int, code: int) -> None:
        if session := self._act(connection):
            session.reset(stream, code)

    def stop(self, connection: int, stream: int, code: int) -> None:
        if session := self._act(connection):
            session.stop(stream, code)

    def pause(self, connection: int, stream: int) -> None:
        if session := self._act(connection):
            session.pause(stream)

    def resume(self, connection: int, stream: int) -> None:
        if session := self._act(connection):
            session.resume(stream)

    def send_datagram(self, connection: int, data: bytes) -> bool:
        session = self._act(connection)
        return session.send_datagram(data) if session else False

    def max_datagram(self, connection: int) -> int:
        session = self._act(connection)
        return session.max_datagram() if session else 0

    def buffered(self, connection: int, stream: int) -> int:
        session = self._act(connection)
        return session.buffered(stream) if session else 0

    def close(self, connection: int, code: int, reason: str = "") -> None:
        if session := self._act(connection):
            session.close(code, reason)

    def peer(self, connection: int) -> Address | None:
        session = self._act(connection)
        return session.peer() if session else None
