"""Which transport a link takes.

`auto` takes WebTransport where the server offers it and UDP gets through, else WebSocket: WebTransport is tried alone
for a moment, then both, and the first that opens is taken. So a network that swallows UDP costs that moment, and only
now and then: where WebSocket worked and WebTransport did not, the next links are made over WebSocket at once, for a
time that doubles with each such failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from chiron.client import race
from chiron.client.api import Api
from chiron.client.errors import NotReachable, ServerRefused
from chiron.client.http3 import Connection, connect, resolve
from chiron.client.model import Offer
from chiron.client.transports.transport import OPEN_SECONDS, PATH, Transport
from chiron.client.transports.websocket import WebSocket
from chiron.client.transports.websocket_h3 import WebSocketH3
from chiron.client.transports.webtransport import WebTransport
from chiron.client.trust import Trust

Choice = Literal["auto", "webtransport", "websocket", "websocket-h3"]
CHOICES: tuple[Choice, ...] = ("auto", "webtransport", "websocket", "websocket-h3")

HEAD_START = 0.5
"""Seconds that WebTransport is tried alone: three round trips of a slow network."""
ANSWER_SECONDS = 5.0
"""For the server to say what it offers, before WebSocket is taken without knowing."""
AVOID_FIRST, AVOID_MOST = 60.0, 1800.0
"""Seconds for which WebTransport is left alone after it failed."""


class Opener:
    """Opens one transport after another for one link."""

    def __init__(self, api: Api, choice: Choice) -> None:
        self._api = api
        self._choice = choice
        self._offer: Offer | None = None
        self._failures = 0
        self._avoid_until = 0.0

    async def open(self) -> Transport:
        """Raises NotReachable, HandshakeRefused, NotTrusted, ServerRefused."""
        match self._choice:
            case "auto":
                return await self._open_best()
            case "webtransport":
                return await self._webtransport(await self._offered())
            case "websocket-h3":
                return await self._websocket_h3(await self._offered())
            case "websocket":
                return await self._websocket()

    def network_changed(self) -> None:
        """UDP may get through now."""
        self._failures, self._avoid_until = 0, 0.0

    async def _open_best(self) -> Transport:
        offer = await self._worth_trying()
        if offer is None:
            return await self._websocket()
        ways: list[Callable[[], Awaitable[Transport]]] = [partial(self._webtransport, offer), self._websocket]
        opened = await race.first(ways, head_start=HEAD_START, discard=_close)
        if opened.name == "webtransport":
            self._failures = 0
        else:
            self._avoid(min(AVOID_MOST, AVOID_FIRST * 2**self._failures))
            self._failures += 1
        return opened

    async def _worth_trying(self) -> Offer | None:
        """Where the server takes WebTransport, unless it did not work lately."""
        if asyncio.get_running_loop().time() < self._avoid_until:
            return None
        if self._offer is None:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._offer = await self._ask()
            except (TimeoutError, NotReachable, ServerRefused):
                pass  # an older server, or one that is busy: opening the link tells the rest
        if self._offer is None:
            self._avoid(AVOID_FIRST)
        return self._offer

    def _avoid(self, seconds: float) -> None:
        self._avoid_until = asyncio.get_running_loop().time() + seconds
        self._offer = None  # it may be another one by then

    async def _offered(self) -> Offer:
        offer = await self._ask()
        if offer is None:
            raise NotReachable(f"{self._api.origin} does not offer HTTP/3")
        return offer

    async def _ask(self) -> Offer | None:
        offer = (await self._api.transports()).get("webtransport")
        try:
            return msgspec.convert(offer, Offer | None)
        except msgspec.ValidationError as error:
            raise NotReachable(f"{self._api.origin} answers, but not like Chiron: {error}") from error

    async def _websocket(self) -> Transport:
        return await WebSocket.open(self._api.origin, self._api.tls)

    async def _webtransport(self, offer: Offer) -> Transport:
        connection, authority, path = await self._connect(offer)
        async with asyncio.timeout(OPEN_SECONDS):
            return await WebTransport.open(connection, authority, path)

    async def _websocket_h3(self, offer: Offer) -> Transport:
        connection, authority, path = await self._connect(offer)
        async with asyncio.timeout(OPEN_SECONDS):
            return await WebSocketH3.open(connection, authority, path)

    async def _connect(self, offer: Offer) -> tuple[Connection, str, str]:
        """A connection to where the server says that it takes HTTP/3. Raises NotReachable, NotTrusted."""
        try:
            parts = urlsplit(offer["url"])
            host, port = parts.hostname, parts.port or 443
            # Who vouches for these digests is the connection over which the server named them.
            trust = Trust.of(pins=offer["hashes"]) if offer["hashes"] else self._api.trust
            if parts.scheme != "https" or not host:
                raise ValueError(f"{offer['url']!r} is no place for HTTP/3")
        except ValueError as error:
            raise NotReachable(f"{self._api.origin} answers, but not like Chiron: {error}") from error
        connection = await connect(host, await resolve(host, port), trust, seconds=OPEN_SECONDS)
        return connection, parts.netloc, parts.path or PATH


async def _close(transport: Transport) -> None:
    await transport.close()
