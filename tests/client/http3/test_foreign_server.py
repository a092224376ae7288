"""Our client and a server of aioquic's own parts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aioquic_server import echoing
from quic_path import pair
from scripted import DEADLINE

from chiron.client import Http3Transport, Trust
from chiron.client.http3 import connect
from chiron.client.transports.webtransport import WebTransport

TRUST = Trust(authorities=pair("127.0.0.1").chain)


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    async with echoing(pair("127.0.0.1"), tmp_path) as port:
        yield port


async def test_requests(port: int) -> None:
    transport = Http3Transport(TRUST)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://127.0.0.1:{port}", timeout=DEADLINE) as http:
        assert (await http.get("/a?b=c")).text == "/a?b=c"
        bodies = [hashlib.shake_128(bytes([number])).digest(200_000) for number in range(5)]
        answers = await asyncio.gather(*(http.post("/", content=body) for body in bodies))
        assert [answer.content for answer in answers] == bodies


async def test_a_session_with_a_stream_that_goes_on_from_another_port(port: int) -> None:
    connection = await connect("127.0.0.1", [("127.0.0.1", port)], TRUST, seconds=DEADLINE)
    session = await WebTransport.open(connection, f"127.0.0.1:{port}", "/echo")
    async with asyncio.timeout(DEADLINE):
        for message in (b"one", b"x" * 100_000):
            await session.send(message)
            assert await session.receive() == message
        before = connection.local
        await session.network_changed()
        assert connection.local != before
        await session.send(b"from elsewhere")
        assert await session.receive() == b"from elsewhere"
    await session.close()
