"""A server of HTTP/3 in the test's own loop, scripted: what it is asked is answered by the test.

It runs on the reference engine and `chiron.protocols.http3`, so it is no foreign server; it stands for a server that
does, at the moment that the test chooses, what no good server would.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from quic_path import Pair, pair
from scripted import DEADLINE, Peer
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from chiron.client.transports import Choice
from chiron.protocols import http3
from chiron.protocols.quic.endpoint import Address, Kind
from chiron.protocols.quic.reference import ReferenceEndpoint
from chiron.protocols.wire import records

SECRET = bytes(range(32))


@dataclass
class Asked:
    """One request, with what came of its body so far."""

    server: H3Server
    http: http3.Connection
    connection: int
    stream: int
    method: str
    target: str
    protocol: str | None
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    aborted: int | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def respond(
        self, status: int, headers: list[tuple[str, str]] | None = None, body: bytes = b"", *, end: bool = True
    ) -> None:
        self.http.respond(self.stream, status, headers or [], body, end=end)
        self.server.turn()

    def send(self, data: bytes, *, end: bool = False) -> bool:
        more = self.http.send_data(self.stream, data, end=end)
        self.server.turn()
        return more

    def reset(self, code: int) -> None:
        self.http.reset(self.stream, code)
        self.server.turn()


class H3Server(asyncio.DatagramProtocol):
    """`answer` is started for each request as soon as its head is there; who opens sessions overrides `on_event`."""

    def __init__(self, certificate: Pair | None = None, *, secret: bytes = SECRET) -> None:
        self.certificate = certificate or pair("127.0.0.1")
        self.secret = secret
        self.port = 0
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Awaitable[None]] | None = None
        self.clients: set[Address] = set()
        """Where datagrams came from."""
        self.deaf = False
        """Nothing that comes is heard."""
        self.connections: dict[int, http3.Connection] = {}
        self._requests: dict[tuple[int, int], Asked] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def offer(self) -> dict[str, Any]:
        """What `/v1/transports` says of it."""
        digest = base64.b64encode(self.certificate.hash).decode()
        return {"url": f"https://127.0.0.1:{self.port}/v1/realtime", "hashes": [digest]}

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.endpoint = ReferenceEndpoint(
            self.certificate.chain, self.certificate.key, secret=self.secret, now=loop.time()
        )
        address = ("127.0.0.1", self.port)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=address)
        self.port = self._transport.get_extra_info("sockname")[1]

    async def close(self, *, silently: bool = False) -> None:
        """End every connection, unless as a process that was killed."""
        if self._transport is None:
            return
        if not silently:
            for connection in self.connections.values():
                connection.close()
            self.turn()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        self._transport = None
        self.connections.clear()
        self._requests.clear()

    def turn(self) -> None:
        """Handle what there is, and send what may be sent."""
        if self._transport is None:
            return
        now = asyncio.get_running_loop().time()
        while events := self.endpoint.poll():
            for event in events:
                number, kind = event[0], event[1]
                if kind == Kind.OPENED:
                    self.connections[number] = http3.Connection(self.endpoint, number, now=now)
                http = self.connections[number]
                for each in http.receive(event, now):
                    self.on_event(number, http, each)
                if kind == Kind.CLOSED:
                    del self.connections[number]
        for data, address in self.endpoint.take(now):
            self._transport.sendto(data, address)
        if self._timer is not None:
            self._timer.cancel()
        timeout = self.endpoint.next_timeout()
        self._timer = asyncio.get_running_loop().call_at(timeout, self._due) if timeout is not None else None

    def on_event(self, connection: int, http: http3.Connection, event: http3.Event) -> None:
        match event:
            case http3.RequestReceived(stream, method, _, _, path, protocol, headers, end):
                asked = Asked(self, http, connection, stream, method, path, protocol, dict(headers), ended=end)
                self._requests[connection, stream] = asked
                self.asked.append(asked)
                self._begin(asked)
            case http3.BodyReceived(stream, data, end):
                if found := self._requests.get((connection, stream)):
                    found.body += data
                    found.ended = end
                    self._tell(found)
            case http3.Aborted(stream, code):
                if found := self._requests.get((connection, stream)):
                    found.aborted = code
                    self._tell(found)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.clients.add(addr)
        if not self.deaf:
            self.endpoint.feed([(data, addr)], asyncio.get_running_loop().time())
            self.turn()

    def _begin(self, asked: Asked) -> None:
        assert self.answer is not None

        async def answer(respond: Callable[[Asked], Awaitable[None]]) -> None:
            await respond(asked)

        self._keep(answer(self.answer))

    def _tell(self, asked: Asked) -> None:
        async def tell() -> None:
            async with asked.changed:
                asked.changed.notify_all()

        self._keep(tell())

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _due(self) -> None:
        self.endpoint.handle_timeouts(asyncio.get_running_loop().time())
        self.turn()


# --- links ----------------------------------------------------------------------------------------------------------


class Session:
    """The server's end of a WebTransport session, with the one stream of its link, as `scripted.Carrier`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._stream = -1
        self._decoder = records.Decoder(1 << 20)
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._closed = asyncio.Event()

    async def recv(self) -> bytes:
        return await self._messages.get()

    async def send(self, message: str, /) -> None:
        self.send_bytes(records.encode(message.encode()))

    def send_bytes(self, data: bytes) -> None:
        self._asked.http.send_stream(self._stream, data)
        self._asked.server.turn()

    def send_datagram(self, message: bytes) -> None:
        assert self._asked.http.send_session_datagram(self._asked.stream, message)
        self._asked.server.turn()

    async def close(self, code: int = 1000, /) -> None:
        self._asked.http.close_session(self._asked.stream, code)
        self.ended()
        self._asked.server.turn()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def opened(self, stream: int) -> None:
        assert self._stream == -1, "a link has one stream"
        self._stream = stream

    def received(self, data: bytes) -> None:
        for message in self._decoder.receive(data):
            self._messages.put_nowait(message)

    def ended(self) -> None:
        self._closed.set()


