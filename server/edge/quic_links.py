"""Links over HTTP/3: a WebTransport session, and a WebSocket on a stream (RFC 9220)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import structlog

from chiron._core import Broken, Ended, PeerClosed
from chiron.protocols import http3
from chiron.protocols.webtransport import datagram_prefix
from chiron.server.edge.connection import ABNORMAL, HOLD_MARK
from chiron.server.edge.engine import Due
from chiron.server.edge.phase import NEXT, Phase
from chiron.server.edge.quic_exchange import Channel
from chiron.server.edge.service import WebSocketService

NORMAL = 1000
"""RFC 6455 §7.4.1."""
_REFUSED = 0
"""Application error code of a stream that a session does not take."""
_ENDINGS = (PeerClosed, Broken, Ended)

_log = structlog.get_logger("chiron.edge")


class QuicLink(ABC):
    """`engine.Peer` on streams of a connection. It begins UPGRADED, and has the ends of a TCP connection.

    What it cannot send waits in the hub, which is paused meanwhile: there it can be replaced, dropped, or become lag.
    """

    __slots__ = (
        "_address",
        "_channel",
        "_close_code",
        "_holding",
        "_paused",
        "_peer_ended",
        "_phase",
        "_reason",
        "_service",
        "_stream",
        "id",
    )
    transport: ClassVar[str]

    def __init__(self, channel: Channel, service: WebSocketService, stream: int, id: int, address: str) -> None:
        """`stream` is that of the request, `id` the hub's."""
        self.id = id
        self._channel = channel
        self._service = service
        self._stream = stream
        self._address = address
        self._phase = Phase.UPGRADED
        self._paused = False
        self._holding = False
        self._peer_ended = False
        self._close_code = 0
        self._reason = ""
        channel.engine.peers[id] = self
        channel.engine.links[self.transport] += 1
        service.links.opened(id, address=address)

    # --- engine.Peer -------------------------------------------------------------------------------------------------

    def received(self, events: Sequence[Any]) -> None:
        try:
            if self._phase is Phase.UPGRADED:
                self._on_events(events)
        except BaseException as error:
            self._fail(error)

    def write(self, data: bytes, last: bool) -> None:
        if self._phase not in (Phase.UPGRADED, Phase.ENDING):
            return
        try:
            taken = self._send(data, last)
            self._channel.socket.wake()
            if last:
                self._linger()
            elif not taken:
                self._pause()
            if self._holding and self._channel.engine.hub.queued(self.id) < HOLD_MARK:
                self._holding = False
                self._channel.http.resume(self._stream)
        except BaseException as error:
            self._fail(error)

    def end(self, code: int, reason: str) -> None:
        if self._phase is Phase.UPGRADED:
            self._finish(code, reason)

    def expired(self, due: Due, now: float) -> None:
        if due is Due.STALL:
            self.abort()
        else:
            self._part()

    def abort(self) -> None:
        """End without another word."""
        if self._phase is Phase.GONE:
            return
        try:
            self._cut(http3.ErrorCode.H3_REQUEST_CANCELLED)
            self._channel.socket.wake()
            self.lost()
        except BaseException as error:
            self._channel.engine.failed(error)

    # --- the connection ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes, end: bool, now: float) -> None:
        """Bytes of the client's frames."""
        try:
            if self._phase is Phase.UPGRADED and data:
                self._on_events(self._feed(data, now))
            if end:
                self._peer_ended = True
                if self._phase is Phase.LINGERING:
                    self._part()
                elif self._phase is Phase.UPGRADED:
                    self._on_events(self._channel.engine.hub.feed_end(self.id, now))
        except BaseException as error:
            self._fail(error)

    def writable(self) -> None:
        """The endpoint takes more."""
        if self._paused:
            engine = self._channel.engine
            self._paused = False
            engine.cancel_timer(self.id, Due.STALL)
            engine.hub.resume(self.id)
            engine.wake()

    def lost(self, code: int = 0) -> None:
        """It is over on the client's side; `code` is a close code, where it said one."""
        if self._phase is Phase.GONE:
            return
        engine = self._channel.engine
        self._phase = Phase.GONE
        engine.peers.pop(self.id, None)
        engine.routed.pop(self.id, None)
        engine.cancel_timers(self.id)
        engine.links[self.transport] -= 1
        engine.closes[self._close_code or code or ABNORMAL] += 1
        try:
            engine.hub.close(self.id)
            self._service.links.closed(self.id)
        except BaseException as error:
            engine.failed(error)
        self._channel.done(self._stream)

    # --- the transports ----------------------------------------------------------------------------------------------

    @abstractmethod
    def _feed(self, data: bytes, now: float) -> list[Any]:
        """Have the hub read bytes of the client."""

    @abstractmethod
    def _send(self, data: bytes, last: bool) -> bool:
        """Queue whole frames. False: the endpoint wants no more until `writable`."""

    @abstractmethod
    def _cut(self, code: int) -> None:
        """Give up the streams, with an error code of HTTP/3."""

    @abstractmethod
    def _farewell(self) -> None:
        """Our last byte was queued, and the client has ended or had its time to."""

    # --- inside ------------------------------------------------------------------------------------------------------

    def _on_events(self, events: Sequence[Any]) -> None:
        """Frames go to the service; what concerns the connection stays here."""
        ending = [event for event in events if isinstance(event, _ENDINGS)]
        frames = [event for event in events if not isinstance(event, _ENDINGS)] if ending else events
        engine = self._channel.engine
        if frames:
            self._service.links.received(self.id, frames)
            engine.frames += len(frames)
            if self._service.mode == "message" and not self._holding and engine.hub.queued(self.id) >= HOLD_MARK:
                self._holding = True
                self._channel.http.pause(self._stream)
        for event in ending:
            if isinstance(event, Broken):
                _log.debug("broken", layer=event.layer, reason=event.reason, address=self._address)
                self._close_code = self._close_code or event.code
                self._reason = self._reason or event.reason
            elif isinstance(event, PeerClosed):
                self._close_code = self._close_code or event.code
            self._finish()
        if engine.hub.dirty:
            engine.wake()

    def _finish(self, code: int | None = None, reason: str = "") -> None:
        """Queue nothing more; the flush brings the rest out and calls `write` with `last`."""
        if self._phase is not Phase.UPGRADED:
            return
        if code is not None:
            self._close_code = self._close_code or code
            self._reason = self._reason or reason
        self._enter(Phase.ENDING)
        engine = self._channel.engine
        engine.hub.finish(self.id, code, reason)
        engine.wake()
        engine.set_timer(self.id, Due.ENDING, engine.now() + self._channel.service.limits.linger_seconds)

    def _linger(self) -> None:
        engine = self._channel.engine
        if self._phase is Phase.UPGRADED:
            self._enter(Phase.ENDING)
        self._enter(Phase.LINGERING)
        if self._peer_ended:
            self._part()
        else:
            engine.set_timer(self.id, Due.ENDING, engine.now() + self._channel.service.limits.linger_seconds)

    def _part(self) -> None:
        if self._phase is Phase.GONE:
            return
        try:
            self._farewell()
            self._channel.socket.wake()
            self.lost()
        except BaseException as error:
            self._fail(error)

    def _pause(self) -> None:
        if not self._paused:
            engine = self._channel.engine
            self._paused = True
            engine.hub.pause(self.id)
            engine.set_timer(self.id, Due.STALL, engine.now() + self._channel.service.limits.stall_seconds)

    def _enter(self, phase: Phase) -> None:
        assert phase in NEXT[self._phase], f"from {self._phase.name} to {phase.name}"
        self._phase = phase

    def _fail(self, error: BaseException) -> None:
        self._channel.engine.failed(error, self)


