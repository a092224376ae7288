"""One HTTP request, over HTTP/1.1 or HTTP/3, and how long each part of it took: what `chiron fetch` does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from chiron.client.errors import NotReachable, NotTrusted
from chiron.client.http3 import Connection, connect, resolve
from chiron.client.trust import Trust, distrust
from chiron.protocols.quic.endpoint import Address

Version = Literal["auto", "1.1", "3"]

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 60.0
"""For each part of an answer."""
UDP_SECONDS = 1.0
"""For HTTP/3 to answer, where HTTP/1.1 would do as well."""


@dataclass
class Timings:
    """Seconds that each part took, in this order."""

    resolve: float = 0.0
    connect: float = 0.0
    """The handshake of TCP and TLS, or of QUIC; what was tried before it in vain is part of it."""
    first_byte: float = 0.0
    """From the request to the first byte of its answer."""
    body: float = 0.0

    @property
    def total(self) -> float:
        return self.resolve + self.connect + self.first_byte + self.body


@dataclass
class Answer:
    """A response, whose body is read by iterating over `chunks`; `timings` are complete then."""

    version: str
    """As HTTP/1.1 names it: `HTTP/3`."""
    address: Address
    status: int
    fields: list[tuple[str, str]]
    chunks: AsyncIterator[bytes]
    timings: Timings = field(default_factory=Timings)


@contextlib.asynccontextmanager
async def fetch(
    url: httpx.URL,
    *,
    method: str = "GET",
    fields: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    http: Version = "auto",
    trust: Trust | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Answer]:
    """Ask once; redirections are not followed. `auto` is HTTP/3 where that answers within a second, else HTTP/1.1, and
    `report` is told why not. Raises NotReachable, NotTrusted."""
    trust = trust or Trust()
    timings = Timings()
    if url.scheme == "https":
        trust.context()  # reading the system's authorities takes longer than a handshake
    clock = _Clock()
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = await resolve(url.host, port)
    timings.resolve = clock.lap()
    connection = None
    if http == "3" or (http == "auto" and url.scheme == "https"):
        try:
            seconds = CONNECT_SECONDS if http == "3" else UDP_SECONDS
            connection = await connect(url.host, addresses, trust, seconds=seconds)
        except NotReachable as error:
            if http == "3":
                raise
            report(f"no HTTP/3: {error}")
    if connection is not None:
        timings.connect = clock.lap()
        try:
            yield await _over_quic(connection, url, method, fields, body, timings, clock)
        finally:
            connection.close()
        return
    async with _over_tcp(addresses, url, method, fields, body, trust, timings, clock) as answer:
        yield answer


async def _over_quic(
    connection: Connection,
    url: httpx.URL,
    method: str,
    fields: Sequence[tuple[str, str]],
    body: bytes,
    timings: Timings,
    clock: _Clock,
) -> Answer:
    authority = next((value for name, value in fields if name == "host"), url.netloc.decode("ascii"))
    told = [(name, value) for name, value in fields if name != "host"]
    if body:
        told.append(("content-length", str(len(body))))
    exchange = connection.request(method, authority, url.raw_path.decode("ascii"), told, end=not body)
    if body:
        await exchange.write(body, end=True)
    late = NotReachable(f"{connection.place} does not go on within {REQUEST_SECONDS:g} s")
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            head = await exchange.response()
    except TimeoutError:
        raise late from None
    timings.first_byte = clock.lap()

    async def chunks() -> AsyncIterator[bytes]:
        clock.lap()  # what was done with the head is not the server's time
        while True:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    data = await exchange.read()
            except TimeoutError:
                raise late from None
            if not data:
                break
            yield data
        timings.body = clock.lap()

    return Answer("HTTP/3", connection.peer, head.status, head.fields, chunks(), timings)


@contextlib.asynccontextmanager
async def _over_tcp(
    addresses: Sequence[Address],
    url: httpx.URL,
    method: str,
    fields: Sequence[tuple[str, str]],
    body: bytes,
    trust: Trust,
    timings: Timings,
    clock: _Clock,
) -> AsyncIterator[Answer]:
    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            timings.connect += clock.lap()

    verify = trust.context() if url.scheme == "https" else True
    timeout = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
    host = [] if any(name == "host" for name, _ in fields) else [("host", url.netloc.decode("ascii"))]
    async with httpx.AsyncClient(verify=verify, timeout=timeout, trust_env=False) as client:
        for address in addresses:
            request = client.build_request(
                method,
                url.copy_with(host=address[0]),
                headers=[*host, *fields],
                content=body or None,
                extensions={"sni_hostname": url.host, "trace": trace},
            )
            try:
                response = await client.send(request, stream=True)
            except httpx.HTTPError as error:
                if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and address != addresses[-1]:
                    continue
                raise _in_words(error, url, address) from error
            break
        timings.first_byte = clock.lap()

        async def chunks() -> AsyncIterator[bytes]:
            clock.lap()  # what was done with the head is not the server's time
            try:
                async for data in response.aiter_raw():
                    yield data
            except httpx.HTTPError as error:
                raise _in_words(error, url, address) from error
            timings.body = clock.lap()

        names = [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in response.headers.raw]
        try:
            yield Answer(response.http_version, address, response.status_code, names, chunks(), timings)
        finally:
            await response.aclose()


def _in_words(error: httpx.HTTPError, url: httpx.URL, address: Address) -> NotReachable:
    if (why := distrust(error)) is not None:
        return NotTrusted(f"{url.scheme}://{url.netloc.decode()}", why)
    if isinstance(error, httpx.ConnectTimeout):
        return NotReachable(f"nothing answers at TCP port {address[1]} of {url.host} within {CONNECT_SECONDS:g} s")
    if isinstance(error, httpx.ConnectError):
        return NotReachable(f"nothing listens at TCP port {address[1]} of {url.host}: {error}")
    return NotReachable(f"{url.netloc.decode()} does not answer in order: {str(error) or type(error).__name__}")


class _Clock:
    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the lap before."""
        before, self._last = self._last, time.perf_counter()
        return self._last - before
