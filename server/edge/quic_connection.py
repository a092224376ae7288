"""One QUIC connection, which speaks HTTP/3: its requests go to the gateway, its links to the hub."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from chiron.errors import Refused, Unavailable
from chiron.protocols import http3, websocket
from chiron.protocols.quic.endpoint import Event, Kind
from chiron.server.edge.capacity import Capacity
from chiron.server.edge.connection import ABNORMAL
from chiron.server.edge.engine import Engine
from chiron.server.edge.first_step import FirstSteps
from chiron.server.edge.quic_exchange import SAFE, Channel, Exchange
from chiron.server.edge.quic_links import NORMAL, QuicLink, SessionLink, StreamLink
from chiron.server.edge.quic_socket import QuicSocket
from chiron.server.edge.service import Service
from chiron.server.platform import addresses
from chiron.server.platform.timers import Timer
from chiron.server.ports import Response

BODIES = 8
"""Requests of one connection whose bodies may all be as long as one may be; others are answered 503 then."""
_PROTOCOLS = {"link": frozenset({"websocket", "webtransport"}), "message": frozenset({"websocket"})}
"""What an extended CONNECT may ask for, by mode of the service: a WebTransport session has no messages."""

# Plain integers, for members of an enumeration cost a call each time they are named.
_MOVED = int(Kind.MOVED)
_CLOSED = int(Kind.CLOSED)

_log = structlog.get_logger("chiron.edge")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the connections of a listener share."""

    engine: Engine
    steps: FirstSteps
    service: Service
    capacity: Capacity
    timer: Timer
    """By `QuicConnection.id`."""
    limits: http3.Limits


