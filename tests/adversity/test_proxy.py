"""The proxy itself: a fault that does not happen would make every test behind it worthless."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from proxy import Direction, Fate, Proxy


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Port of a server that returns what it gets."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _open(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def _read(reader: asyncio.StreamReader, count: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), 5)


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionResetError:
        return True


async def test_bytes_pass_both_ways_and_half_close_is_kept(echo: int) -> None:
    async with Proxy("127.0.0.1", echo) as proxy:
        reader, writer = await _open(proxy)
        writer.write(b"x" * 200_000)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(-1), 5) == b"x" * 200_000
        writer.close()


async def test_cut_resets_existing_connections_and_admits_new_ones(echo: int) -> None:
    async with Proxy("127.0.0.1", echo) as proxy:
        reader, writer = await _open(proxy)
        writer.write(b"a")
        await _read(reader, 1)
        proxy.cut()
        assert await _ended(reader)
        writer.close()
        reader, writer = await _open(proxy)
        writer.write(b"b")
        assert await _read(reader, 1) == b"b"
        writer.close()


@pytest.mark.parametrize("direction", Direction)
async def test_cut_after_lets_exactly_that_many_bytes_through(echo: int, direction: Direction) -> None:
    async with Proxy("127.0.0.1", echo) as proxy:
        proxy.cut_after(3, direction)
        reader, writer = await _open(proxy)
        writer.write(b"abcdef")
        received = b""
        while len(received) < 6:
            try:
                data = await asyncio.wait_for(reader.read(6), 5)
            except ConnectionResetError:
                break
            if not data:
                break
            received += data
        assert received in ({b"", b"abc"} if direction is Direction.UP else {b"abc"})
        writer.close()


async def test_held_bytes_arrive_later_and_dropped_ones_never(echo: int) -> None:
    async with Proxy("127.0.0.1", echo) as proxy:
        reader, writer = await _open(proxy)
        proxy.apply(Fate.HOLD, Direction.UP)
        held = proxy.watch(b"first", Direction.UP, Fate.HOLD)
        writer.write(b"first")
        await asyncio.wait_for(held.wait(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.05)
        proxy.apply(Fate.PASS)
        assert await _read(reader, 5) == b"first"
        dropped = proxy.watch(b"second", Direction.UP, Fate.DROP)
        writer.write(b"second")
        await asyncio.wait_for(dropped.wait(), 5)
        proxy.apply(Fate.PASS)
        writer.write(b"third")
        assert await _read(reader, 5) == b"third"
        writer.close()


async def test_delay_holds_each_read_back(echo: int) -> None:
    async with Proxy("127.0.0.1", echo) as proxy:
        proxy.apply(Fate.PASS, Direction.DOWN, delay=0.1)
        reader, writer = await _open(proxy)
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        writer.write(b"a")
        await _read(reader, 1)
        assert loop.time() - sent_at >= 0.09
        writer.close()


async def test_watch_can_lose_the_answer_to_what_arrived(echo: int) -> None:
    async with Proxy("127.0.0.1", echo) as proxy:
        seen = proxy.watch(b"COMMIT", Direction.UP, Fate.PASS, opposite=Fate.CUT)
        reader, writer = await _open(proxy)
        writer.write(b"a")
        assert await _read(reader, 1) == b"a"
        writer.write(b"COMMIT")
        assert await _ended(reader)
        assert seen.is_set()
        writer.close()
