"""A client of HTTP/3 as aioquic's examples make one: its QUIC, its HTTP/3 and its sockets, and nothing of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent, StreamReset
from aioquic.tls import SessionTicket


@dataclass
class Answer:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Lost(Exception):
    """The connection, or the stream, ended before the answer."""


class AioquicClient(QuicConnectionProtocol):
    """One connection. `handshake` is the event of its completion, `lost` that of its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.authority = ""
        self.handshake: HandshakeCompleted | None = None
        self.lost: ConnectionTerminated | None = None
        self.tickets: list[SessionTicket] = []
        self.forgotten = False
        """Whether a stateless reset came (RFC 9000 §10.3.1), which aioquic itself does not look for."""
        self._answers: dict[int, tuple[Answer, asyncio.Future[Answer]]] = {}
        self._silent = False

    @property
    def quic(self) -> QuicConnection:
        return self._quic

    def begin(self, method: str, path: str, *fields: tuple[bytes, bytes], body: bytes = b"") -> asyncio.Future[Answer]:
        """Send a request now. What is awaited raises Lost."""
        stream = self._quic.get_next_available_stream_id()
        pseudo = {":method": method, ":scheme": "https", ":authority": self.authority, ":path": path}
        head = [*((name.encode(), value.encode()) for name, value in pseudo.items()), *fields]
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[stream] = Answer(), future
        self.http.send_headers(stream, head, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        return future

    async def ask(self, method: str, path: str, *fields: tuple[bytes, bytes], body: bytes = b"") -> Answer:
        """Raises Lost."""
        return await self.begin(method, path, *fields, body=body)

    async def get(self, path: str) -> Answer:
        """Raises Lost."""
        return await self.ask("GET", path)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Hear, and say nothing until the end: what it would have said leaves then."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False
            self.transmit()

    def transmit(self) -> None:
        if not self._silent:
            super().transmit()

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        assert isinstance(data, bytes)
        token = self._quic._peer_cid.stateless_reset_token
        self.forgotten |= bool(token) and data[-16:] == token
        super().datagram_received(data, addr)

    def quic_event_received(self, event: QuicEvent) -> None:
        match event:
            case HandshakeCompleted():
                self.handshake = event
            case ConnectionTerminated():
                self.lost = event
                for _, future in self._answers.values():
                    if not future.done():
                        future.set_exception(Lost(event.reason_phrase))
            case StreamReset() if event.stream_id in self._answers:
                self._answers[event.stream_id][1].set_exception(Lost(f"reset with {event.error_code:#x}"))
        for found in self.http.handle_event(event):
            if not isinstance(found, HeadersReceived | DataReceived):
                continue
            answer, future = self._answers[found.stream_id]
            if isinstance(found, DataReceived):
                answer.body += found.data
            else:
                answer.headers |= dict(found.headers)
                answer.status = int(answer.headers[b":status"])
            if found.stream_ended:
                future.set_result(answer)


@asynccontextmanager
async def opened(
    port: int, authority: str, ca: Path, *, early: bool = False, **configuration: Any
) -> AsyncIterator[AioquicClient]:
    """A connection to 127.0.0.1:`port`, closed at the end. `early`: requests may be made before the handshake is over.

    Further arguments are those of `QuicConfiguration`.
    """
    host = authority.partition(":")[0]
    settings = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=host, **configuration)
    settings.load_verify_locations(cafile=str(ca))
    tickets: list[SessionTicket] = []
    async with connect(
        "127.0.0.1",
        port,
        configuration=settings,
        create_protocol=AioquicClient,
        session_ticket_handler=tickets.append,
        wait_connected=not early,
    ) as client:
        assert isinstance(client, AioquicClient)
        client.authority = authority
        client.tickets = tickets
        yield client
