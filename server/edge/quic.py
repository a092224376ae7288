"""The QUIC listener: HTTP/3, and links over it, on UDP sockets that somebody else bound."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from chiron.protocols import http3
from chiron.protocols.quic.endpoint import Endpoint, Event, Kind
from chiron.server.edge.capacity import Capacity
from chiron.server.edge.engine import Engine
from chiron.server.edge.first_step import FirstSteps
from chiron.server.edge.quic_connection import QuicConnection, Surroundings
from chiron.server.edge.quic_socket import QuicSocket
from chiron.server.edge.service import EdgeLimits, Service, WebSocketService
from chiron.server.ports import Gateway

MAX_CONNECTIONS = 10_000
"""They take no descriptors, but memory."""
GONE_SECONDS = 0.25
"""For those that were cut short to be told so."""


class QuicListener:
    """Serves the connections of any number of endpoints for one engine.

    There are no proxies here: what stands between client and server sees datagrams that it cannot read.
    """

    def __init__(
        self,
        engine: Engine,
        gateway: Gateway,
        websocket: WebSocketService | None = None,
        *,
        limits: EdgeLimits | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._engine = engine
        self._service = Service(gateway, websocket, limits or EdgeLimits(), None)
        self._max_connections = max_connections
        self._around: Surroundings | None = None
        self._sockets: list[QuicSocket] = []
        self._open: dict[QuicSocket, dict[int, QuicConnection]] = {}
        self._by_id: dict[int, QuicConnection] = {}
        self._ids = itertools.count(1)
        self._changed: asyncio.Event | None = None

    def listen(self, sock: socket.socket, endpoint: Endpoint) -> None:
        """Serve `endpoint` on a bound UDP socket, which is closed when the listener has drained."""
        engine = self._engine
        engine.start()
        if self._around is None:
            limits = self._service.limits
            self._around = Surroundings(
                engine=engine,
                steps=FirstSteps(engine.loop),
                service=self._service,
                capacity=Capacity(self._max_connections),
                timer=engine.timers.kind(self._expired),
                limits=replace(limits.http3, stall_seconds=limits.stall_seconds),
            )
        quic = QuicSocket(engine, sock, endpoint, self._handle, self._broken)
        self._open[quic] = {}
        self._sockets.append(quic)
        quic.start()

    @property
    def connections(self) -> int:
        return len(self._by_id)

    def stats(self) -> Counter[str]:
        """`Endpoint.stats` of all endpoints."""
        total: Counter[str] = Counter()
        for quic in self._sockets:
            total.update(quic.endpoint.stats())
        return total

    def reload(self, chain: bytes, key: bytes, named: tuple[bytes, bytes] | None) -> None:
        """Another certificate from the next handshake on. Raises ValueError, and keeps the old one."""
        for quic in self._sockets:
            quic.endpoint.reload(chain, key, named)

    def set_ticket_keys(self, keys: Sequence[bytes]) -> None:
        for quic in self._sockets:
            quic.endpoint.set_ticket_keys(keys)

    def stop_accepting(self) -> None:
        """Refuse new connections. Those that are there go on."""
        for quic in self._sockets:
            quic.endpoint.refuse()
            quic.wake()

    async def drain(self, seconds: float) -> None:
        """Stop accepting; let requests be answered, and no new ones begin; after `seconds`, close what is left.

        Links are ended by whoever serves them, before or meanwhile.
        """
        self.stop_accepting()
        now = time.monotonic()
        for connection in list(self._by_id.values()):
            self._guarded(connection, connection.drain, now)
        await self._empty_within(seconds)
        if self._by_id:
            structlog.get_logger("chiron.edge").warning("drain cut short", connections=len(self._by_id))
            for connection in list(self._by_id.values()):
                connection.abort()
            await self._empty_within(GONE_SECONDS)
        self.close()

    def close(self) -> None:
        """Close the sockets. Clients of connections that are still open are told nothing. Harmless to repeat."""
        for quic in self._sockets:
            quic.close()
        if self._around is not None:
            self._around.steps.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _empty_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._by_id and not self._engine.poisoned:
                    self._changed = asyncio.Event()
                    await self._changed.wait()

    def _handle(self, quic: QuicSocket, event: Event, now: float) -> None:
        number, kind = event[0], event[1]
        connection = self._open[quic].get(number)
        if connection is None:
            if kind != Kind.OPENED:
                return
            connection = self._accept(quic, number, now)
            if connection is None:
                return
        try:
            connection.receive(event, now)
        except BaseException as error:
            self._engine.failed(error, connection)

    def _accept(self, quic: QuicSocket, number: int, now: float) -> QuicConnection | None:
        around = self._around
        assert around is not None
        admitted = around.capacity.admits(len(self._by_id))
        if not admitted and not around.capacity.answers(len(self._by_id)):
            quic.endpoint.close(number, http3.ErrorCode.H3_EXCESSIVE_LOAD)
            return None
        connection = QuicConnection(
            next(self._ids), around, quic, number, closed=self._closed, refusing=not admitted, now=now
        )
        self._open[quic][number] = connection
        self._by_id[connection.id] = connection
        return connection

    def _closed(self, connection: QuicConnection) -> None:
        del self._by_id[connection.id]
        del self._open[connection.socket][connection.number]
        if not self._by_id and self._changed is not None:
            self._changed.set()

    def _broken(self, quic: QuicSocket) -> None:
        for connection in list(self._open[quic].values()):
            connection.leave()
        quic.close()

    def _expired(self, id: int) -> None:
        connection = self._by_id.get(id)
        if connection is not None:
            self._guarded(connection, connection.expired, time.monotonic())

    def _guarded(self, connection: QuicConnection, step: Callable[[float], None], now: float) -> None:
        try:
            step(now)
        except BaseException as error:
            self._engine.failed(error, connection)
        connection.socket.wake()
