"""The WebTransport sessions of one HTTP/3 connection: their streams, datagrams and end (draft-02, RFC 9297)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from chiron.protocols.quic import varint
from chiron.protocols.quic.endpoint import Streams
from chiron.protocols.webtransport import capsules, draft02
from chiron.protocols.webtransport.errors import CapsuleError, SessionIdError
from chiron.protocols.webtransport.events import (
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionEvent,
    SessionStream,
    SessionStreamAborted,
)
from chiron.protocols.webtransport.limits import Limits

# The life of a session
# ---------------------
#
# A session is the stream of its CONNECT request. QUIC keeps no order between streams, so streams and datagrams of a
# session may come before the request (EXPECTED), or before it is answered (PENDING). What they say waits in `waiting`,
# in order, and the streams are paused; accepting the session (OPEN) hands all of it over. A session that ends is
# forgotten, and its streams are reset; streams that come for it later are refused, as are those for which there was
# no room to wait.


class State(Enum):
    EXPECTED = auto()
    PENDING = auto()
    OPEN = auto()


def datagram_prefix(session: int) -> bytes:
    """What the datagrams of a session begin with (RFC 9297 §2.1)."""
    return varint.encode(session // 4)


class Session:
    __slots__ = ("began", "ended", "held", "number", "opened", "reader", "state", "streams", "waiting")

    def __init__(self, number: int, state: State, began: float, limits: Limits) -> None:
        self.number = number
        self.state = state
        self.began = began
        self.reader = capsules.CapsuleReader(
            {capsules.DATAGRAM: limits.datagram_bytes, draft02.CAPSULE_CLOSE: 4 + draft02.REASON_BYTES}
        )
        self.streams: set[int] = set()
        self.opened = 0
        """Of the streams, those that the peer opened."""
        self.waiting: list[SessionEvent] = []
        self.held = bytearray()
        """Capsules that came before the session was accepted."""
        self.ended = False
        """And whether that was all of them."""


class Lane:
    """A stream of a session: which halves of it are open."""

    __slots__ = ("local", "receiving", "sending", "session", "stream")

    def __init__(self, session: Session, stream: int, *, receiving: bool, sending: bool, local: bool) -> None:
        self.session = session
        self.stream = stream
        self.receiving = receiving
        self.sending = sending
        self.local = local


class Sessions:
    """All sessions of one connection. `unseen(stream)`: whether a request may still come on a stream of the peer."""

    def __init__(self, endpoint: Streams, connection: int, limits: Limits, unseen: Callable[[int], bool]) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._limits = limits
        self._unseen = unseen
        self.early_streams = 0
        """Streams that wait for their session."""
        self._early_bytes = 0
        self._requested = 0
        self.sessions: dict[int, Session] = {}
        self.lanes: dict[int, Lane] = {}

    # --- the life of a session ---------------------------------------------------------------------------------------

    def request(self, number: int, now: float) -> bool:
        """A CONNECT request came (or left) on a stream. False: there are too many sessions."""
        session = self.sessions.get(number)
        if self._requested >= self._limits.sessions:
            if session is not None:
                self._refuse(session)
            return False
        if session is None:
            self.sessions[number] = Session(number, State.PENDING, now, self._limits)
        else:
            session.state = State.PENDING
        self._requested += 1
        return True

    def accept(self, number: int) -> list[SessionEvent]:
        """The request is answered with 2xx. What came before it follows."""
        session = self.sessions[number]
        session.state = State.OPEN
        events, session.waiting = session.waiting, []
        self._forget_early(session, events)
        for stream in session.streams:
            self._endpoint.resume(self._connection, stream)
        return events

    def is_open(self, number: int) -> bool:
        session = self.sessions.get(number)
        return session is not None and session.state is State.OPEN

    def end(self, number: int) -> None:
        """A session is over, or was never accepted: so are its streams."""
        session = self.sessions.get(number)
        if session is not None:
            self._refuse(session, draft02.SESSION_GONE if session.state is State.OPEN else None)

    def expire(self, before: float) -> None:
        """Give up sessions whose first stream came `before`, and whose request did not."""
        for session in list(self.sessions.values()):
            if session.state is State.EXPECTED and session.began <= before:
                self._refuse(session)

    def expecting(self) -> float | None:
        """Since when the first session is expected."""
        if not self.early_streams:
            return None
        began = [session.began for session in self.sessions.values() if session.state is State.EXPECTED]
        return min(began, default=None)

    # --- what the peer does ------------------------------------------------------------------------------------------

    def receive_capsules(self, number: int, data: bytes, end: bool) -> list[SessionEvent]:
        """Bytes of the CONNECT stream; with SessionClosed among the events the session is over.

        Raises CapsuleError where the message is malformed.
        """
        session = self.sessions[number]
        if session.state is not State.OPEN:
            session.held += data
            session.ended = end
            if len(session.held) > self._limits.early_bytes:
                raise CapsuleError("too much before the session was accepted")
            return []
        if session.held or session.ended:
            data, end = bytes(session.held) + data, end or session.ended
            session.held.clear()
            session.ended = False
        events: list[SessionEvent] = []
        for kind, value in session.reader.receive(data):
            if kind == capsules.DATAGRAM:
                events.append(SessionDatagram(number, value))
                continue
            if len(value) < 4:
                raise CapsuleError("CLOSE_WEBTRANSPORT_SESSION without a code")
            reason = value[4:].decode("utf-8", "replace")
            events.append(SessionClosed(number, int.from_bytes(value[:4], "big"), reason, True))
            self.end(number)
            return events
        if end:
            session.reader.finish()
            events.append(SessionClosed(number, 0, "", True))
            self.end(number)
        return events

    def adopt(self, stream: int, number: int, bidirectional: bool, now: float) -> Lane | None:
        """The peer opened a stream in a session; None: it was refused. Raises SessionIdError."""
        if number % 4:  # no stream of a client, in both directions
            raise SessionIdError
        session = self.sessions.get(number)
        gone = session is None and not self._unseen(number)
        early = not gone and (session is None or session.state is not State.OPEN)
        full = early and self.early_streams >= self._limits.early_streams
        if gone or full or (session is not None and session.opened >= self._limits.streams):
            code = draft02.SESSION_GONE if gone else draft02.BUFFERED_STREAM_REJECTED
            self._endpoint.stop(self._connection, stream, code)
            if bidirectional:
                self._endpoint.reset(self._connection, stream, code)
            return None
        if session is None:
            session = self.sessions[number] = Session(number, State.EXPECTED, now, self._limits)
        lane = self.lanes[stream] = Lane(session, stream, receiving=True, sending=bidirectional, local=False)
        session.streams.add(stream)
        session.opened += 1
        if early:
            self.early_streams += 1
            session.waiting.append(SessionStream(number, stream, bidirectional))
            self._endpoint.pause(self._connection, stream)
        return lane

    def receive(self, lane: Lane, data: bytes, end: bool) -> list[SessionEvent]:
        """Bytes of a stream."""
        if not lane.receiving:
            return []
        if end:
            lane.receiving = False
            self._retire(lane)
        elif not data:
            return []
        return self._tell(lane.session, SessionData(lane.session.number, lane.stream, data, end), len(data))

    def receive_reset(self, lane: Lane, code: int) -> list[SessionEvent]:
        if not lane.receiving:
            return []
        lane.receiving = False
        self._retire(lane)
        number = draft02.to_application_code(code)
        return self._tell(lane.session, SessionStreamAborted(lane.session.number, lane.stream, number, False), 0)

    def receive_stop(self, lane: Lane, code: int) -> list[SessionEvent]:
        if not lane.sending:
            return []
        lane.sending = False
        self._endpoint.reset(self._connection, lane.stream, code)
        self._retire(lane)
        number = draft02.to_application_code(code)
        return self._tell(lane.session, SessionStreamAborted(lane.session.number, lane.stream, number, True), 0)

    def receive_datagram(self, number: int, data: bytes) -> list[SessionEvent]:
        """A datagram of a session; one of a session that is not there is dropped (RFC 9297 §2.1)."""
        session = self.sessions.get(number)
        return [] if session is None else self._tell(session, SessionDatagram(number, data), len(data))

    # --- what we do --------------------------------------------------------------------------------------------------

    def open_stream(self, number: int, unidirectional: bool) -> int:
        """A stream of ours; -1 when the session or connection is gone."""
        session = self.sessions.get(number)
        if session is None or session.state is not State.OPEN:
            return -1
        stream = self._endpoint.open_stream(self._connection, unidirectional)
        if stream < 0:
            return -1
        header = draft02.stream_header(number, unidirectional=unidirectional)
        self._endpoint.send(self._connection, stream, header)
        self.lanes[stream] = Lane(session, stream, receiving=not unidirectional, sending=True, local=True)
        session.streams.add(stream)
        return stream

    def send(self, lane: Lane, data: bytes, end: bool) -> bool:
        if not lane.sending:
            return True
        if end:
            lane.sending = False
            self._retire(lane)
        return self._endpoint.send(self._connection, lane.stream, data, end)

    def reset(self, lane: Lane, code: int) -> None:
        if lane.sending:
            lane.sending = False
            self._endpoint.reset(self._connection, lane.stream, draft02.to_http_code(code))
            self._retire(lane)

    def stop(self, lane: Lane, code: int) -> None:
        if lane.receiving:
            lane.receiving = False
            self._endpoint.stop(self._connection, lane.stream, draft02.to_http_code(code))
            self._retire(lane)

    def send_datagram(self, number: int, data: bytes) -> bool:
        return self.is_open(number) and self._endpoint.send_datagram(self._connection, datagram_prefix(number) + data)

    def max_datagram(self, number: int) -> int:
        """Bytes that a datagram may have now; 0: none can be sent."""
        if not self.is_open(number):
            return 0
        return max(0, self._endpoint.max_datagram(self._connection) - varint.size(number // 4))

    # --- the small steps ---------------------------------------------------------------------------------------------

    def _tell(self, session: Session, event: SessionEvent, size: int) -> list[SessionEvent]:
        """What happened in a session: now, or when it is accepted. Beyond the room for that its streams are refused."""
        if session.state is State.OPEN:
            return [event]
        if (
            self._early_bytes + size > self._limits.early_bytes
            or len(session.waiting) >= 4 * self._limits.early_streams
        ):
            if not isinstance(event, SessionDatagram):
                self._drop(session, event)
            return []
        self._early_bytes += size
        session.waiting.append(event)
        return []

    def _drop(self, session: Session, event: SessionEvent) -> None:
        """Refuse a stream that waits, and forget what it said."""
        assert not isinstance(event, SessionClosed | SessionDatagram)
        stream = event.stream
        mine = [waits for waits in session.waiting if getattr(waits, "stream", None) == stream]
        session.waiting = [waits for waits in session.waiting if getattr(waits, "stream", None) != stream]
        self._forget_early(session, mine)
        lane = self.lanes.pop(stream, None)
        session.streams.discard(stream)
        session.opened -= lane is not None
        self._endpoint.stop(self._connection, stream, draft02.BUFFERED_STREAM_REJECTED)
        if lane is None or lane.sending:
            self._endpoint.reset(self._connection, stream, draft02.BUFFERED_STREAM_REJECTED)
        if session.state is State.EXPECTED and not session.waiting:
            del self.sessions[session.number]

    def _refuse(self, session: Session, code: int | None = None) -> None:
        code = draft02.BUFFERED_STREAM_REJECTED if code is None else code
        del self.sessions[session.number]
        if session.state is not State.EXPECTED:
            self._requested -= 1
        for stream in session.streams:
            lane = self.lanes.pop(stream)
            if lane.receiving:
                self._endpoint.stop(self._connection, stream, code)
            if lane.sending:
                self._endpoint.reset(self._connection, stream, code)
        session.streams.clear()
        self._forget_early(session, session.waiting)
        session.waiting.clear()

    def _forget_early(self, session: Session, events: list[SessionEvent]) -> None:
        for event in events:
            if isinstance(event, SessionStream):
                self.early_streams -= 1
            elif isinstance(event, SessionData | SessionDatagram):
                self._early_bytes -= len(event.data)

    def _retire(self, lane: Lane) -> None:
        """Forget a stream of which both halves are closed."""
        if not lane.receiving and not lane.sending:
            del self.lanes[lane.stream]
            lane.session.streams.discard(lane.stream)
            if not lane.local:
                lane.session.opened -= 1
