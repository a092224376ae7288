"""One HTTP/3 connection, of a server or a client (RFC 9114, 9204, 9218, 9220, 9297), with WebTransport sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aioquic.h3.events import DataReceived, HeadersReceived

from chiron.protocols.http3 import events, fields, framing, priority
from chiron.protocols.http3.errors import ConnectionFailed, ErrorCode, LocalProtocolError, Malformed, Unacceptable
from chiron.protocols.http3.exchange import Allowance, Exchange, Seen
from chiron.protocols.http3.limits import Limits
from chiron.protocols.http3.priority import Priority
from chiron.protocols.quic import endpoint as quic
from chiron.protocols.quic import varint
from chiron.protocols.webtransport import CapsuleError, SessionIdError, Sessions, capsules, draft02
from chiron.protocols.webtransport.events import SessionClosed, SessionStream

# How a request goes
# ------------------
#
# A stream of the client that does not begin with a WebTransport header is a request: an Exchange, from its first byte
# until both halves of its stream are closed or given up. What the client does wrong with one message ends that stream
# alone (RFC 9114 §4.1.2); what it does wrong with the connection closes it, with the code that the RFC names. The owner
# hears of a request once its head is checked, so a request that is refused for what it is (too large, too many, too
# slow) is answered here, in a head without a body, and never shown. What follows a head it knows of: BodyReceived and
# TrailersReceived to the end, or one Aborted.
#
# A response that is complete before its request is stops the rest of it with H3_NO_ERROR (RFC 9114 §4.1). A CONNECT
# is a tunnel: its halves end independently, no body is counted, and no time is measured.
#
# Each request that a client wastes (cancels, sends broken, has refused) costs one of its allowance, which comes back
# with time; beyond it the connection closes with H3_EXCESSIVE_LOAD, so opening and resetting streams wins nothing.

_STREAM = int(quic.Kind.STREAM)
_BODYLESS = frozenset({204, 205, 304})


class Connection:
    """Sans-I/O: hand it the endpoint's events of one connection from OPENED on; what it sends goes to the endpoint.

    `now` is in seconds of any monotonic clock. Call `expire` at `deadline`, which moves with what is received and sent.
    A call about a stream that is gone does nothing, and says that it may go on.
    """

    def __init__(
        self,
        endpoint: quic.Endpoint,
        connection: int,
        *,
        client: bool = False,
        limits: Limits | None = None,
        now: float,
    ) -> None:
        self.limits = limits or Limits()
        self._endpoint = endpoint
        self._connection = connection
        self._client = client
        self._now = now
        self._over = False
        self._connected = False
        self._exchanges: dict[int, Exchange] = {}
        self._timed: dict[int, Exchange] = {}
        """Those of whose request something is still to come."""
        self._stalled: dict[int, tuple[float, int]] = {}
        """Responses that wait for credit: since when, and how many bytes there were."""
        self._openings: dict[int, tuple[bytes, float]] = {}
        """Streams that have not yet said of which type they are, and since when."""
        self._seen = {kind: Seen(kind) for kind in range(4)}
        self._waste = Allowance(self.limits.cancellations, self.limits.cancellations_per_second, now)
        self._priorities: dict[int, str] = {}
        self._goaway: int | None = None
        """Requests from this stream on are rejected; for a client: will not be answered."""
        self._goaway_at = now
        self._settings: framing.Settings | None = None
        self._framing = framing.Framing(endpoint, connection, client=client, limits=self.limits)
        requests = self._seen[0]
        self._sessions = Sessions(
            endpoint, connection, self.limits.webtransport, lambda stream: not client and stream not in requests
        )

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

    # --- what the peer does ------------------------------------------------------------------------------------------

    def receive(self, event: quic.Event, now: float) -> list[events.Event]:
        """An event of the endpoint about this connection."""
        _, kind, stream, data, number = event
        self._now = now
        if self._over:
            return [events.Closed(number, data.decode("utf-8", "replace"), stream)] if kind == quic.Kind.CLOSED else []
        try:
            if kind == _STREAM:
                exchange = self._exchanges.get(stream)
                if exchange is not None:
                    return self._read(exchange, data, number == 1)
                return self._receive_other(stream, data, number == 1)
            match kind:
                case quic.Kind.CONNECTED:
                    self._connected = True
                case quic.Kind.RESET:
                    return self._receive_reset(stream, number)
                case quic.Kind.STOPPED:
                    return self._receive_stop(stream, number)
                case quic.Kind.WRITABLE:
                    self._stalled.pop(stream, None)
                    return [events.Writable(stream)]
                case quic.Kind.DATAGRAM:
                    return self._receive_datagram(data)
                case quic.Kind.CLOSED:
                    self._over = True
                    return [events.Closed(number, data.decode("utf-8", "replace"), stream)]
                case _:
                    pass
        except ConnectionFailed as error:
            self.close(error.code, error.reason)
        except SessionIdError:
            self.close(ErrorCode.H3_ID_ERROR, "no such session can be")
        return []

    def _receive_other(self, stream: int, data: bytes, end: bool) -> list[events.Event]:
        """Bytes of a stream that is no request, or none yet."""
        lane = self._sessions.lanes.get(stream)
        if lane is not None:
            return [*self._sessions.receive(lane, data, end)]
        if stream in self._framing.critical:
            return self._act(self._framing.receive_critical(stream, data, end))
        began = self._now
        opening = self._openings.pop(stream, None)
        if opening is not None:
            data, began = opening[0] + data, opening[1]
        elif not self._is_new(stream):
            return []  # what was given up here still comes
        kind = varint.decode(data)
        if kind is None:
            return self._undecided(stream, data, began, end)
        if stream & 2:
            if kind[0] == draft02.STREAM_TYPE:
                return self._adopt(stream, data, kind[1], began, end)
            if self._framing.begin(stream, kind[0]):
                return self._act(self._framing.receive_critical(stream, data[kind[1] :], end))
            if not end:  # RFC 9114 §6.2
                self._endpoint.stop(self._connection, stream, ErrorCode.H3_STREAM_CREATION_ERROR)
            return []
        if kind[0] == draft02.FRAME_STREAM:
            return self._adopt(stream, data, kind[1], began, end)
        if self._client:  # RFC 9114 §6.1
            raise ConnectionFailed(ErrorCode.H3_STREAM_CREATION_ERROR, "a server opens a bidirectional stream")
        return self._open_request(stream, data, end)

    def _is_new(self, stream: int) -> bool:
        """Whether this is the first that is heard of a stream, and the peer may open it."""
        return stream & 1 == self._client and self._seen[stream & 3].first(stream)

    def _undecided(self, stream: int, data: bytes, began: float, end: bool) -> list[events.Event]:
        """A stream whose first numbers are not whole. A unidirectional one may end so (RFC 9114 §6.2)."""
        if not end:
            self._openings[stream] = (data, began)
        elif not stream & 2:
            if data:
                raise ConnectionFailed(ErrorCode.H3_FRAME_ERROR, "a stream ends inside its first frame")
            self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_INCOMPLETE)
            self._wasted()
        return []

    def _adopt(self, stream: int, data: bytes, offset: int, began: float, end: bool) -> list[events.Event]:
        """A stream of a WebTransport session."""
        number = varint.decode(data, offset)
        if number is None:
            return self._undecided(stream, data, began, end)
        lane = self._sessions.adopt(stream, number[0], not stream & 2, self._now)
        if lane is None:
            return []
        opened: list[events.Event] = []
        if self._sessions.is_open(number[0]):
            opened.append(SessionStream(number[0], stream, not stream & 2))
        return opened + self._sessions.receive(lane, data[number[1] :], end)

    def _open_request(self, stream: int, data: bytes, end: bool) -> list[events.Event]:
        if (self._goaway is not None and stream >= self._goaway) or len(self._exchanges) >= self.limits.requests_open:
            self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_REJECTED)
            if not end:
                self._endpoint.stop(self._connection, stream, ErrorCode.H3_REQUEST_REJECTED)
            self._framing.cancel(stream)
            self._wasted()
            return []
        exchange = Exchange(stream, self._framing.message(stream), self._now)
        self._exchanges[stream] = self._timed[stream] = exchange
        if self._framing.messages >= self.limits.requests:
            self.goaway()
        return self._read(exchange, data, end)

    def _read(self, exchange: Exchange, data: bytes, end: bool) -> list[events.Event]:
        """Bytes of a request stream. While its head is blocked (RFC 9204 §2.1.2) the peer gets no credit for more."""
        if exchange.received:
            return []
        parts = self._framing.receive(exchange.message, data, end)
        if exchange.message.blocked and not exchange.blocked:
            exchange.blocked = True
            self._endpoint.pause(self._connection, exchange.stream)
        return self._act(parts)

    def _act(self, parts: Sequence[framing.Part]) -> list[events.Event]:
        happened: list[events.Event] = []
        for part in parts:
            match part:
                case HeadersReceived() | DataReceived() | framing.Failed() | framing.TooLarge() | framing.Unblocked():
                    exchange = self._exchanges.get(part.stream_id)
                    if exchange is not None and not exchange.received:
                        happened += self._act_on(exchange, part)
                case framing.PriorityUpdate():
                    self._prioritize(part.stream_id, part.value)
                case framing.Settings():
                    self._settings = part
                    if self._client:
                        happened.append(events.SettingsReceived(part.extended_connect, part.webtransport))
                case framing.Goaway():
                    if self._client:
                        happened += self._receive_goaway(part.identifier)
        return happened

    def _act_on(self, exchange: Exchange, part: framing.Part) -> Sequence[events.Event]:
        match part:
            case HeadersReceived():
                if exchange.head:
                    return self._receive_trailers(exchange, part.headers)
                if self._client:
                    return self._receive_response(exchange, part.headers, part.stream_ended)
                return self._receive_request(exchange, part.headers, part.stream_ended)
            case DataReceived():
                return self._receive_body(exchange, part.data, part.stream_ended)
            case framing.Failed():
                return self._fail(exchange, part.code)
            case framing.TooLarge() if not exchange.head and not self._client:
                return self._refuse(exchange, 431)
            case framing.TooLarge():
                return self._fail(exchange, ErrorCode.H3_EXCESSIVE_LOAD)
            case framing.Unblocked():
                exchange.blocked = False
                if exchange.paused_at is None:
                    self._endpoint.resume(self._connection, exchange.stream)
        return ()

    def _receive_request(self, exchange: Exchange, raw: fields.Raw, end: bool) -> Sequence[events.Event]:
        stream = exchange.stream
        try:
            head = fields.request(raw, self.limits)
        except Malformed:
            return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
        except Unacceptable as error:
            return self._refuse(exchange, error.status)
        exchange.method = head.method
        exchange.priority = self._priorities.pop(stream, head.priority) if self._priorities else head.priority
        if exchange.tunnel:
            exchange.message.tunnel = True
            self._timed.pop(stream, None)
            if head.protocol == draft02.PROTOCOL and not self._sessions.request(stream, self._now):
                return self._refuse(exchange, 429)
        elif head.length is not None:
            if end and head.length:
                return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
            if head.length > self.limits.body_bytes:
                return self._refuse(exchange, 413)
            exchange.length = head.length
        exchange.protocol = head.protocol
        exchange.head = True
        exchange.began = self._now
        if end:
            self._finish_receiving(exchange)
            if exchange.protocol == draft02.PROTOCOL:
                self._sessions.receive_capsules(stream, b"", True)
        elif head.expects and not exchange.tunnel:
            self._endpoint.send(self._connection, stream, self._framing.encode(stream, [(b":status", b"100")]))
        return (
            events.RequestReceived(
                stream,
                head.method,
                head.scheme,
                head.authority,
                head.path,
                head.protocol,
                head.headers,
                end,
                not self._connected,
            ),
        )

    def _receive_response(self, exchange: Exchange, raw: fields.Raw, end: bool) -> Sequence[events.Event]:
        stream = exchange.stream
        try:
            head = fields.response(raw, self.limits)
        except (Malformed, Unacceptable):
            return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
        if head.status < 200:
            return ()
        exchange.head = True
        session = exchange.protocol == draft02.PROTOCOL
        accepted = exchange.tunnel and head.status < 300
        if accepted:
            exchange.message.tunnel = True
        elif exchange.method != "HEAD" and head.status not in _BODYLESS:
            exchange.length = head.length
            if end and head.length:
                return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
        happened: list[events.Event] = [events.ResponseReceived(stream, head.status, head.headers, end)]
        if exchange.tunnel and not accepted:
            if session:
                self._sessions.end(stream)
                exchange.protocol = None
            self._end_sending(exchange)
        elif session and accepted:
            happened += self._sessions.accept(stream)
            if end:
                return [*happened, *self._receive_body(exchange, b"", True)]
        if end:
            self._finish_receiving(exchange)
        return happened

    def _receive_body(self, exchange: Exchange, data: bytes, end: bool) -> Sequence[events.Event]:
        if exchange.protocol == draft02.PROTOCOL:
            return self._receive_capsules(exchange, data, end)
        size = exchange.body_bytes = exchange.body_bytes + len(data)
        if not exchange.tunnel:
            length = exchange.length
            if length is not None and (size > length or (end and size != length)):
                return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
            if size > self.limits.body_bytes and not self._client:
                return self._cut_off(exchange, 413)
        if end:
            self._finish_receiving(exchange)
        return (events.BodyReceived(exchange.stream, data, end),)

    def _receive_capsules(self, exchange: Exchange, data: bytes, end: bool) -> Sequence[events.Event]:
        try:
            happened = self._sessions.receive_capsules(exchange.stream, data, end)
        except CapsuleError:  # RFC 9297 §3.3
            return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
        if happened and type(happened[-1]) is SessionClosed:
            self._finish_receiving(exchange)
            self._end_sending(exchange)
            self._drop(exchange)
        elif end:
            self._finish_receiving(exchange)
        return happened

    def _receive_trailers(self, exchange: Exchange, raw: fields.Raw) -> Sequence[events.Event]:
        try:
            headers = fields.trailers(raw, self.limits)
        except (Malformed, Unacceptable):
            return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
        if exchange.length is not None and exchange.body_bytes != exchange.length:
            return self._fail(exchange, ErrorCode.H3_MESSAGE_ERROR)
        self._finish_receiving(exchange)
        return (events.TrailersReceived(exchange.stream, headers),)

    def _receive_reset(self, stream: int, code: int) -> list[events.Event]:
        lane = self._sessions.lanes.get(stream)
        if lane is not None:
            return [*self._sessions.receive_reset(lane, code)]
        self._framing.lost(stream)
        exchange = self._exchanges.get(stream)
        if exchange is not None:
            return [] if exchange.received else self._abort(exchange, code)
        if (self._openings.pop(stream, None) or self._is_new(stream)) and not stream & 2:
            self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_INCOMPLETE)
            self._framing.cancel(stream)
            self._wasted()
        return []

    def _receive_stop(self, stream: int, code: int) -> list[events.Event]:
        lane = self._sessions.lanes.get(stream)
        if lane is not None:
            return [*self._sessions.receive_stop(lane, code)]
        self._framing.lost(stream)
        self._stalled.pop(stream, None)
        exchange = self._exchanges.get(stream)
        if exchange is not None and not self._client:
            return self._abort(exchange, code)
        self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_CANCELLED)  # RFC 9000 §3.5
        if exchange is not None:  # the server has heard enough, and answers
            self._finish_sending(exchange)
        return []

    def _receive_goaway(self, identifier: int) -> list[events.Event]:
        self._goaway = identifier
        happened: list[events.Event] = [events.GoawayReceived(identifier)]
        for exchange in [exchange for stream, exchange in self._exchanges.items() if stream >= identifier]:
            happened += self._abort(exchange, ErrorCode.H3_REQUEST_REJECTED)
        return happened

    def _receive_datagram(self, data: bytes) -> list[events.Event]:
        quarter = varint.decode(data)
        if quarter is None or quarter[0] >= 1 << 60:  # RFC 9297 §2.1
            raise ConnectionFailed(ErrorCode.H3_DATAGRAM_ERROR, "a datagram of no stream")
        return [*self._sessions.receive_datagram(4 * quarter[0], data[quarter[1] :])]

    def _prioritize(self, stream: int, value: str) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is not None:
            exchange.priority = value
        elif stream not in self._seen[0]:  # it may come before its request (RFC 9218 §7.2)
            if len(self._priorities) >= self.limits.requests_open:
                del self._priorities[next(iter(self._priorities))]
            self._priorities[stream] = value

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

    def goaway(self) -> None:
        """Take no request that has not come yet (RFC 9114 §5.2). The owner closes once `requests` is 0."""
        if self._goaway is None and not self._over:
            self._goaway = self._seen[0].next
            self._goaway_at = self._now
            self._framing.send_goaway(0 if self._client else self._goaway)

    def close(self, code: int = ErrorCode.H3_NO_ERROR, reason: str = "") -> None:
        """End the connection. Of all that follows only Closed is told."""
        if not self._over:
            self._over = True
            self._endpoint.close(self._connection, code, reason)

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
        return [*happened, *self._receive_capsules(exchange, b"", False)]

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
        if not (self._timed or self._stalled or self._openings or self._goaway is not None or self._sessions.sessions):
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

    # --- the small steps ---------------------------------------------------------------------------------------------

    def _send_head(
        self, exchange: Exchange, status: int, headers: Iterable[tuple[str, str]], body: bytes, end: bool
    ) -> bool:
        head = [(b":status", b"%d" % status), *fields.encoded(headers)]
        if end and status not in _BODYLESS and all(name != b"content-length" for name, _ in head):
            head.append((b"content-length", b"%d" % len(body)))
        data = self._framing.encode(exchange.stream, head)
        if body and exchange.method != "HEAD" and status not in _BODYLESS:
            data += framing.data_frame(body)
        exchange.responded = status >= 200
        return self._send(exchange, data, end)

    def _send(self, exchange: Exchange, data: bytes, end: bool) -> bool:
        stream = exchange.stream
        more = self._endpoint.send(self._connection, stream, data, end)
        if not more and not exchange.tunnel and not self._client and stream not in self._stalled:
            self._stalled[stream] = (self._now, self._endpoint.buffered(self._connection, stream))
        if end:
            self._finish_sending(exchange)
        return more

    def _end_sending(self, exchange: Exchange) -> None:
        if exchange.sending:
            self._send(exchange, b"", True)

    def _finish_sending(self, exchange: Exchange) -> None:
        exchange.sending = False
        if exchange.received:
            self._drop(exchange)
        elif not self._client and not exchange.tunnel:
            self._endpoint.stop(self._connection, exchange.stream, ErrorCode.H3_NO_ERROR)  # RFC 9114 §4.1
            self._drop(exchange)

    def _finish_receiving(self, exchange: Exchange) -> None:
        exchange.received = True
        self._timed.pop(exchange.stream, None)
        if not exchange.sending:
            self._drop(exchange)

    def _drop(self, exchange: Exchange) -> None:
        """Forget a request of which nothing more is sent or read."""
        exchange.received = True
        exchange.sending = False
        if self._exchanges.pop(exchange.stream, None) is not None:
            self._timed.pop(exchange.stream, None)
            self._framing.forget(exchange.message)
            if exchange.protocol == draft02.PROTOCOL:
                self._sessions.end(exchange.stream)

    def _give_up(self, exchange: Exchange, code: int) -> None:
        """End a stream in both directions."""
        if exchange.sending:
            self._endpoint.reset(self._connection, exchange.stream, code)
        if not exchange.message.receiving_ended:
            self._endpoint.stop(self._connection, exchange.stream, code)
        self._stalled.pop(exchange.stream, None)
        self._drop(exchange)

    def _fail(self, exchange: Exchange, code: int) -> list[events.Event]:
        """The peer broke a message: its stream ends with `code` (RFC 9114 §4.1.2)."""
        happened = self._told(exchange, code)
        self._give_up(exchange, code)
        self._wasted()
        return happened

    def _abort(self, exchange: Exchange, code: int) -> list[events.Event]:
        """The peer cancelled a request: what is left of it is cancelled, and the owner told the peer's `code`."""
        happened = self._told(exchange, code)
        known = exchange.head or self._client
        self._give_up(exchange, ErrorCode.H3_REQUEST_CANCELLED if known else ErrorCode.H3_REQUEST_INCOMPLETE)
        self._wasted()
        return happened

    def _told(self, exchange: Exchange, code: int) -> list[events.Event]:
        """What the owner, if it knows of a request, is told of its end."""
        if self._sessions.is_open(exchange.stream):
            return [SessionClosed(exchange.stream, 0, "", False)]
        return [events.Aborted(exchange.stream, code)] if exchange.head or self._client else []

    def _refuse(self, exchange: Exchange, status: int) -> list[events.Event]:
        """Answer a request that the owner does not know of."""
        self._send_head(exchange, status, (), b"", True)
        self._drop(exchange)
        self._wasted()
        return []

    def _cut_off(self, exchange: Exchange, status: int) -> list[events.Event]:
        """Answer a request that came too slowly or is too long, unless the owner has; it is told if it knows of it."""
        if exchange.responded:
            return self._fail(exchange, ErrorCode.H3_REQUEST_CANCELLED)
        happened = self._told(exchange, ErrorCode.H3_REQUEST_CANCELLED)
        self._refuse(exchange, status)
        return happened

    def _wasted(self) -> None:
        if not self._client and not self._waste.take(self._now):
            raise ConnectionFailed(ErrorCode.H3_EXCESSIVE_LOAD, "too many requests were cancelled or refused")
