"""The TCP listener: HTTP/1.1 and WebSocket, with and without TLS, on sockets that somebody else bound."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import cast

import structlog

from chiron._core import Tls
from chiron.server.edge.capacity import BACKLOG, Capacity, descriptor_limit
from chiron.server.edge.connection import TcpConnection
from chiron.server.edge.engine import Engine
from chiron.server.edge.service import EdgeLimits, Service, WebSocketService
from chiron.server.ports import Gateway, Proxies

ABORT_SECONDS = 1.0
"""For what was cut short to be gone."""


class TcpListener:
    """Accepts for one engine from any number of listening sockets."""

    def __init__(
        self,
        engine: Engine,
        gateway: Gateway,
        websocket: WebSocketService | None = None,
        *,
        proxies: Proxies | None = None,
        limits: EdgeLimits | None = None,
        max_connections: int | None = None,
    ) -> None:
        """`max_connections`: by default as many as the process has descriptors for when it begins to listen."""
        self._engine = engine
        self._service = Service(gateway, websocket, limits or EdgeLimits(), proxies)
        self._max_connections = max_connections
        self._capacity: Capacity | None = None
        self._servers: list[asyncio.Server] = []
        self._open: set[TcpConnection] = set()
        self._none_open: asyncio.Event | None = None

    async def listen(self, sock: socket.socket, tls: Tls | None = None, *, announced: bool = False) -> None:
        """Accept from a bound socket, which may be shared with other processes. `tls` None: plain HTTP.

        `announced`: each connection must begin with a header of the PROXY protocol.
        """
        self._engine.start()
        sock.setblocking(False)
        if self._capacity is None:
            self._capacity = Capacity(self._max_connections or descriptor_limit())
        server = await self._engine.loop.create_server(lambda: self._accept(tls, announced), sock=sock, backlog=BACKLOG)
        self._servers.append(server)

    @property
    def connections(self) -> int:
        return len(self._open)

    def stop_accepting(self) -> None:
        """Close the listening sockets of this process. Connections go on."""
        for server in self._servers:
            server.close()

    async def drain(self, seconds: float) -> None:
        """Stop accepting; let requests be answered, with `Connection: close`; after `seconds`, abort what is left.

        Links are ended by whoever serves them, before or meanwhile.
        """
        self.stop_accepting()
        self._engine.draining = True
        for connection in list(self._open):
            connection.drain()
        await self._quiet_within(seconds)
        if self._open or self._engine.tasks:
            structlog.get_logger("chiron.edge").warning("drain cut short", connections=len(self._open))
            for connection in list(self._open):
                connection.abort()
            for task in list(self._engine.tasks):
                task.cancel()
            await self._quiet_within(ABORT_SECONDS)

    async def _quiet_within(self, seconds: float) -> None:
        """Return when no connection and no request is left, or when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open or self._engine.tasks:
                    if self._engine.tasks:
                        await asyncio.wait(self._engine.tasks)
                    else:
                        self._none_open = asyncio.Event()
                        await self._none_open.wait()

    def _accept(self, tls: Tls | None, announced: bool) -> asyncio.BaseProtocol:
        assert self._capacity is not None
        admitted = self._capacity.admits(len(self._open))
        if not admitted and not self._capacity.answers(len(self._open)):
            return _Closing()
        connection = TcpConnection(
            self._engine,
            self._service,
            tls,
            capacity=self._capacity,
            closed=self._closed,
            announced=announced,
            refusing=not admitted,
        )
        self._open.add(connection)
        return connection

    def _closed(self, connection: TcpConnection) -> None:
        self._open.discard(connection)
        if not self._open and self._none_open is not None:
            self._none_open.set()


class _Closing(asyncio.Protocol):
    """For a connection that there is no room for, not even to say so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