class StreamLink(QuicLink):
    """A WebSocket whose frames are the content of an extended CONNECT, both ways (RFC 9220)."""

    __slots__ = ()
    transport = "websocket-h3"

    @classmethod
    def open(
        cls, channel: Channel, service: WebSocketService, stream: int, address: str, headers: Sequence[tuple[str, str]]
    ) -> StreamLink:
        """Answer 200, with `headers`: from now on the content is frames."""
        engine = channel.engine
        now = engine.now()
        channel.http.respond(stream, 200, list(headers), end=False)
        channel.socket.wake()
        id = engine.hub.open(None, now)
        engine.hub.upgrade(id, service.mode, b"", service.max_message, now)
        return cls(channel, service, stream, id, address)

    def _feed(self, data: bytes, now: float) -> list[Any]:
        """By the buffer, as over TCP: a connection's bytes are known to the hub by no other way in mode `message`."""
        engine = self._channel.engine
        buffer = engine.receive_buffer
        events: list[Any] = []
        for start in range(0, len(data), len(buffer)):
            piece = data[start : start + len(buffer)]
            buffer[: len(piece)] = piece
            events += engine.feed(self.id, len(piece), now)
        return events

    def _send(self, data: bytes, last: bool) -> bool:
        return self._channel.http.send_data(self._stream, data, end=last)

    def _cut(self, code: int) -> None:
        self._channel.http.reset(self._stream, code)

    def _farewell(self) -> None:
        if not self._peer_ended:
            self._channel.http.reset(self._stream, http3.ErrorCode.H3_NO_ERROR)


