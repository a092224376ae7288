"""Scripted servers, and the pauses of a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from scripted import Pauses, Realtime, Rest, SignedIn

from chiron.client import Api


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    served = Rest("")
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield served
    server.close()
    await server.wait_closed()


@pytest.fixture
async def realtime() -> AsyncIterator[Realtime]:
    server = Realtime()
    await server.open()
    yield server
    await server.close()


@pytest.fixture
def tokens(realtime: Realtime) -> SignedIn:
    return SignedIn(f"http://127.0.0.1:{realtime.port}")


@pytest.fixture
def api(tokens: SignedIn) -> Api:
    return cast(Api, tokens)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()
