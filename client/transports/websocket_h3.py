"""WebSocket on a stream of HTTP/3 (RFC 9220): the frames of RFC 6455 in DATA frames, both ways."""

from __future__ import annotations

import asyncio
from collections import deque

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol, State

from chiron.client.errors import HandshakeRefused, NotReachable
from chiron.client.http3 import Connection, Exchange
from chiron.client.transports.transport import CLOSE_SECONDS, SUBPROTOCOL, Ended, Name

_FIELDS = (("sec-websocket-version", "13"), ("sec-websocket-protocol", SUBPROTOCOL))


class WebSocketH3:
    """One open WebSocket, with a connection of its own."""

    name: Name = "websocket-h3"

    def __init__(self, connection: Connection, exchange: Exchange) -> None:
        self._connection = connection
        self._exchange = exchange
        self._protocol = Protocol(CLIENT, state=State.OPEN, max_size=None)
        self._messages: deque[bytes] = deque()
        self._fragments: list[bytes] = []

    @classmethod
    async def open(cls, connection: Connection, authority: str, path: str) -> WebSocketH3:
        """Raises NotReachable, HandshakeRefused; the connection is closed then."""
        try:
            exchange = connection.request("CONNECT", authority, path, _FIELDS, protocol="websocket", end=False)
            head = await exchange.response()
            if not 200 <= head.status < 300:
                raise HandshakeRefused(
                    f"https://{authority} has no realtime here: it answers {head.status} to WebSocket over HTTP/3",
                    head.status,
                    head.retry_after,
                )
            if head.get("sec-websocket-protocol") != SUBPROTOCOL:
                raise NotReachable(f"https://{authority} does not speak {SUBPROTOCOL}")
        except BaseException:
            connection.close()
            raise
        return cls(connection, exchange)

    async def receive(self) -> bytes:
        while not self._messages:
            try:
                data = await self._exchange.read()
            except NotReachable as error:
                raise self._end() from error
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            for event in self._protocol.events_received():
                assert isinstance(event, Frame)
                self._take(event)
            await self._flush()
            if not self._messages and (not data or self._protocol.state is State.CLOSED):
                raise self._end()
        return self._messages.popleft()

    async def send(self, message: bytes) -> None:
        if self._protocol.state is not State.OPEN:
            raise self._end()
        self._protocol.send_text(message)
        await self._flush()

    async def network_changed(self) -> None:
        await self._connection.rebind()

    async def close(self) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._flush()
                    while await self._exchange.read():
                        pass
            except (Ended, NotReachable, TimeoutError):
                pass  # it is over in any case
        self._connection.close()

    def _take(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            self._messages.append(b"".join(self._fragments))
            self._fragments.clear()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            try:
                await self._exchange.write(data, end=not data)
            except NotReachable as error:
                raise self._end() from error

    def _end(self) -> Ended:
        received = self._protocol.close_rcvd
        return Ended(received.code if received else 0)
