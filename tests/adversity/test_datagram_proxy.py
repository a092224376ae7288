"""The UDP proxy does what it says, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from datagram_proxy import DatagramProxy, Harm
from proxy import Direction


class Echo:
    """Sends every datagram back, and knows from which ports they came."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        self.ports: list[int] = []

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, source = self.sock.recvfrom(65_536)
                self.ports.append(source[1])
                self.sock.sendto(data, source)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    loop = asyncio.get_running_loop()
    loop.add_reader(echo.sock, echo.read)
    yield echo
    loop.remove_reader(echo.sock)
    echo.sock.close()


@pytest.fixture
async def client(echo: Echo) -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        yield sock


@pytest.fixture
async def proxy(echo: Echo, client: socket.socket) -> AsyncIterator[DatagramProxy]:
    async with DatagramProxy(*echo.sock.getsockname(), seed=1) as proxy:
        client.connect(("127.0.0.1", proxy.port))
        yield proxy


async def told(client: socket.socket) -> bytes:
    async with asyncio.timeout(10):
        return await asyncio.get_running_loop().sock_recv(client, 65_536)


async def test_it_passes_both_ways_and_counts(proxy: DatagramProxy, client: socket.socket) -> None:
    client.send(b"heron")
    assert await told(client) == b"heron"
    assert proxy.passed == {Direction.UP: 1, Direction.DOWN: 1}
    assert proxy.bytes == {Direction.UP: 5, Direction.DOWN: 5}


async def test_a_client_that_is_rebound_comes_from_another_port(
    proxy: DatagramProxy, client: socket.socket, echo: Echo
) -> None:
    client.send(b"one")
    assert await told(client) == b"one"
    proxy.rebind()
    client.send(b"two")
    assert await told(client) == b"two"
    assert len(set(echo.ports)) == 2


async def test_a_corrupt_datagram_differs_in_one_bit(proxy: DatagramProxy, client: socket.socket) -> None:
    proxy.harm(Harm(corrupt=1.0), Direction.UP)
    client.send(bytes(100))
    came = await told(client)
    assert sum(byte.bit_count() for byte in came) == 1
    assert len(came) == 100


async def test_loss_repetition_and_lateness_come_as_often_as_asked(proxy: DatagramProxy, client: socket.socket) -> None:
    proxy.harm(Harm(loss=1.0), Direction.UP)
    client.send(b"lost")
    while proxy.passed[Direction.UP] < 1:
        await asyncio.sleep(0)
    proxy.harm(Harm(repeat=1.0), Direction.UP)
    proxy.harm(Harm(delay=0.001, late=1.0), Direction.DOWN)
    client.send(b"twice")
    assert [await told(client), await told(client)] == [b"twice", b"twice"]


async def test_a_block_holds_until_it_is_lifted(proxy: DatagramProxy, client: socket.socket) -> None:
    proxy.block(Direction.DOWN)
    client.send(b"unheard")
    while proxy.passed[Direction.DOWN] < 1:
        await asyncio.sleep(0)
    proxy.unblock()
    client.send(b"heard")
    assert await told(client) == b"heard"
