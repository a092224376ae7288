"""What a Python service would do without Chiron: aioquic's own asyncio server on uvloop, HTTP/3 and WebTransport.

`python bare_aioquic.py CHAIN KEY`: prints its port. It answers GET /small with 100 bytes and /large with 20 MiB, and
looks neither for a route nor for a token. Each line on standard input is an order, a JSON object: `{"beside",
"messages", "together", "per_second", "text"}` has it push `text` to the WebTransport links, `together` at a time, as
records on their streams or (`beside`) as datagrams; then it prints `done`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import uvloop
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent

BODIES = {b"/small": b"x" * 100, b"/large": b"x" * (20 << 20)}


class Service(QuicConnectionProtocol):
    links: dict[Service, tuple[int, int]] = {}  # noqa: RUF012 - of the whole process
    """Session and stream of each connection's link."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            self.links.pop(self, None)
        if self._http is not None:
            for said in self._http.handle_event(event):
                self._handle(self._http, said)

    def _handle(self, http: H3Connection, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            headers = dict(event.headers)
            if headers[b":method"] == b"CONNECT":
                accepted = [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")]
                http.send_headers(event.stream_id, accepted)
                return
            body = BODIES[headers[b":path"]]
            length = str(len(body)).encode()
            http.send_headers(event.stream_id, [(b":status", b"200"), (b"content-length", length)])
            http.send_data(event.stream_id, body, end_stream=True)
        elif isinstance(event, WebTransportStreamDataReceived):
            self.links.setdefault(self, (event.session_id, event.stream_id))

    def push(self, record: bytes, frame: bytes | None, together: int) -> None:
        """`frame`: as datagrams."""
        assert self._http is not None
        session, stream = self.links[self]
        for _ in range(together):
            if frame is None:
                self._quic.send_stream_data(stream, record)
            else:
                self._http.send_datagram(session, frame)
        self.transmit()


async def push(order: dict[str, Any]) -> None:
    frame = order["text"].encode()
    assert 64 <= len(frame) < 1 << 14
    record = (len(frame) | 1 << 14).to_bytes(2, "big") + frame
    loop = asyncio.get_running_loop()
    began = loop.time()
    together = order["together"]
    for turn in range(order["messages"] // together):
        await asyncio.sleep(max(0.0, began + turn * together / order["per_second"] - loop.time()))
        for link in tuple(Service.links):
            link.push(record, frame if order["beside"] else None, together)
    print("done", flush=True)


async def main() -> None:
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False, max_datagram_frame_size=65_536)
    configuration.load_cert_chain(sys.argv[1], sys.argv[2])
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: orders.put_nowait(sys.stdin.buffer.readline()))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    await loop.create_datagram_endpoint(
        lambda: QuicServer(configuration=configuration, create_protocol=Service), sock=sock
    )
    print(sock.getsockname()[1], flush=True)
    while order := await orders.get():
        await push(json.loads(order))


uvloop.run(main())
