"""A client of HTTP/3 and WebTransport that shows everything: our protocols on a UDP socket, without a policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from chiron.protocols import http3, webtransport
from chiron.protocols.quic.client import CONNECTION, ClientEndpoint
from chiron.protocols.quic.endpoint import Kind


@dataclass
class Answer:
    """What came on the stream of a request."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    aborted: int | None = None
    """Code with which the server gave it up."""


@dataclass
class Lane:
    """What came on a stream of a session."""

    session: int
    data: bytearray = field(default_factory=bytearray)
    ended: bool = False
    aborted: bool = False


class Visitor(asyncio.DatagramProtocol):
    """One connection. What it does leaves with `turn`, which its own methods call."""

    def __init__(self, port: int, *, server_name: str = "localhost", **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self._address = ("127.0.0.1", port)
        self.endpoint = ClientEndpoint(server_name, self._address, now=self.loop.time(), **options)
        self.http: http3.Connection | None = None
        self.authority = f"localhost:{port}"
        self.answers: dict[int, Answer] = {}
        self.lanes: dict[int, Lane] = {}
        self.datagrams: dict[int, list[bytes]] = {}
        self.closed_sessions: dict[int, http3.SessionClosed] = {}
        self.goaway: int | None = None
        self.settings: http3.SettingsReceived | None = None
        self.connected = False
        self.resumed = False
        self.closed: http3.Closed | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    # --- requests ----------------------------------------------------------------------------------------------------

    def ask(
        self,
        path: str,
        *headers: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
        end: bool = True,
        protocol: str | None = None,
    ) -> int:
        """Begin a request; its stream. With `body`, that is sent too; `end` says whether anything follows."""
        assert self.http is not None
        stream = self.http.request(
            method, "https", self.authority, path, list(headers), protocol=protocol, end=end and body is None
        )
        self.answers[stream] = Answer()
        if body is not None:
            self.http.send_data(stream, body, end=end)
        self.turn()
        return stream

    async def answer(self, stream: int) -> Answer:
        """The whole of it, or what came until it was aborted."""
        answer = self.answers[stream]
        await self.until(lambda: answer.ended or answer.aborted is not None or self.closed is not None)
        return answer

    async def more(self, stream: int) -> None:
        """Wait for another piece of an answer, or its end."""
        answer = self.answers[stream]
        had = len(answer.body)
        await self.until(lambda: len(answer.body) > had or answer.ended or answer.aborted is not None)

    async def get(self, path: str, *headers: tuple[str, str], method: str = "GET") -> Answer:
        return await self.answer(self.ask(path, *headers, method=method))

    async def head(self, stream: int) -> int:
        """The status, as soon as it is there."""
        answer = self.answers[stream]
        await self.until(lambda: answer.status or answer.aborted is not None or self.closed is not None)
        return answer.status

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        assert self.http is not None
        self.http.send_data(stream, data, end=end)
        self.turn()

    def reset(self, stream: int, code: int = http3.ErrorCode.H3_REQUEST_CANCELLED) -> None:
        assert self.http is not None
        self.http.reset(stream, code)
        self.turn()

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def session(self, *headers: tuple[str, str], path: str = "/v1/realtime") -> tuple[int, int]:
        """Ask for a WebTransport session; its number and the status of the answer."""
        await self.until(lambda: self.settings is not None)
        stream = self.ask(path, *headers, method="CONNECT", protocol="webtransport", end=False)
        return stream, await self.head(stream)

    def open(self, session: int, *, unidirectional: bool = False) -> int:
        assert self.http is not None
        stream = self.http.open_session_stream(session, unidirectional)
        self.lanes[stream] = Lane(session)
        return stream

    def write(self, stream: int, data: bytes, *, end: bool = False) -> None:
        assert self.http is not None
        self.http.send_stream(stream, data, end)
        self.turn()

    def pause(self, stream: int) -> None:
        """Read no more of a stream, so that the server gets no credit for it."""
        assert self.http is not None
        self.http.pause(stream)
        self.turn()

    def resume(self, stream: int) -> None:
        assert self.http is not None
        self.http.resume(stream)
        self.turn()

    # --- the network -------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def turn(self) -> None:
        """Handle what happened, send what may be sent, and set the timer."""
        now = self.loop.time()
        for event in self.endpoint.poll():
            if event[1] == Kind.OPENED:
                limits = http3.Limits(webtransport=webtransport.Limits(sessions=64))
                self.http = http3.Connection(self.endpoint, CONNECTION, client=True, limits=limits, now=now)
            self.connected = self.connected or event[1] == Kind.CONNECTED
            if event[1] == Kind.CONNECTED:
                self.resumed = event[4] == 1
            if self.http is not None:
                for each in self.http.receive(event, now):
                    self._on_event(each)
            elif event[1] == Kind.CLOSED:
                self.closed = http3.Closed(event[4], event[3].decode(), event[2])
        if self._transport is not None and not self._transport.is_closing():
            for data, _ in self.endpoint.take(now):
                self._transport.sendto(data)
        self._arm()
        self._changed.set()

    def _on_event(self, event: http3.Event) -> None:
        match event:
            case http3.ResponseReceived():
                answer = self.answers[event.stream]
                answer.status, answer.headers, answer.ended = event.status, dict(event.headers), event.end
            case http3.BodyReceived():
                self.answers[event.stream].body += event.data
                self.answers[event.stream].ended = event.end
            case http3.TrailersReceived():
                self.answers[event.stream].trailers = event.headers
                self.answers[event.stream].ended = True
            case http3.Aborted():
                self.answers[event.stream].aborted = event.code
            case http3.SettingsReceived():
                self.settings = event
            case http3.GoawayReceived():
                self.goaway = event.stream
            case http3.SessionStream():
                self.lanes[event.stream] = Lane(event.session)
            case http3.SessionData():
                self.lanes[event.stream].data += event.data
                self.lanes[event.stream].ended = event.end
            case http3.SessionStreamAborted():
                self.lanes[event.stream].aborted = True
            case http3.SessionDatagram():
                self.datagrams.setdefault(event.session, []).append(event.data)
            case http3.SessionClosed():
                self.closed_sessions[event.session] = event
            case http3.Closed():
                self.closed = event
            case _:
                pass

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.endpoint.connect(self.loop.time())
        self.turn()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.endpoint.feed([(data, self._address)], self.loop.time())
        self.turn()

    def error_received(self, exc: Exception) -> None:
        """Nobody is there: the connection will time out."""

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.endpoint.next_timeout()
        if due is not None:
            self._timer = self.loop.call_at(due, self._expired)

    def _expired(self) -> None:
        self.endpoint.handle_timeouts(self.loop.time())
        self.turn()

    def close(self) -> None:
        """Say goodbye and leave."""
        if self.http is not None and self.closed is None:
            self.http.close()
        self.turn()
        self.leave()

    def leave(self) -> None:
        """Without a word."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def visit(port: int, *, connected: bool = True, **options: Any) -> AsyncIterator[Visitor]:
    """A connection to 127.0.0.1:`port`; `connected`: wait for the handshake."""
    loop = asyncio.get_running_loop()
    options = {"verify": False, **options}
    _, visitor = await loop.create_datagram_endpoint(lambda: Visitor(port, **options), remote_addr=("127.0.0.1", port))
    try:
        if connected:
            await visitor.until(lambda: visitor.connected or visitor.closed)
        yield visitor
    finally:
        visitor.close()


__all__: Sequence[str] = ["Answer", "Lane", "Visitor", "visit"]
