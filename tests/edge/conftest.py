"""An edge on real sockets, on uvloop and on plain asyncio, whose gateway does as the test says."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
import uvloop

from chiron._core import Hub, Tls
from chiron.errors import ChironError, Refused
from chiron.protocols.quic.limits import Limits
from chiron.server.edge import udp
from chiron.server.edge.certificates import Certificate, development
from chiron.server.edge.engine import Engine
from chiron.server.edge.quic import QuicListener
from chiron.server.edge.quic_engines import make_endpoint
from chiron.server.edge.service import EdgeLimits, WebSocketService
from chiron.server.edge.tcp import TcpListener
from chiron.server.ports import Proxies, Request, Response

T = TypeVar("T")
TEST_SECONDS = 60.0


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[T]], T]:
    """Run a coroutine on a loop of its own."""

    def on_loop(main: Awaitable[T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(TEST_SECONDS):
                return await main

        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(bounded())

    return on_loop


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return development(tmp_path_factory.mktemp("tls"), datetime.now(UTC))


@dataclass
class Desk:
    """`ports.Gateway`: answers by path, and keeps what it was asked."""

    seen: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def respond(self, request: Request) -> Response:
        self.seen.append(f"{request.method} {request.target} {request.scheme}")
        self.addresses.append(request.address)
        if request.target.startswith("/wait"):
            self.started.set()
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.append(request.target)
                raise
        if request.target == "/panic":
            raise panic()
        if request.target == "/broken":
            return Response(200, b"", [("bad header", "x\r\n")])
        self.finished.append(request.target)
        if request.target.startswith("/big"):
            return Response(200, bytes(range(256)) * 4096 * 8)
        if request.target.startswith("/large"):
            return Response(200, bytes(range(256)) * 4096)
        return Response(200, request.body or request.target.encode(), [("content-type", "text/plain")])

    def admit(self, request: Request) -> Response | None:
        if request.target != "/v1/realtime":
            return self.refuse(Refused("not_found", what="address"), address=request.address)
        return None

    def refuse(self, error: ChironError, *, address: str) -> Response:
        self.refused.append(error.code)
        return Response(error.row.status, error.code.encode(), getattr(error, "headers", ()))


@dataclass
class Listened:
    """`ports.Links`: keeps what it is told."""

    events: dict[int, list[Any]] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Callable[[int, Sequence[Any]], None] = field(default=lambda link, events: None)
    """Called with what was received."""

    def opened(self, link: int, *, address: str) -> None:
        self.addresses.append(address)
        self.open.append(link)
        self.events[link] = []
        self.changed.set()

    def received(self, link: int, events: Sequence[Any]) -> None:
        assert link in self.open
        assert link not in self.gone
        self.events[link] += events
        self.answer(link, events)
        self.changed.set()

    def closed(self, link: int) -> None:
        assert link in self.open
        assert link not in self.gone
        self.gone.append(link)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()


@dataclass
class House:
    """A listening edge."""

    listener: TcpListener
    engine: Engine
    hub: Hub
    desk: Desk
    links: Listened
    port: int
    secure: bool
    poisoned: list[BaseException]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context: ssl.SSLContext | None = None
        if self.secure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = Client(*await self.connect())
        try:
            yield client
        finally:
            await client.close()

    async def until_empty(self) -> None:
        """Nothing is kept of connections that are gone."""
        while self.listener.connections or self.hub.stats()["connections"]:
            await asyncio.sleep(0.005)
        stats = self.hub.stats()
        assert (stats["connections"], stats["links"], stats["queued_bytes"]) == (0, 0, 0)
        assert not self.engine.peers
        assert len(self.engine.timers) == 0


@dataclass
class Client:
    """An HTTP client that shows every byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def get(self, target: str, *more: str, method: str = "GET") -> None:
        self.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: h", *more, "", ""]).encode())

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        return int(head[0].split(" ")[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def rest(self) -> bytes:
        """What comes until the server ends; a reset is an end too."""
        try:
            return await self.reader.read(-1)
        except ConnectionError:
            return b""

    async def upgrade(self, *more: str, subprotocol: str = "chiron.v1.json", target: str = "/v1/realtime") -> int:
        self.get(
            target,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Sec-WebSocket-Protocol: {subprotocol}",
            *more,
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ")[1])

    async def frame(self) -> tuple[int, bytes]:
        """The next WebSocket frame: opcode and payload."""
        first, length = await self.reader.readexactly(2)
        assert first & 0x80
        assert not length & 0x80
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(length)

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass  # the server was faster


def panic() -> BaseException:
    """What PyO3 raises for a panic in Rust."""
    kind = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    error = kind("boom")
    assert isinstance(error, BaseException)
    return error


Open = Callable[..., Any]


@pytest.fixture
def edge(certificate: Certificate) -> Open:
    @asynccontextmanager
    async def opened(
        *,
        secure: bool = False,
        mode: Any = "link",
        limits: EdgeLimits | None = None,
        max_connections: int | None = None,
        max_message: int = 65_536,
        proxies: Proxies | None = None,
        announced: bool = False,
    ) -> AsyncIterator[House]:
        buffer = bytearray(65_536)
        hub = Hub(buffer)
        poisoned: list[BaseException] = []
        engine = Engine(hub, buffer, on_poisoned=poisoned.append)
        desk, links = Desk(), Listened()
        service = WebSocketService(links, mode=mode, max_message=max_message)
        listener = TcpListener(engine, desk, service, proxies=proxies, limits=limits, max_connections=max_connections)
        sock = socket.create_server(("127.0.0.1", 0))
        tls = Tls(certificate.chain, certificate.key, [bytes(32)]) if secure else None
        await listener.listen(sock, tls, announced=announced)
        house = House(listener, engine, hub, desk, links, sock.getsockname()[1], secure, poisoned)
        try:
            yield house
        finally:
            desk.release.set()
            await listener.drain(0.0)
            engine.stop()

    return opened


@dataclass
class QuicHouse:
    """A listening edge of QUIC."""

    listener: QuicListener
    engine: Engine
    hub: Hub
    desk: Desk
    links: Listened
    port: int
    poisoned: list[BaseException]

    async def until_empty(self) -> None:
        """Nothing is kept of connections that are gone."""
        while self.listener.connections or self.hub.stats()["connections"] or self.hub.stats()["links"]:
            await asyncio.sleep(0.005)
        assert self.hub.stats()["queued_bytes"] == 0
        assert not self.engine.peers
        assert not self.engine.routed
        assert len(self.engine.timers) == 0


@pytest.fixture(params=["native", "aioquic"])
def quic(request: pytest.FixtureRequest, certificate: Certificate) -> Open:
    """The same over UDP, by each engine."""

    @asynccontextmanager
    async def opened(
        *,
        mode: Any = "link",
        limits: EdgeLimits | None = None,
        max_connections: int = 100,
        max_message: int = 65_536,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> AsyncIterator[QuicHouse]:
        """`options` are limits of the engine."""
        buffer = bytearray(65_536)
        hub = Hub(buffer)
        poisoned: list[BaseException] = []
        engine = Engine(hub, buffer, on_poisoned=poisoned.append)
        desk, links = Desk(), Listened()
        service = WebSocketService(links, mode=mode, max_message=max_message)
        listener = QuicListener(engine, desk, service, limits=limits, max_connections=max_connections)
        sock = udp.bind(host, 0)
        port = sock.getsockname()[1]
        endpoint = make_endpoint(
            request.param,
            sock,
            certificate.chain,
            certificate.key,
            named=None,
            secret=bytes(32),
            ticket_keys=[bytes(32)],
            limits=Limits(**options),
        )
        listener.listen(sock, endpoint)
        house = QuicHouse(listener, engine, hub, desk, links, port, poisoned)
        try:
            yield house
        finally:
            desk.release.set()
            await listener.drain(0.0)
            engine.stop()

    return opened
