"""HTTP/3 for httpx: `httpx.AsyncClient(transport=Http3Transport(...))`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from chiron.client.errors import NotReachable
from chiron.client.http3.connection import Connection
from chiron.client.http3.errors import ConnectionLost
from chiron.client.http3.opening import connect, resolve
from chiron.client.http3.streams import Exchange
from chiron.client.trust import Trust

CONNECT_SECONDS = 10.0
_OF_CONNECTIONS = frozenset({"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
"""Fields that HTTP/3 has no use for (RFC 9114 §4.2)."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Http3Transport(httpx.AsyncBaseTransport):
    """Requests over HTTP/3 alone, one connection for each origin, bodies streamed both ways.

    Raises httpx.ConnectError, ConnectTimeout, ReadError and their like, as httpx's own transport does.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self._trust = trust or Trust()
        self._connections: dict[tuple[str, int], Connection] = {}
        self._former: list[Connection] = []
        """Those that the server wants to leave, while something is under way on them."""
        self._opening: dict[tuple[str, int], asyncio.Lock] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme != "https":
            raise httpx.UnsupportedProtocol("HTTP/3 needs an address that begins with https:")
        for attempt in (1, 2):
            connection = await self._connection(request)
            try:
                return await self._exchange(connection, request)
            except ConnectionLost as error:
                # A connection may end just when it is used again.
                again = error.unused or (request.method in _SAFE and not connection.usable)
                if attempt == 2 or not again or not isinstance(request.stream, httpx.ByteStream):
                    raise httpx.ReadError(str(error)) from error
            except NotReachable as error:
                raise httpx.RemoteProtocolError(str(error)) from error
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        for connection in (*self._former, *self._connections.values()):
            connection.close()
        self._former.clear()
        self._connections.clear()

    async def _connection(self, request: httpx.Request) -> Connection:
        key = request.url.host, request.url.port or 443
        async with self._opening.setdefault(key, asyncio.Lock()):
            kept = self._connections.get(key)
            if kept is not None and kept.usable:
                return kept
            seconds = _timeout(request, "connect") or CONNECT_SECONDS
            try:
                opened = await connect(key[0], await resolve(*key), self._trust, seconds=seconds)
            except NotReachable as error:
                raise httpx.ConnectError(str(error)) from error
            for connection in [*self._former, *([kept] if kept is not None else [])]:
                if not connection.busy:
                    connection.close()
            self._former = [connection for connection in (*self._former, kept) if connection and connection.busy]
            self._connections[key] = opened
            return opened

    async def _exchange(self, connection: Connection, request: httpx.Request) -> httpx.Response:
        fields = [
            (name.decode("ascii").lower(), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.decode("ascii").lower() not in _OF_CONNECTIONS
        ]
        authority = request.headers.get("host", request.url.netloc.decode("ascii"))
        bodiless = request.headers.get("content-length", "") in ("", "0") and "transfer-encoding" not in request.headers
        exchange = connection.request(
            request.method, authority, request.url.raw_path.decode("ascii"), fields, end=bodiless
        )
        # The server may answer, and be read, before it has all of the request.
        sending = None if bodiless else asyncio.create_task(_send(exchange, request))
        try:
            async with asyncio.timeout(_timeout(request, "read")):
                head = await exchange.response()
        except BaseException as error:
            connection.finished(exchange)
            await _stop(sending)
            if isinstance(error, TimeoutError):
                raise httpx.ReadTimeout("no answer came in time") from error
            raise
        return httpx.Response(
            head.status,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in head.fields],
            stream=_Body(connection, exchange, sending, _timeout(request, "read")),
            extensions={"http_version": b"HTTP/3"},
        )


class _Body(httpx.AsyncByteStream):
    """A response's body as it comes."""

    def __init__(
        self, connection: Connection, exchange: Exchange, sending: asyncio.Task[None] | None, seconds: float | None
    ) -> None:
        self._connection, self._exchange, self._sending, self._seconds = connection, exchange, sending, seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    data = await self._exchange.read()
            except TimeoutError as error:
                raise httpx.ReadTimeout("the answer stopped in its middle") from error
            except NotReachable as error:
                raise httpx.ReadError(str(error)) from error
            if not data:
                return
            yield data

    async def aclose(self) -> None:
        self._connection.finished(self._exchange)
        await _stop(self._sending)


async def _send(exchange: Exchange, request: httpx.Request) -> None:
    assert isinstance(request.stream, httpx.AsyncByteStream)
    whole = False
    try:
        async for chunk in request.stream:
            await exchange.write(chunk)
        await exchange.write(b"", end=True)
        whole = True
    except NotReachable:
        whole = True  # the response says why, or has come already
    finally:
        if not whole:
            exchange.cancel()
            exchange.fail(NotReachable("the body of the request could not be read"))


async def _stop(sending: asyncio.Task[None] | None) -> None:
    if sending is not None:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def _timeout(request: httpx.Request, of: str) -> float | None:
    seconds: float | None = request.extensions.get("timeout", {}).get(of)
    return seconds