class Tunnel:
    """The server's end of a WebSocket over HTTP/3 (RFC 9220), as `scripted.Carrier`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._protocol = Protocol(SERVER)
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._closed = asyncio.Event()

    async def recv(self) -> bytes:
        return await self._messages.get()

    async def send(self, message: str, /) -> None:
        self._protocol.send_text(message.encode())
        self._flush()

    async def close(self, code: int = 1000, /) -> None:
        self._protocol.send_close(code)
        self._flush()
        await self._closed.wait()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def received(self, data: bytes, end: bool) -> None:
        self._protocol.receive_data(data)
        if end:
            self._protocol.receive_eof()
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode is Opcode.TEXT:
                self._messages.put_nowait(bytes(frame.data))
        self._flush()
        if end or self._protocol.state is State.CLOSED:
            self.ended()

    def ended(self) -> None:
        self._closed.set()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._asked.http.send_data(self._asked.stream, data, end=not data)
        # A turn may be under way.
        asyncio.get_running_loop().call_soon(self._asked.server.turn)


class RealtimeH3(H3Server):
    """A realtime server over HTTP/3; the test plays each link by hand."""

    def __init__(self, transport: Literal["webtransport", "websocket-h3"]) -> None:
        super().__init__()
        self.transport: Choice = transport
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Status and header fields with which the next sessions are refused."""
        self.answer = self._admit
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._carriers: dict[tuple[int, int], Session | Tunnel] = {}

    async def link(self) -> Peer:
        """The next link that is opened."""
        async with asyncio.timeout(DEADLINE):
            return await self._peers.get()

    async def _admit(self, asked: Asked) -> None:
        assert (asked.method, asked.target) == ("CONNECT", "/v1/realtime")
        assert asked.protocol == self.transport.partition("-")[0]
        if self.refusals:
            status, fields = self.refusals.pop(0)
            asked.respond(status, [(name.lower(), value) for name, value in fields.items()])
            return
        carrier: Session | Tunnel
        if asked.protocol == "webtransport":
            carrier = Session(asked)
            self._carriers[asked.connection, asked.stream] = carrier
            for event in asked.http.accept_session(asked.stream):
                self.on_event(asked.connection, asked.http, event)
            self.turn()
        else:
            assert asked.headers["sec-websocket-protocol"] == "chiron.v1.json"
            carrier = Tunnel(asked)
            self._carriers[asked.connection, asked.stream] = carrier
            asked.respond(200, [("sec-websocket-protocol", "chiron.v1.json")], end=False)
        self._peers.put_nowait(Peer(carrier))

    def on_event(self, connection: int, http: http3.Connection, event: http3.Event) -> None:
        match event:
            case http3.SessionStream(session, stream, True):
                self._session(connection, session).opened(stream)
            case http3.SessionData(session, _, data):
                self._session(connection, session).received(data)
            case http3.SessionClosed(session):
                self._session(connection, session).ended()
            case http3.BodyReceived(stream, data, end):
                tunnel = self._carriers[connection, stream]
                assert isinstance(tunnel, Tunnel)
                tunnel.received(data, end)
            case http3.Aborted(stream):
                if (connection, stream) in self._carriers:
                    self._carriers[connection, stream].ended()
            case http3.Closed():
                for (of, _), carrier in self._carriers.items():
                    if of == connection:
                        carrier.ended()
            case _:
                super().on_event(connection, http, event)

    def _session(self, connection: int, stream: int) -> Session:
        session = self._carriers[connection, stream]
        assert isinstance(session, Session)
        return session
