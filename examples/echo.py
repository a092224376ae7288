"""A WebSocket echo on the edge alone: `python examples/echo.py [--port 9001]`, then open ws://127.0.0.1:9001/.

The smallest thing that the edge can serve, and what the WebSocket conformance tests talk to.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from typing import Any

import structlog
import uvloop

from chiron._core import Hub, Message
from chiron.errors import ChironError
from chiron.server.edge.engine import Engine
from chiron.server.edge.service import WebSocketService
from chiron.server.edge.tcp import TcpListener
from chiron.server.ports import Request, Response

MAX_MESSAGE = 32 << 20


class Echo:
    """`ports.Links`: every message goes back as it came."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def opened(self, link: int, *, address: str) -> None:
        pass

    def received(self, link: int, events: Sequence[Any]) -> None:
        for event in events:
            assert isinstance(event, Message)
            self._engine.hub.send_message(link, event.data, event.text)
        self._engine.wake()

    def closed(self, link: int) -> None:
        pass


class Door:
    """`ports.Gateway`: a WebSocket may be opened anywhere; other requests are told so."""

    async def respond(self, request: Request) -> Response:
        return Response(426, b"Open a WebSocket here.\n", [("content-type", "text/plain"), ("upgrade", "websocket")])

    def admit(self, request: Request) -> Response | None:
        return None

    def refuse(self, error: ChironError, *, address: str) -> Response:
        return Response(error.row.status, f"{error}\n".encode(), [("content-type", "text/plain")])


async def serve(sock: socket.socket) -> None:
    """Serve until cancelled."""
    receive_buffer = bytearray(65_536)
    engine = Engine(Hub(receive_buffer, control_bytes=2 * MAX_MESSAGE), receive_buffer)
    service = WebSocketService(Echo(engine), mode="message", subprotocols=(), max_message=MAX_MESSAGE)
    listener = TcpListener(engine, Door(), service)
    await listener.listen(sock)
    print(f"ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await listener.drain(1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9001)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    sock = socket.create_server(("127.0.0.1", parser.parse_args().port))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sock))


if __name__ == "__main__":
    main()