class SessionLink(QuicLink):
    """A WebTransport session: its link is the first bidirectional stream that the client opens, and datagrams.

    The link is there with the session, so a client that opens no stream is closed as one that does not say `connect`.
    There is nothing else that a session could be for: further streams are refused.
    """

    __slots__ = ("data_stream",)
    transport = "webtransport"

    def __init__(self, channel: Channel, service: WebSocketService, session: int, address: str) -> None:
        """`session` is the stream of its request, which the owner accepts."""
        engine = channel.engine
        super().__init__(channel, service, session, engine.hub.open_link(engine.now()), address)
        self.data_stream: int | None = None
        """The link's own, once it is there."""

    # --- engine.Routed -----------------------------------------------------------------------------------------------

    def stalled(self) -> None:
        try:
            self._pause()
        except BaseException as error:
            self._fail(error)

    def moved(self) -> None:
        """The path may be another: so may the size of what passes."""
        if self._phase is Phase.UPGRADED:
            size = self._channel.http.max_session_datagram(self._stream)
            self._channel.engine.hub.set_datagram(self.id, size)

    # --- the connection ----------------------------------------------------------------------------------------------

    def take_stream(self, stream: int, bidirectional: bool) -> bool:
        """The client opened a stream. False: it was refused."""
        if self.data_stream is None and bidirectional and self._phase is Phase.UPGRADED:
            self.data_stream = stream
            channel, prefix = self._channel, datagram_prefix(self._stream)
            channel.engine.hub.route(self.id, channel.socket.endpoint, channel.number, stream, prefix)
            channel.engine.routed[self.id] = self
            self.moved()
            return True
        self._channel.http.stop_stream(stream, _REFUSED)
        self._channel.http.reset_stream(stream, _REFUSED)
        self._channel.socket.wake()
        return False

    def receive_datagram(self, data: bytes, now: float) -> None:
        try:
            if self._phase is Phase.UPGRADED:
                self._on_events(self._channel.engine.hub.feed_datagram(self.id, data, now))
        except BaseException as error:
            self._fail(error)

    def stream_lost(self) -> None:
        """The client gave up the link's stream: the session is of no use."""
        self._part()

    def _feed(self, data: bytes, now: float) -> list[Any]:
        return self._channel.engine.feed_link(self.id, data, now)

    def _send(self, data: bytes, last: bool) -> bool:
        if self.data_stream is None:
            return True
        return self._channel.http.send_stream(self.data_stream, data, end=last)

    def _linger(self) -> None:
        self._peer_ended = self._peer_ended or self.data_stream is None
        super()._linger()

    def _cut(self, code: int) -> None:
        self._channel.http.reset(self._stream, code)

    def _farewell(self) -> None:
        self._channel.http.close_session(self._stream, self._close_code or NORMAL, self._reason)
