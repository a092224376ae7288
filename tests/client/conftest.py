"""Scripted servers, and the pauses of a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from scripted import Pauses, Realtime, Rest, SignedIn
from scripted_h3 import RealtimeH3

from chiron.client import Api


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    served = Rest("")
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield served
    server.close()
    await server.wait_closed()


@pytest.fixture(params=["websocket", "webtransport", "websocket-h3"])
async def realtime(request: pytest.FixtureRequest) -> AsyncIterator[Realtime | RealtimeH3]:
    """One for each transport: a link behaves alike on all of them."""
    server = Realtime() if request.param == "websocket" else RealtimeH3(request.param)
    await server.open()
    yield server
    await server.close()


@pytest.fixture
def tokens(realtime: Realtime | RealtimeH3) -> SignedIn:
    tokens = SignedIn(f"http://127.0.0.1:{realtime.port}")
    tokens.offer, tokens.transport = realtime.offer, realtime.transport
    return tokens


@pytest.fixture
def api(tokens: SignedIn) -> Api:
    return cast(Api, tokens)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()
