"""One request over HTTP/3, from its head to the end of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from chiron.errors import ChironError
from chiron.protocols import http3
from chiron.protocols.quic.endpoint import HIGH_WATER
from chiron.server.edge.engine import Engine
from chiron.server.edge.first_step import FirstSteps
from chiron.server.edge.quic_socket import QuicSocket
from chiron.server.edge.service import Service
from chiron.server.ports import Request, Response

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be repeated by whoever recorded them (RFC 8470 §3, RFC 9110 §9.2.1)."""
_CANCELLABLE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Channel:
    """What requests and links need of the connection that they are on."""

    engine: Engine
    steps: FirstSteps
    service: Service
    socket: QuicSocket
    number: int
    """Of the connection, at its endpoint."""
    http: http3.Connection
    done: Callable[[int], None]
    """Told of each request stream on which nothing happens any more."""


class Exchange:
    """The stream of a request. Its body is read whole before the gateway is asked."""

    __slots__ = ("_address", "_body", "_channel", "_gone", "_head", "_rest", "_stream", "_task", "body_bytes")

    def __init__(self, channel: Channel, head: http3.RequestReceived, address: str) -> None:
        self._channel = channel
        self._head = head
        self._stream = head.stream
        self._address = address
        self._body: list[bytes] = []
        self.body_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._gone = False
        """Nobody waits for the answer."""
        self._rest: memoryview | None = None

    def receive(self, data: bytes) -> None:
        """Keep a piece of the body, which `http3.Limits` bound."""
        self._body.append(data)
        self.body_bytes += len(data)

    def ask(self) -> None:
        """The request is complete: have it answered."""
        channel = self._channel
        task = channel.steps.begin(self._serve(self.request()))
        if task is not None:
            self._task = task
            channel.engine.tasks.add(task)
            task.add_done_callback(channel.engine.tasks.discard)

    def request(self) -> Request:
        head = self._head
        return Request(
            method=head.method,
            target=head.path,
            headers=head.headers,
            body=b"".join(self._body),
            address=self._address,
            scheme="https",
            version="3",
        )

    def refuse(self, error: ChironError) -> None:
        """Answer without having it asked."""
        self.respond(self._channel.service.gateway.refuse(error, address=self._address))

    def respond(self, response: Response) -> None:
        """Answer. Of a long content that much is queued as may wait at the endpoint; the rest follows, as the client
        takes it."""
        self._body.clear()
        http, body = self._channel.http, response.body
        self._channel.socket.wake()
        if len(body) <= HIGH_WATER or self._head.method == "HEAD":
            http.respond(self._stream, response.status, response.headers, body)
            self._channel.done(self._stream)
            return
        fields = [*response.headers, ("content-length", str(len(body)))]
        self._rest = memoryview(body)[HIGH_WATER:]
        if http.respond(self._stream, response.status, fields, body[:HIGH_WATER], end=False):
            self.writable()

    def writable(self) -> None:
        """The endpoint takes more of the answer."""
        rest = self._rest
        while rest is not None:
            piece, rest = bytes(rest[:HIGH_WATER]), rest[HIGH_WATER:]
            if not rest:
                self._rest = None
                self._channel.http.send_data(self._stream, piece, end=True)
                self._channel.done(self._stream)
                break
            self._rest = rest
            if not self._channel.http.send_data(self._stream, piece):
                break
        self._channel.socket.wake()

    def abandon(self) -> None:
        """The client will not see the answer: stop what only reads; what may have an effect runs to its end."""
        self._gone = True
        self._rest = None
        self._body.clear()
        if self._task is not None and self._head.method in _CANCELLABLE:
            self._task.cancel()
        self._task = None

    def abort(self) -> None:
        """End the stream alone: something failed."""
        self.reset(http3.ErrorCode.H3_INTERNAL_ERROR)

    def reset(self, code: int) -> None:
        self.abandon()
        self._channel.http.reset(self._stream, code)
        self._channel.socket.wake()
        self._channel.done(self._stream)

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._channel.service.gateway.respond(request)
            self._task = None
            if not self._gone:
                self.respond(response)
        except asyncio.CancelledError:
            self._task = None
            if not self._gone:
                self.reset(http3.ErrorCode.H3_REQUEST_CANCELLED)
            raise
        except BaseException as error:
            self._channel.engine.failed(error, self)
