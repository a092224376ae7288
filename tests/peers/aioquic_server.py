"""A server of HTTP/3 and WebTransport made of aioquic alone, and nothing of ours: it says back what it hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, DataReceived, H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent
from quic_path import Pair

DRAFT = (b"sec-webtransport-http3-draft", b"draft02")


class Echo(QuicConnectionProtocol):
    """Answers GET with its path, POST with its body; what comes in a session goes back the way it came."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic, enable_webtransport=True)

    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self._http.handle_event(event):
            self._on_event(each)
        self.transmit()

    def _on_event(self, event: H3Event) -> None:
        http = self._http
        match event:
            case HeadersReceived():
                fields = dict(event.headers)
                session = fields.get(b":protocol") == b"webtransport"
                http.send_headers(event.stream_id, [(b":status", b"200"), *([DRAFT] if session else [])])
                if event.stream_ended:
                    http.send_data(event.stream_id, fields[b":path"], end_stream=True)
            case DataReceived():
                http.send_data(event.stream_id, event.data, end_stream=event.stream_ended)
            case WebTransportStreamDataReceived():
                self._quic.send_stream_data(event.stream_id, event.data, event.stream_ended)
            case DatagramReceived():
                http.send_datagram(event.stream_id, event.data)


@asynccontextmanager
async def echoing(certificate: Pair, folder: Path) -> AsyncIterator[int]:
    """The port at which it listens on 127.0.0.1."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.chain)
    key.write_bytes(certificate.key)
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, max_datagram_frame_size=65_536)
    configuration.load_cert_chain(chain, key)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Echo)
    transport = server._transport
    assert transport is not None
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        server.close()
