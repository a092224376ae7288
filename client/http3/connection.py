"""One HTTP/3 connection (RFC 9114) of a client, for any number of requests and WebTransport sessions at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from chiron.client.errors import NotReachable, NotTrusted
from chiron.client.http3.errors import REQUEST_CANCELLED, REQUEST_REJECTED, ConnectionLost, StreamAborted
from chiron.client.http3.streams import Exchange, Head, Incoming, Outgoing
from chiron.client.http3.udp import Udp
from chiron.client.trust import Trust
from chiron.protocols import http3
from chiron.protocols.quic.client import CONNECTION, ClientEndpoint
from chiron.protocols.quic.endpoint import Address, Event, Kind

IDLE_SECONDS = 30.0
_CERTIFICATE_ERRORS = frozenset(0x100 + alert for alert in (42, 43, 45, 46, 48))
"""CRYPTO_ERROR (RFC 9001 §4.8) of bad_certificate, unsupported_certificate, certificate_expired, certificate_unknown
and unknown_ca (RFC 8446 §6)."""
Fields = Sequence[tuple[str, str]]


class SessionUser(Protocol):
    """Who is told what happens in a WebTransport session."""

    def received(self, stream: int, data: bytes, end: bool) -> None: ...

    def datagram(self, data: bytes) -> None: ...

    def aborted(self, stream: int) -> None: ...

    def writable(self, stream: int) -> None: ...

    def closed(self, code: int, failure: NotReachable | None) -> None:
        """The session is over: by its close code, or by a failure."""
        ...


class Connection:
    """To `peer`, an address of `host`; `place` says in words where it goes."""

    def __init__(self, host: str, peer: Address, trust: Trust) -> None:
        now = asyncio.get_running_loop().time()
        self.peer = peer
        self.place = f"UDP port {peer[1]} of {host}"
        self._endpoint = ClientEndpoint(
            host,
            peer,
            now=now,
            verify=trust.checks_names,
            ca=trust.authorities or None,
            ca_paths=trust.system_paths(),
            hashes=tuple(trust.pins),
            idle_seconds=IDLE_SECONDS,
        )
        self._http: http3.Connection | None = None
        self._udp = Udp(
            self._endpoint,
            peer,
            handle=self._handle,
            deadline=self._deadline,
            expire=self._expire,
            awaited=lambda: bool(self._exchanges or self._sessions),
            lost=lambda reason: self._fail(ConnectionLost(reason)),
        )
        self._ready: asyncio.Future[http3.SettingsReceived] = asyncio.get_running_loop().create_future()
        self._exchanges: dict[int, Exchange] = {}
        self._sessions: dict[int, SessionUser] = {}
        self._session_streams: dict[int, int] = {}
        """Session of each of its streams."""
        self._failure: NotReachable | None = None
        self._going = False
        """The server takes no more requests on this connection."""

    async def open(self) -> None:
        """Return once the server has said what it can do. Raises NotReachable, NotTrusted."""
        try:
            self._endpoint.connect(asyncio.get_running_loop().time())
            await self._udp.open()
        except OSError as error:
            raise NotReachable(f"there is no way to {self.place}: {error.strerror or error}") from error
        try:
            await asyncio.shield(self._ready)
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether another request can be made."""
        return self._failure is None and not self._going

    @property
    def busy(self) -> bool:
        return bool(self._exchanges or self._sessions)

    async def rebind(self) -> None:
        """Go on from another local port (and address, when this machine has another one). Raises OSError."""
        await self._udp.rebind()

    @property
    def local(self) -> tuple[str, int] | None:
        """Our address and port."""
        return self._udp.local

    def close(self) -> None:
        if self._failure is None:
            self._fail(ConnectionLost("the connection was closed here"))
            if self._http is not None:
                self._http.close()
            else:
                self._endpoint.close(CONNECTION, 0)
        self._udp.close()

    # --- requests ----------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        authority: str,
        path: str,
        fields: Fields = (),
        *,
        protocol: str | None = None,
        end: bool = True,
    ) -> Exchange:
        """Begin a request; without `end` its body follows. Raises NotReachable.

        `protocol` is that of an extended CONNECT (RFC 9220).
        """
        http = self._open_http()
        if self._going:
            raise ConnectionLost(f"{self.place} takes no more requests on this connection", unused=True)
        if protocol is not None and not self._ready.result().extended_connect:
            raise NotReachable(f"{self.place} speaks HTTP/3, but takes no {protocol}")
        stream = http.request(method, "https", authority, path, list(fields), protocol=protocol, end=end)
        if stream < 0:
            raise ConnectionLost(f"the connection to {self.place} is over", unused=True)
        exchange = self._exchanges[stream] = Exchange(
            stream,
            Incoming(lambda: self._pause(stream), lambda: self._resume(stream)),
            Outgoing(lambda data, last: self._send_data(stream, data, last)),
            self._abandon,
        )
        self._udp.wake()
        return exchange

    def finished(self, exchange: Exchange) -> None:
        """Nobody is interested in an exchange any more; what is left of it is given up."""
        if self._exchanges.pop(exchange.id, None) is not None and not exchange.incoming.ended:
            self._abandon(exchange.id, REQUEST_CANCELLED)

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def session(self, authority: str, path: str, user: SessionUser) -> tuple[int | None, Head]:
        """Open a WebTransport session: its id, or None when the answer is no. Raises NotReachable."""
        self._open_http()
        if not self._ready.result().webtransport:
            raise NotReachable(f"{self.place} speaks HTTP/3, but takes no WebTransport")
        exchange = self.request("CONNECT", authority, path, protocol="webtransport", end=False)
        # What follows the answer may come with it.
        self._sessions[exchange.id] = user
        try:
            head = await exchange.response()
        except BaseException:
            self._sessions.pop(exchange.id, None)
            self.finished(exchange)
            raise
        if not 200 <= head.status < 300:
            self._sessions.pop(exchange.id, None)
            self.finished(exchange)
            return None, head
        self._exchanges.pop(exchange.id, None)
        return exchange.id, head

    def open_session_stream(self, session: int) -> int:
        """A bidirectional stream of a session. Raises NotReachable."""
        stream = self._open_http().open_session_stream(session, False)
        if stream < 0:
            raise ConnectionLost("the session is over")
        self._session_streams[stream] = session
        return stream

    def send_stream(self, stream: int, data: bytes, end: bool = False) -> bool:
        """False: no more until `writable`. Raises NotReachable."""
        more = self._open_http().send_stream(stream, data, end)
        self._udp.wake()
        return more

    def pause_stream(self, stream: int) -> None:
        self._pause(stream)

    def resume_stream(self, stream: int) -> None:
        self._resume(stream)

    def close_session(self, session: int, code: int = 0, reason: str = "") -> None:
        if self._sessions.pop(session, None) is not None and self._failure is None:
            self._open_http().close_session(session, code, reason)
            self._udp.wake()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _open_http(self) -> http3.Connection:
        if self._failure is not None:
            raise self._failure
        if self._http is None:
            raise NotReachable(f"{self.place} has not answered yet")
        return self._http

    def _send_data(self, stream: int, data: bytes, end: bool) -> bool:
        more = self._open_http().send_data(stream, data, end=end)
        self._udp.wake()
        return more

    def _pause(self, stream: int) -> None:
        if self._http is not None and self._failure is None:
            self._http.pause(stream)

    def _resume(self, stream: int) -> None:
        if self._http is not None and self._failure is None:
            self._http.resume(stream)
            self._udp.wake()

    def _abandon(self, stream: int, code: int) -> None:
        if self._http is not None and self._failure is None:
            self._http.reset(stream, code)
            self._udp.wake()

    def _deadline(self) -> float | None:
        return self._http.deadline() if self._http is not None else None

    def _expire(self, now: float) -> None:
        if self._http is not None:
            self._take(self._http.expire(now))

    def _handle(self, events: list[Event], now: float) -> None:
        for event in events:
            _, kind, _, data, number = event
            if kind == Kind.OPENED:
                self._http = http3.Connection(self._endpoint, CONNECTION, client=True, now=now)
            if kind == Kind.CLOSED and not self._ready.done():
                self._fail(self._why_not(data.decode("utf-8", "replace"), number))
            elif self._http is not None:
                self._take(self._http.receive(event, now))

    def _why_not(self, reason: str, code: int) -> NotReachable:
        if code in _CERTIFICATE_ERRORS:
            return NotTrusted(self.place, reason.rpartition("not to be trusted: ")[2])
        return NotReachable(f"{self.place} takes no connection: {reason or f'error {code:#x}'}")

    def _take(self, found: list[http3.Event]) -> None:
        for event in found:
            match event:
                case http3.ResponseReceived(stream, status, headers, end):
                    if exchange := self._exchanges.get(stream):
                        exchange.answered(Head(status, headers), end)
                case http3.BodyReceived(stream, data, end):
                    if exchange := self._exchanges.get(stream):
                        exchange.incoming.put(data, end)
                case http3.TrailersReceived(stream, _):
                    if exchange := self._exchanges.get(stream):
                        exchange.incoming.put(b"", True)
                case http3.Aborted(stream, code):
                    if exchange := self._exchanges.pop(stream, None):
                        rejected = code == REQUEST_REJECTED
                        exchange.fail(
                            ConnectionLost("the server takes no more requests here", unused=True)
                            if rejected
                            else StreamAborted(code)
                        )
                case http3.Writable(stream):
                    if exchange := self._exchanges.get(stream):
                        exchange.outgoing.writable()
                    elif user := self._sessions.get(self._session_streams.get(stream, -1)):
                        user.writable(stream)
                case http3.SessionStream(session, stream, _):
                    self._session_streams[stream] = session
                case http3.SessionData(session, stream, data, end):
                    if user := self._sessions.get(session):
                        user.received(stream, data, end)
                case http3.SessionStreamAborted(session, stream):
                    if user := self._sessions.get(session):
                        user.aborted(stream)
                case http3.SessionDatagram(session, data):
                    if user := self._sessions.get(session):
                        user.datagram(data)
                case http3.SessionClosed(session, code):
                    if user := self._sessions.pop(session, None):
                        user.closed(code, None)
                case http3.SettingsReceived():
                    if not self._ready.done():
                        self._ready.set_result(event)
                case http3.GoawayReceived():
                    self._going = True
                case http3.Closed(code, reason, _):
                    self._fail(ConnectionLost(f"the connection to {self.place} is over: {reason or f'code {code:#x}'}"))

    def _fail(self, failure: NotReachable) -> None:
        """The connection is over, and with it whatever was under way on it."""
        if self._failure is not None:
            return
        self._failure = failure
        if not self._ready.done():
            self._ready.set_exception(failure)
            self._ready.exception()
        for exchange in self._exchanges.values():
            exchange.fail(failure)
        for user in self._sessions.values():
            user.closed(0, failure)
        self._exchanges.clear()
        self._sessions.clear()
        asyncio.get_running_loop().call_soon(self._udp.close)
