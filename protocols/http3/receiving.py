"""The half of a connection that reads: events of QUIC in, events of HTTP/3 out."""

from __future__ import annotations

from collections.abc import Sequence

from aioquic.h3.events import DataReceived, HeadersReceived

from chiron.protocols.http3 import events, fields, framing
from chiron.protocols.http3.errors import ConnectionFailed, ErrorCode, Malformed, Unacceptable
from chiron.protocols.http3.exchanges import BODYLESS, Exchanges
from chiron.protocols.http3.heads import Head
from chiron.protocols.http3.records import Exchange
from chiron.protocols.quic import endpoint as quic
from chiron.protocols.quic import varint
from chiron.protocols.webtransport import CapsuleError, SessionIdError, draft02
from chiron.protocols.webtransport.events import SessionClosed, SessionStream

# Plain integers, for members of an enumeration cost a call each time they are named.
_CONNECTED = int(quic.Kind.CONNECTED)
_STREAM = int(quic.Kind.STREAM)
_RESET = int(quic.Kind.RESET)
_STOPPED = int(quic.Kind.STOPPED)
_WRITABLE = int(quic.Kind.WRITABLE)
_DATAGRAM = int(quic.Kind.DATAGRAM)
_CLOSED = int(quic.Kind.CLOSED)


class Receiving(Exchanges):
    """See `Connection`."""

    def receive(self, event: quic.Event, now: float) -> list[events.Event]:
        """An event of the endpoint about this connection."""
        _, kind, stream, data, number = event
        self._now = now
        if self._over:
            return [_closed(event)] if kind == _CLOSED else []
        try:
            if kind == _STREAM:
                exchange = self._exchanges.get(stream)
                if exchange is not None:
                    return self._read(exchange, data, number == 1)
                if number == 1 and stream == self._requests.next and self._heads is not None:
                    head = self._heads.read(data)
                    if head is not None:
                        return self._receive_head(stream, head)
                    raw = self._framing.whole(stream, data)
                    if raw is not None:
                        return self._receive_whole(stream, raw)
                return self._receive_other(stream, data, number == 1)
            if kind == _DATAGRAM:
                return self._receive_datagram(data)
            if kind == _WRITABLE:
                self._stalled.pop(stream, None)
                return [events.Writable(stream)]
            if kind == _RESET:
                return self._receive_reset(stream, number)
            if kind == _STOPPED:
                return self._receive_stop(stream, number)
            if kind == _CONNECTED:
                self._connected = True
            elif kind == _CLOSED:
                self._over = True
                return [_closed(event)]
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
        if not self._admit(stream, end):
            self._framing.cancel(stream)
            return []
        exchange = Exchange(stream, self._framing.message(stream), self._now)
        self._exchanges[stream] = self._timed[stream] = exchange
        self._count_request()
        return self._read(exchange, data, end)

    def _receive_head(self, stream: int, head: Head) -> list[events.Event]:
        """A request that came in one piece, and of which nothing is left to check."""
        self._requests.next += 4
        messages = self._framing.messages = self._framing.messages + 1
        exchanges, limits, now = self._exchanges, self.limits, self._now
        if (len(exchanges) >= limits.requests_open or self._goaway is not None) and not self._admit(stream, True):
            return []
        exchange = exchanges[stream] = Exchange(stream, framing.WHOLE, now)
        if messages >= limits.requests:
            self.goaway()
        method, scheme, authority, path, headers, priority = head
        exchange.method = method
        exchange.priority = self._priorities.pop(stream, priority) if self._priorities else priority
        exchange.head = exchange.received = True
        early = not self._connected
        return [events.RequestReceived(stream, method, scheme, authority, path, None, headers, True, early)]

    def _receive_whole(self, stream: int, raw: fields.Raw) -> list[events.Event]:
        """A request that came in one piece: its `raw` fields are all of it."""
        self._requests.next += 4
        exchanges, limits = self._exchanges, self.limits
        if (len(exchanges) >= limits.requests_open or self._goaway is not None) and not self._admit(stream, True):
            return []
        exchange = exchanges[stream] = Exchange(stream, framing.WHOLE, self._now)
        if self._framing.messages >= limits.requests:
            self.goaway()
        return [*self._receive_request(exchange, raw, True)]

    def _admit(self, stream: int, end: bool) -> bool:
        """Whether a request may be read; another one is rejected, so that it may be sent again elsewhere."""
        if len(self._exchanges) < self.limits.requests_open and (self._goaway is None or stream < self._goaway):
            return True
        self._endpoint.reset(self._connection, stream, ErrorCode.H3_REQUEST_REJECTED)
        if not end:
            self._endpoint.stop(self._connection, stream, ErrorCode.H3_REQUEST_REJECTED)
        if self._goaway is None:
            self._wasted()
        return False

    def _count_request(self) -> None:
        if self._framing.messages >= self.limits.requests:
            self.goaway()

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
        if head.method == "CONNECT":
            exchange.tunnel = True
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
            exchange.received = True
            if self._timed:
                self._timed.pop(stream, None)
            if head.protocol == draft02.PROTOCOL:
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
        if not accepted and exchange.method != "HEAD" and head.status not in BODYLESS:
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


def _closed(event: quic.Event) -> events.Closed:
    _, _, ending, reason, code = event
    return events.Closed(code, reason.decode("utf-8", "replace"), ending)