class QuicConnection:
    """Takes the events of its endpoint one by one.

    What it may have to wait for, one timer knows: the deadlines of `http3.Connection`, answers that nobody takes, and
    after `drain` the time to close.
    """

    __slots__ = (
        "_address",
        "_armed",
        "_around",
        "_body_bytes",
        "_channel",
        "_closed",
        "_draining",
        "_exchanges",
        "_gone",
        "_http",
        "_links",
        "_network",
        "_refusing",
        "_sent_at",
        "id",
        "number",
        "socket",
    )

    def __init__(
        self,
        id: int,
        around: Surroundings,
        socket: QuicSocket,
        number: int,
        *,
        closed: Callable[[QuicConnection], None],
        refusing: bool,
        now: float,
    ) -> None:
        """`id` is the listener's, `number` the endpoint's. `closed` is called once, when the connection is over.

        `refusing`: there is no capacity for this one; its requests are answered 503.
        """
        self.id = id
        self.socket = socket
        self.number = number
        self._around = around
        self._closed = closed
        self._draining = False
        self._gone = False
        self._armed: float | None = None
        self._sent_at = 0.0
        self._exchanges: dict[int, Exchange] = {}
        self._body_bytes = 0
        """Of the requests that are open."""
        self._links: dict[int, QuicLink] = {}
        """By stream: of the request and, of a WebTransport session, of its link too."""
        self._network = ""
        self._http = http3.Connection(socket.endpoint, number, limits=around.limits, now=now)
        self._channel = Channel(around.engine, around.steps, around.service, socket, number, self._http, self._done)
        self._address = ""
        self._refusing = refusing
        if not self._move():
            self._refusing = True

    # --- what the endpoint says --------------------------------------------------------------------------------------

    def receive(self, event: Event, now: float) -> None:
        """May raise; after CLOSED nothing is left of the connection in any case."""
        kind = event[1]
        try:
            if kind == _MOVED:
                self._move()
            for each in self._http.receive(event, now):
                self._on_event(each, now)
            if not self._gone:
                self._arm(now)
        finally:
            if kind == _CLOSED:
                self.leave()

    def expired(self, now: float) -> None:
        self._armed = None
        for event in self._http.expire(now):
            self._on_event(event, now)
        self._close_when_done(now)
        if not self._gone:
            self._arm(now)

    # --- what the listener says --------------------------------------------------------------------------------------

    def drain(self, now: float) -> None:
        """No further request (RFC 9114 §5.2). What was asked is answered; then the connection closes."""
        self._draining = True
        self._http.goaway()
        self.socket.wake()
        self._close_when_done(now)
        self._arm(now)

    def abort(self) -> None:
        """End at once: something failed, or there is no more time."""
        if not self._gone:
            self._http.close(http3.ErrorCode.H3_INTERNAL_ERROR)
            self.socket.wake()

    # --- what HTTP/3 says --------------------------------------------------------------------------------------------

    def _on_event(self, event: http3.Event, now: float) -> None:
        match event:
            case http3.RequestReceived():
                self._on_request(event, now)
            case http3.BodyReceived():
                self._on_body(event.stream, event.data, event.end, now)
            case http3.Writable():
                if (exchange := self._exchanges.get(event.stream)) is not None:
                    exchange.writable()
                elif (link := self._links.get(event.stream)) is not None:
                    link.writable()
            case http3.SessionData():
                if (link := self._links.get(event.stream)) is not None:
                    link.receive(event.data, event.end, now)
            case http3.SessionDatagram():
                if isinstance(link := self._links.get(event.session), SessionLink):
                    link.receive_datagram(event.data, now)
            case http3.TrailersReceived():
                self._on_body(event.stream, b"", True, now)
            case http3.Aborted():
                if (exchange := self._exchanges.get(event.stream)) is not None:
                    exchange.abandon()
                    self._done(event.stream)
                elif (link := self._links.get(event.stream)) is not None:
                    link.abort()
            case http3.SessionStream():
                link = self._links.get(event.session)
                if isinstance(link, SessionLink) and link.take_stream(event.stream, event.bidirectional):
                    self._links[event.stream] = link
            case http3.SessionStreamAborted():
                if isinstance(link := self._links.get(event.stream), SessionLink):
                    link.stream_lost()
            case http3.SessionClosed():
                if (link := self._links.get(event.session)) is not None:
                    link.lost((event.code or NORMAL) if event.clean else ABNORMAL)
            case http3.Closed():
                _log.debug("closed", code=event.code, reason=event.reason, address=self._address)

    def _on_request(self, head: http3.RequestReceived, now: float) -> None:
        exchange = Exchange(self._channel, head, self._address)
        self._exchanges[head.stream] = exchange
        if self._refusing:
            exchange.refuse(Unavailable("busy"))
            self.drain(now)
        elif head.early and head.method not in SAFE:
            exchange.refuse(Refused("too_early"))  # RFC 8470 §5.2
        elif head.method == "CONNECT":
            self._connect(head, exchange, now)
            return
        elif head.end:
            exchange.ask()
            return
        else:
            return
        self._dismiss(head)

    def _on_body(self, stream: int, data: bytes, end: bool, now: float) -> None:
        if (exchange := self._exchanges.get(stream)) is not None:
            self._body_bytes += len(data)
            exchange.receive(data)
            if self._body_bytes > BODIES * self._around.limits.body_bytes:
                exchange.refuse(Unavailable("busy"))
            elif end:
                exchange.ask()
        elif (link := self._links.get(stream)) is not None:
            link.receive(data, end, now)

    def _connect(self, head: http3.RequestReceived, exchange: Exchange, now: float) -> None:
        """Extended CONNECT (RFC 9220 §3): open a link, or say why not."""
        service, gateway = self._around.service.websocket, self._around.service.gateway
        request = exchange.request()
        stream = head.stream
        answer: list[tuple[str, str]] = []
        refusal: Response | None
        if service is None or head.protocol not in _PROTOCOLS[service.mode]:
            refusal = gateway.refuse(Refused("not_implemented"), address=self._address)
        else:
            refusal = gateway.admit(request)
        if refusal is None and head.protocol == "websocket":
            assert service is not None
            try:
                answer = websocket.negotiate_extended(head.headers, service.subprotocols)
            except websocket.HandshakeError as error:
                refusal = gateway.refuse(error, address=self._address)
        if refusal is not None:
            exchange.respond(refusal)
            self._dismiss(head)
            return
        assert service is not None
        del self._exchanges[stream]
        if head.protocol == "websocket":
            link = self._links[stream] = StreamLink.open(self._channel, service, stream, self._address, answer)
            if head.end:
                link.receive(b"", True, now)
        else:
            self._links[stream] = SessionLink(self._channel, service, stream, self._address)
            # What overtook the request.
            for event in self._http.accept_session(stream):
                self._on_event(event, now)
        self.socket.wake()

    def _dismiss(self, head: http3.RequestReceived) -> None:
        """A request was refused: what the client still wants to say as a tunnel is not read (RFC 9114 §4.1)."""
        if head.method == "CONNECT":
            self._http.reset(head.stream, http3.ErrorCode.H3_NO_ERROR)

    def _done(self, stream: int) -> None:
        """Nothing happens any more on the stream of a request, and on what belongs to it."""
        exchange = self._exchanges.pop(stream, None)
        if exchange is not None:
            self._body_bytes -= exchange.body_bytes
        if self._links:
            link = self._links.pop(stream, None)
            if isinstance(link, SessionLink) and link.data_stream is not None:
                self._links.pop(link.data_stream, None)
        now = self._sent_at = time.monotonic()
        if self._draining and not self._gone:
            self._arm(now)

    # --- inside ------------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """The connection is over: end everything on it. Harmless to repeat."""
        if self._gone:
            return
        self._gone = True
        for exchange in list(self._exchanges.values()):
            exchange.abandon()
        for link in set(self._links.values()):
            link.lost()
        self._exchanges.clear()
        self._links.clear()
        self._around.timer.cancel(self.id)
        if self._network:
            self._around.capacity.leave(self._network)
        self._closed(self)

    def _move(self) -> bool:
        """Know where the client is now; whether its network may have one more connection."""
        peer = self.socket.endpoint.peer(self.number)
        if peer is not None:
            self._address = str(addresses.parse(peer[0]))
        for link in self._links.values():
            if isinstance(link, SessionLink):
                link.moved()
        network = "" if addresses.is_loopback(self._address) else addresses.network(self._address)
        if network == self._network:
            return True
        if self._network:
            self._around.capacity.leave(self._network)
        self._network = network
        # This machine is nobody's client.
        return not network or self._around.capacity.enter(network)

    def _close_when_done(self, now: float) -> None:
        if self._is_done and now >= self._quiet_at:
            self._http.close(http3.ErrorCode.H3_NO_ERROR)
            self.socket.wake()

    @property
    def _is_done(self) -> bool:
        return self._draining and not self._http.requests and not self._links

    @property
    def _quiet_at(self) -> float:
        """When the client has had its time to take our last answer: a close discards what is on its way."""
        return self._sent_at + self._around.service.limits.linger_seconds

    def _arm(self, now: float) -> None:
        """Keep the timer at the earliest of what is waited for; one that is set for earlier finds out itself."""
        deadline = self._http.deadline()
        if self._is_done:
            deadline = self._quiet_at if deadline is None else min(deadline, self._quiet_at)
        if deadline is not None and (self._armed is None or deadline < self._armed):
            self._armed = deadline
            self._around.timer.set(self.id, deadline)
