"""One HTTP/3 connection, of a server or a client (RFC 9114, 9204, 9218, 9220, 9297), with WebTransport sessions."""

from __future__ import annotations

from collections.abc import Iterable

from chiron.protocols.http3 import events, fields, framing, priority
from chiron.protocols.http3.errors import ConnectionFailed, ErrorCode, LocalProtocolError
from chiron.protocols.http3.priority import Priority
from chiron.protocols.http3.receiving import Receiving
from chiron.protocols.http3.records import Exchange
from chiron.protocols.webtransport import capsules, draft02


class Connection(Receiving):
    """Sans-I/O: hand it the endpoint's events of one connection from OPENED on; what it sends goes to the endpoint.

    `now` is in seconds of any monotonic clock. Call `expire` at `deadline`, which moves with what is received and sent.
    A call about a stream that is gone does nothing, and says that it may go on.
    """

    @property
    def requests(self) -> int:
        """Requests that are open, sessions and WebSockets included."""
        return len(self._exchanges)

    @property
    def draining(self) -> bool:
        """GOAWAY was sent or received: no request may be added."""
        return self._goaway is not None

    def priority(self, stream: int) -> Priority:
        """How urgent the client says that a response is (RFC 9218): its last PRIORITY_UPDATE, else its header field."""
        exchange = self._exchanges.get(stream)
        if exchange is None:
            return priority.DEFAULT
        if isinstance(exchange.priority, str):
            exchange.priority = priority.parse(exchange.priority)
        return exchange.priority or priority.DEFAULT

    # --- what we do --------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        scheme: str,
        authority: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        protocol: str | None = None,
        end: bool = True,
    ) -> int:
        """Send the head of a request; its stream, or -1 when the connection is gone.

        With `protocol` it is an extended CONNECT (RFC 9220), which the server must have allowed (SettingsReceived).
        """
        if self._over:
            return -1
        if self.draining:
            raise LocalProtocolError("the server takes no more requests on this connection")
        if protocol is not None and (self._settings is None or not self._settings.extended_connect):
            raise LocalProtocolError("the server has not said that it takes an extended CONNECT")
        stream = self._endpoint.open_stream(self._connection, False)
        if stream < 0:
            return -1
        head = [(b":method", method.encode()), (b":scheme", scheme.encode()), (b":authority", authority.encode())]
        head.append((b":path", path.encode()))
        if protocol is not None:
            head.append((b":protocol", protocol.encode()))
        head += fields.encoded(headers)
        if protocol == draft02.PROTOCOL:
            if not self._sessions.request(stream, self._now):
                raise LocalProtocolError("there are too many sessions")
            head += fields.encoded([draft02.OFFER])
        exchange = self._exchanges[stream] = Exchange(stream, self._framing.message(stream), self._now)
        exchange.method = method
        exchange.tunnel = exchange.message.connect = method == "CONNECT"
        exchange.protocol = protocol
        exchange.responded = True
        exchange.sending = not end
        self._endpoint.send(self._connection, stream, self._framing.encode(stream, head), end)
        return stream

    def respond(
        self, stream: int, status: int, headers: Iterable[tuple[str, str]], body: bytes = b"", *, end: bool = True
    ) -> bool:
        """Send the head of a response and what there is of its body. False: wait for Writable before sending more.

        With `end` that is all, and Content-Length is added. A status below 200 announces another one (RFC 9110 §15.2).
        """
        exchange = self._exchanges.get(stream)
        if exchange is None or not exchange.sending:
            return True
        if exchange.responded or not exchange.head:
            raise LocalProtocolError("there is no request to answer on this stream")
        if exchange.protocol == draft02.PROTOCOL:
            if status < 300:
                raise LocalProtocolError("a session is accepted with accept_session")
            self._sessions.end(stream)
            exchange.protocol = None
        return self._send_head(exchange, status, headers, body, end and status >= 200)

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> bool:
        """Send a part of a body. False: wait for Writable."""
        exchange = self._exchanges.get(stream)
        if exchange is None or not exchange.sending:
            return True
        if not exchange.responded:
            raise LocalProtocolError("a body goes behind its head")
        if exchange.method == "HEAD":
            data = b""
        if not data and not end:
            return True
        return self._send(exchange, framing.data_frame(data) if data else b"", end)

    def send_trailers(self, stream: int, headers: Iterable[tuple[str, str]]) -> None:
        """End a message with fields (RFC 9110 §6.5)."""
        exchange = self._exchanges.get(stream)
        if exchange is None or not exchange.sending:
            return
        if not exchange.responded or exchange.tunnel:
            raise LocalProtocolError("there is no body that trailers could follow")
        self._send(exchange, self._framing.encode(stream, fields.encoded(headers)), True)

    def reset(self, stream: int, code: int) -> None:
        """Give a request up, in both directions, with an error code of HTTP/3."""
        exchange = self._exchanges.get(stream)
        if exchange is not None:
            self._give_up(exchange, code)

    def pause(self, stream: int) -> None:
        """Hand over no more of a request or session stream, beyond what has come: its peer has to wait."""
        exchange = self._exchanges.get(stream)
        if exchange is not None and exchange.paused_at is None:
            exchange.paused_at = self._now
        self._endpoint.pause(self._connection, stream)

    def resume(self, stream: int) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is not None and exchange.paused_at is not None:
            exchange.began += self._now - exchange.paused_at
            exchange.paused_at = None
        if exchange is None or not exchange.blocked:
            self._endpoint.resume(self._connection, stream)

    # --- WebTransport ------------------------------------------------------------------------------------------------

    def accept_session(self, stream: int, headers: Iterable[tuple[str, str]] = ()) -> list[events.Event]:
        """Answer a CONNECT for `webtransport`. What came for the session before is returned: handle it."""
        exchange = self._exchanges.get(stream)
        if exchange is None:
            return []
        if exchange.protocol != draft02.PROTOCOL or exchange.responded or self._client:
            raise LocalProtocolError("there is no session to accept on this stream")
        self._send_head(exchange, 200, [draft02.ANSWER, *headers], b"", False)
        happened: list[events.Event] = [*self._sessions.accept(stream)]
        try:
            happened += self._receive_capsules(exchange, b"", False)
        except ConnectionFailed as error:
            self.close(error.code, error.reason)
        return happened

    def open_session_stream(self, session: int, unidirectional: bool) -> int:
        """A stream of ours in a session; -1 when that is gone."""
        return self._sessions.open_stream(session, unidirectional)

    def send_stream(self, stream: int, data: bytes, end: bool = False) -> bool:
        """Send bytes on a stream of a session. False: wait for Writable."""
        lane = self._sessions.lanes.get(stream)
        return lane is None or self._sessions.send(lane, data, end)

    def reset_stream(self, stream: int, code: int) -> None:
        """Give up sending on a stream of a session, with an application error code."""
        lane = self._sessions.lanes.get(stream)
        if lane is not None:
            self._sessions.reset(lane, code)

    def stop_stream(self, stream: int, code: int) -> None:
        """Take no more of a stream of a session."""
        lane = self._sessions.lanes.get(stream)
        if lane is not None:
            self._sessions.stop(lane, code)

    def send_session_datagram(self, session: int, data: bytes) -> bool:
        """Send what may be lost. False: the peer takes none, or none so long, or the session is gone."""
        return self._sessions.send_datagram(session, data)

    def max_session_datagram(self, session: int) -> int:
        """Bytes that a datagram of a session may have now; 0: none can be sent."""
        return self._sessions.max_datagram(session)

    def close_session(self, session: int, code: int = 0, reason: str = "") -> None:
        """End a session, and its streams (draft-02 §5). `reason` is cut to 1,024 bytes."""
        exchange = self._exchanges.get(session)
        if exchange is None or exchange.protocol != draft02.PROTOCOL:
            return
        if not self._sessions.is_open(session):
            self._give_up(exchange, ErrorCode.H3_REQUEST_REJECTED)
            return
        text = reason.encode("utf-8")[: draft02.REASON_BYTES].decode("utf-8", "ignore").encode("utf-8")
        capsule = capsules.encode(draft02.CAPSULE_CLOSE, code.to_bytes(4, "big") + text)
        if exchange.sending:
            self._send(exchange, framing.data_frame(capsule), True)
        self._drop(exchange)

    # --- time --------------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When to call `expire`; it moves with what is received and sent."""
        if not (
            self._timed or self._stalled or self._openings or self._goaway is not None or self._sessions.early_streams
        ):
            return None
        limits = self.limits
        times = [self._due(exchange) for exchange in self._timed.values() if exchange.paused_at is None]
        times += [since + limits.stall_seconds for since, _ in self._stalled.values()]
        times += [began + limits.head_seconds for _, began in self._openings.values()]
        expecting = self._sessions.expecting()
        if expecting is not None:
            times.append(expecting + limits.head_seconds)
        if self._goaway is not None and not self._exchanges and not self._client:
            times.append(self._goaway_at + limits.drain_seconds)
        return None if self._over else min(times, default=None)

    def expire(self, now: float) -> list[events.Event]:
        """Time has come to `now`: end what took too long."""
        self._now = now
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        happened: list[events.Event] = []
        try:
            for exchange in list(self._timed.values()):
                if exchange.paused_at is None and self._due(exchange) <= now:
                    happened += self._cut_off(exchange, 408)
            for stream, (_, left) in list(self._stalled.items()):
                happened += self._check_stall(stream, left)
            for stream, (_, began) in list(self._openings.items()):
                if began + self.limits.head_seconds <= now:
                    del self._openings[stream]
                    self._endpoint.stop(self._connection, stream, ErrorCode.H3_REQUEST_INCOMPLETE)
                    if not stream & 2:
                        self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_INCOMPLETE)
            self._sessions.expire(now - self.limits.head_seconds)
        except ConnectionFailed as error:
            self.close(error.code, error.reason)
        if self._goaway is not None and not self._exchanges and self._goaway_at + self.limits.drain_seconds <= now:
            self.close()
        return happened

    def _due(self, exchange: Exchange) -> float:
        limits = self.limits
        if not exchange.head:
            return exchange.began + limits.head_seconds
        return exchange.began + limits.body_grace_seconds + exchange.body_bytes / limits.body_bytes_per_second

    def _check_stall(self, stream: int, left: int) -> list[events.Event]:
        """A response has waited for a while: for longer if some of it left meanwhile, else it is given up."""
        since, _ = self._stalled[stream]
        if since + self.limits.stall_seconds > self._now:
            return []
        waits = self._endpoint.buffered(self._connection, stream)
        if 0 < waits < left:
            self._stalled[stream] = (self._now, waits)
            return []
        del self._stalled[stream]
        exchange = self._exchanges.get(stream)
        if exchange is not None:
            return self._abort(exchange, ErrorCode.H3_REQUEST_CANCELLED)
        if waits:
            self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_CANCELLED)
        return []
