"""One TCP connection: a transport of the loop on one side, the hub on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import structlog

from chiron._core import Broken, Data, Ended, PeerClosed, Secured, Tls
from chiron.errors import Unavailable
from chiron.protocols import http1, proxy, websocket
from chiron.server.edge.capacity import Capacity
from chiron.server.edge.engine import Due, Engine
from chiron.server.edge.phase import NEXT, Phase
from chiron.server.edge.service import Service, WebSocketService
from chiron.server.edge.sockets import set_options
from chiron.server.platform import addresses
from chiron.server.ports import Request, Response, Scheme

ABNORMAL = 1006
"""What stands for the close code where no close frame was seen (RFC 6455 §7.1.5)."""
HOLD_MARK = 65_536
"""While more bytes of answers are queued, no further request (in mode `message`: no further message) is read."""
_ENDINGS = (PeerClosed, Broken, Ended)
"""Events that end an upgraded connection."""

_log = structlog.get_logger("chiron.edge")


class TcpConnection(asyncio.BufferedProtocol):
    """Reads into the engine's one buffer, which the hub consumes before the loop can read for anybody else."""

    __slots__ = (
        "_address",
        "_announced",
        "_announcement",
        "_armed",
        "_cancellable",
        "_capacity",
        "_close_code",
        "_closed",
        "_engine",
        "_holding",
        "_http",
        "_lingers",
        "_network",
        "_phase",
        "_postponed",
        "_proxied",
        "_reading",
        "_refusing",
        "_resting",
        "_secure",
        "_service",
        "_task",
        "_tls",
        "_transport",
        "_was_link",
        "id",
    )

    def __init__(
        self,
        engine: Engine,
        service: Service,
        tls: Tls | None,
        *,
        capacity: Capacity,
        closed: Callable[[TcpConnection], None],
        announced: bool = False,
        refusing: bool = False,
    ) -> None:
        """`closed` is called once, when the transport is gone.

        `announced`: on a plain listener, a header of the PROXY protocol comes first.
        `refusing`: there is no capacity for this one; its first request is answered 503.
        """
        self._capacity = capacity
        self._announced = announced
        self._closed = closed
        self._engine = engine
        self._service = service
        self._tls = tls
        self._refusing = refusing
        self._phase = Phase.SECURING if tls is not None else Phase.ANNOUNCING if announced else Phase.HTTP
        self._announcement: proxy.Connection | None = None
        self._http: http1.Connection | None = None
        self._armed: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancellable = False
        self._postponed: list[http1.Event] = []
        self._holding = False
        self._lingers = True
        self._reading = True
        self._resting = False
        self._was_link = False
        self._close_code = 0
        self._address = ""
        self._network = ""
        self._proxied = False
        self.id = 0

    # --- asyncio.BufferedProtocol ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        engine = self._engine
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        set_options(transport.get_extra_info("socket"))
        peername = transport.get_extra_info("peername")
        self._address = peername[0] if isinstance(peername, tuple) else ""
        now = engine.now()
        proxies = self._service.proxies
        if self._announced and proxies is not None and not proxies.may_announce(self._address):
            if peername is None:  # gone already: many health checks reset what they have opened
                self.abort()
            else:
                self._unannounced("this peer is no trusted proxy")
            return
        try:
            self.id = engine.hub.open(self._tls, now)
        except BaseException as error:
            self._fail(error)
            return
        engine.peers[self.id] = self
        if self._phase is Phase.ANNOUNCING:
            self._announcement = proxy.Connection(now, self._service.limits.proxy)
            engine.set_timer(self.id, Due.HANDSHAKE, now + self._service.limits.proxy.header_seconds)
            return
        self._belong()
        if self._phase is Phase.SECURING:
            engine.set_timer(self.id, Due.HANDSHAKE, now + self._service.limits.handshake_seconds)
        else:
            self._begin_http(now)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._engine.receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        if nbytes == len(self._engine.receive_buffer):
            self._rest()
        if self._phase is Phase.LINGERING:
            return
        engine = self._engine
        now = engine.now()
        try:
            self._handle(engine.feed(self.id, nbytes, now), now)
            if engine.hub.dirty:
                engine.wake()
        except BaseException as error:
            self._fail(error)

    def eof_received(self) -> bool:
        """Returns True: our half stays open until what we have to say is said."""
        self._lingers = False
        if self._phase is Phase.LINGERING:
            self._transport.close()
            return True
        engine = self._engine
        now = engine.now()
        try:
            self._handle(engine.hub.feed_end(self.id, now), now)
            if engine.hub.dirty:
                engine.wake()
        except BaseException as error:
            self._fail(error)
        return True

    def pause_writing(self) -> None:
        engine = self._engine
        engine.hub.pause(self.id)
        if self._phase is not Phase.GONE:
            engine.set_timer(self.id, Due.STALL, engine.now() + self._service.limits.stall_seconds)

    def resume_writing(self) -> None:
        engine = self._engine
        engine.cancel_timer(self.id, Due.STALL)
        engine.hub.resume(self.id)
        engine.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._phase is Phase.GONE:
            return
        engine = self._engine
        self._phase = Phase.GONE
        self._postponed = []
        engine.peers.pop(self.id, None)
        engine.cancel_timers(self.id)
        try:
            engine.hub.close(self.id)
            self._abandon()
            if self._network:
                self._capacity.leave(self._network)
            if self._was_link:
                engine.links[self._transport_name] -= 1
                engine.closes[self._close_code or ABNORMAL] += 1
                assert self._service.websocket is not None
                self._service.websocket.links.closed(self.id)
        except BaseException as error:
            engine.failed(error)
        finally:
            self._closed(self)

    # --- engine.Peer -------------------------------------------------------------------------------------------------

    def write(self, data: bytes, last: bool) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        try:
            if data:
                transport.write(data)
            if last:
                self._linger()
            elif self._holding and self._engine.hub.queued(self.id) < HOLD_MARK:
                self._holding = False
                events, self._postponed = self._postponed, []
                self._set_reading(True)
                if self._phase is Phase.HTTP:
                    self._on_http(events, self._engine.now())
        except BaseException as error:
            self._fail(error)

    def received(self, events: Sequence[Any]) -> None:
        """Events of an upgraded connection that come later than their bytes."""
        try:
            if self._phase is Phase.UPGRADED:
                self._on_upgraded(events)
        except BaseException as error:
            self._fail(error)

    def end(self, code: int, reason: str) -> None:
        """Finish an upgraded connection with a close frame; one that speaks HTTP, without."""
        if self._phase is Phase.UPGRADED:
            self._finish(code, reason)
        elif self._phase in (Phase.ANNOUNCING, Phase.SECURING, Phase.HTTP):
            self._finish()

    def abort(self) -> None:
        self._transport.abort()

    def drain(self) -> None:
        """No further request: an idle connection ends now, a busy one with its answer."""
        if self._phase in (Phase.ANNOUNCING, Phase.SECURING) or (
            self._http is not None and self._http.state is http1.State.IDLE
        ):
            # It has read all that it was sent, so there is nothing that a reset could destroy: no lingering.
            self._lingers = False
            self._finish()

    def expired(self, due: Due, now: float) -> None:
        try:
            if self._phase is Phase.ANNOUNCING and self._announcement is not None:
                self._on_announcement(self._announcement.expire(now), now)
            elif due is not Due.HTTP:
                self.abort()
            elif self._http is not None and self._phase is Phase.HTTP:
                self._armed = None
                self._on_http(self._http.expire(now), now)
        except BaseException as error:
            self._fail(error)

    # --- bytes in ----------------------------------------------------------------------------------------------------

    def _handle(self, events: list[Any], now: float) -> None:
        if self._phase is Phase.UPGRADED:
            self._on_upgraded(events)
            return
        received = [event.data for event in events if type(event) is Data]
        for event in events:
            match event:
                case Secured():
                    self._engine.cancel_timer(self.id, Due.HANDSHAKE)
                    self._begin_http(now)
                case Data() if received and self._phase is Phase.ANNOUNCING and self._announcement is not None:
                    data, received = b"".join(received), []
                    self._on_announcement(self._announcement.receive(data, now), now)
                case Data() if received and self._phase is Phase.HTTP and self._http is not None:
                    # Joined, because an upgrade takes what is behind it from here.
                    data, received = b"".join(received), []
                    self._on_http(self._http.receive(data, now), now)
                case Ended():
                    self._lingers = self._lingers and not event.clean
                    if self._phase is Phase.HTTP and self._http is not None:
                        self._on_http(self._http.receive_end(now, clean=event.clean), now)
                    elif self._phase is Phase.ANNOUNCING and self._announcement is not None:
                        self._on_announcement(self._announcement.receive_end(now), now)
                    else:
                        self._finish()
                case Broken():
                    _log.debug("broken", layer=event.layer, reason=event.reason, address=self._address)
                    self._abandon()
                    self._finish()

    def _on_upgraded(self, events: Sequence[Any]) -> None:
        """Frames go to the service; what concerns the connection stays here."""
        assert self._service.websocket is not None
        ending = [event for event in events if isinstance(event, _ENDINGS)]
        frames = [event for event in events if not isinstance(event, _ENDINGS)] if ending else events
        if frames:
            self._service.websocket.links.received(self.id, frames)
            self._engine.frames += len(frames)
            if self._service.websocket.mode == "message" and self._engine.hub.queued(self.id) >= HOLD_MARK:
                self._hold()
        for event in ending:
            if isinstance(event, Broken):
                _log.debug("broken", layer=event.layer, reason=event.reason, address=self._address)
                if event.layer != "tls":
                    self._close_code = self._close_code or event.code
            elif isinstance(event, PeerClosed):
                self._close_code = self._close_code or event.code
            elif isinstance(event, Ended):
                self._lingers = self._lingers and not event.clean
            self._finish()

    # --- the proxy in front -----------------------------------------------------------------------------------------

    def _on_announcement(self, events: Sequence[proxy.Event], now: float) -> None:
        for event in events:
            self._announcement = None
            self._engine.cancel_timer(self.id, Due.HANDSHAKE)
            match event:
                case proxy.Accepted():
                    if event.source is not None:
                        self._address = event.source.address
                    self._belong()
                    self._begin_http(now)
                    if event.trailing:
                        assert self._http is not None
                        self._on_http(self._http.receive(event.trailing, now), now)
                case proxy.Refused():
                    self._unannounced(str(event.error))
                case proxy.Aborted() | proxy.Finished():
                    self._finish()

    def _unannounced(self, reason: str) -> None:
        _log.warning("no acceptable PROXY header: closed", address=self._address, reason=reason)
        self.abort()

    def _belong(self) -> None:
        """Know whose connection it is: a proxy's of ours, whose clients are told apart by what it forwards, or one of
        the many of a network."""
        proxies = self._service.proxies
        self._proxied = proxies is not None and proxies.trusts(self._address)
        if not self._proxied and not self._enter_network(self._address):
            self._refusing = True

    def _enter_network(self, address: str) -> bool:
        """Whether the network of a client may have one more connection. This machine is nobody's client."""
        if not address or addresses.is_loopback(address):
            return True
        self._network = addresses.network(address)
        return self._capacity.enter(self._network)

    def _client(self, headers: Sequence[tuple[str, str]]) -> tuple[str, Scheme]:
        """Address and scheme of who sent a request."""
        scheme: Scheme = "http" if self._tls is None else "https"
        if not self._proxied:
            return self._address, scheme
        assert self._service.proxies is not None
        return self._service.proxies.client(self._address, scheme, headers)

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def _begin_http(self, now: float) -> None:
        self._enter(Phase.HTTP)
        self._http = http1.Connection(now, self._service.limits.http)
        self._arm()

    def _on_http(self, events: list[http1.Event], now: float) -> None:
        http = self._http
        assert http is not None
        output = http.to_send(now)  # 100 Continue
        if output:
            self._send(output)
        for event in events:
            match event:
                case http1.Request():
                    self._on_request(event, now)
                case http1.Refused():
                    self._respond(self._service.gateway.refuse(event.error, address=self._address), now)
                case http1.Aborted():
                    self._abandon()
                    self._finish()
                case http1.Finished():
                    self._finish()
        if self._phase is Phase.HTTP:
            self._arm()
            self._set_reading(not (http.paused or self._holding))

    def _on_request(self, event: http1.Request, now: float) -> None:
        address, scheme = self._client(event.headers)
        request = Request(
            method=event.method,
            target=event.target,
            headers=event.headers,
            body=event.body,
            address=address,
            scheme=scheme,
            version=event.version,
        )
        if self._refusing:
            self._respond(self._service.gateway.refuse(Unavailable("busy"), address=address), now, close=True)
        elif self._service.websocket is not None and websocket.asks_for_websocket(event.headers):
            self._upgrade(request, self._service.websocket, now)
        else:
            self._cancellable = event.method in ("GET", "HEAD")
            self._task = self._engine.loop.create_task(self._serve(request))
            self._engine.tasks.add(self._task)
            self._task.add_done_callback(self._engine.tasks.discard)

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._service.gateway.respond(request)
            self._task = None
            if self._phase is Phase.HTTP:
                self._respond(response, self._engine.now())
        except asyncio.CancelledError:
            self.abort()
            raise
        except BaseException as error:
            self._fail(error)

    def _respond(self, response: Response, now: float, *, close: bool = False) -> None:
        http, engine = self._http, self._engine
        assert http is not None
        close = close or engine.draining
        following = http.respond(response.status, response.headers, response.body, now, close=close)
        self._send(http.to_send(now))
        if http.state is http1.State.CLOSED:
            self._finish()
        elif engine.hub.queued(self.id) >= HOLD_MARK:
            self._postponed = following
            self._hold()
        else:
            self._on_http(following, now)

    def _upgrade(self, request: Request, service: WebSocketService, now: float) -> None:
        gateway, http = self._service.gateway, self._http
        assert http is not None
        refusal = gateway.admit(request)
        if refusal is None:
            try:
                answer = websocket.negotiate(request.method, request.version, request.headers, service.subprotocols)
            except websocket.HandshakeError as error:
                refusal = gateway.refuse(error, address=request.address)
        # A proxy's connection is its client's as soon as nobody else can be asked for on it.
        if refusal is None and self._proxied and not self._enter_network(request.address):
            refusal = gateway.refuse(Unavailable("busy"), address=request.address)
        if refusal is not None:
            self._respond(refusal, now, close=True)
            return
        trailing = http.switch(answer)
        self._send(http.to_send(now))
        self._http = None
        self._engine.cancel_timer(self.id, Due.HTTP)
        self._enter(Phase.UPGRADED)
        self._was_link = True
        self._engine.links[self._transport_name] += 1
        events = self._engine.hub.upgrade(self.id, service.mode, trailing, service.max_message, now)
        service.links.opened(self.id, address=request.address)
        self._set_reading(True)
        self._on_upgraded(events)

    def _arm(self) -> None:
        """Keep the one HTTP timer at the protocol's deadline."""
        assert self._http is not None
        deadline = self._http.deadline()
        if deadline == self._armed:
            return
        self._armed = deadline
        if deadline is None:
            self._engine.cancel_timer(self.id, Due.HTTP)
        else:
            self._engine.set_timer(self.id, Due.HTTP, deadline)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _finish(self, code: int | None = None, reason: str = "") -> None:
        """Queue nothing more; the flush brings the rest out and calls `write` with `last`."""
        if self._phase in (Phase.ENDING, Phase.LINGERING, Phase.GONE):
            return
        upgraded = self._phase is Phase.UPGRADED
        if upgraded and code is not None:
            self._close_code = self._close_code or code
        engine = self._engine
        self._enter(Phase.ENDING)
        self._postponed = []
        engine.cancel_timer(self.id, Due.HTTP)
        engine.hub.finish(self.id, code, reason)
        engine.wake()
        if upgraded:
            # Nothing durable waits for this link any more. An HTTP response goes on as long as the peer takes it.
            engine.set_timer(self.id, Due.ENDING, engine.now() + self._service.limits.linger_seconds)

    def _linger(self) -> None:
        engine = self._engine
        self._enter(Phase.LINGERING)
        if not self._lingers:
            self._transport.close()
        else:
            self._transport.write_eof()
            self._set_reading(True)
        engine.set_timer(self.id, Due.ENDING, engine.now() + self._service.limits.linger_seconds)

    def _abandon(self) -> None:
        """The client will not see the answer: stop what only reads; what may have an effect runs to its end."""
        if self._task is not None and self._cancellable:
            self._task.cancel()
        self._task = None

    def _fail(self, error: BaseException) -> None:
        self._engine.failed(error, self)

    # --- the small steps ---------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase:
            assert phase in NEXT[self._phase], f"from {self._phase.name} to {phase.name}"
            self._phase = phase

    @property
    def _transport_name(self) -> str:
        return "plain" if self._tls is None else "tls"

    def _send(self, data: bytes) -> None:
        self._engine.hub.send(self.id, data)
        self._engine.wake()

    def _hold(self) -> None:
        """Read no more until `write` has brought most of the queue out."""
        self._holding = True
        self._set_reading(False)

    def _rest(self) -> None:
        """Read no more in this turn of the loop: the others have one first.

        A full buffer says that there is more, and libuv would take up to 32 of them in a row (uv__read in stream.c).
        """
        if self._reading and not self._resting and not self._transport.is_closing():
            self._resting = True
            self._transport.pause_reading()
            self._engine.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._resting = False
        if self._reading and not self._transport.is_closing():
            self._transport.resume_reading()

    def _set_reading(self, reading: bool) -> None:
        if reading is self._reading or self._transport.is_closing():
            return
        self._reading = reading
        if self._resting:
            return
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
