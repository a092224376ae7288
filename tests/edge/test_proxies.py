"""Proxies in front: the header of the PROXY protocol, and what is believed of forwarded requests."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from chiron.protocols import proxy
from chiron.protocols.proxy.frames import SIGNATURE
from chiron.server.edge.service import EdgeLimits
from chiron.server.ports import Scheme

Run = Callable[[Coroutine[Any, Any, None]], None]

LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
BROKEN = "no acceptable PROXY header: closed"


def announced(source: str = "192.0.2.7") -> bytes:
    packed = ipaddress.ip_address(source).packed
    family, other = (b"\x11", bytes(4)) if len(packed) == 4 else (b"\x21", bytes(16))
    block = packed + other + bytes([0x9C, 0x40, 0x01, 0xBB])
    return SIGNATURE + b"\x21" + family + len(block).to_bytes(2, "big") + block


class Trusting:
    """`ports.Proxies`: of some peers, which tell the client in a field of one word."""

    def __init__(self, *trusted: str) -> None:
        self._trusted = trusted

    def trusts(self, address: str) -> bool:
        return address in self._trusted

    def may_announce(self, address: str) -> bool:
        return address in self._trusted

    def client(self, peer: str, scheme: Scheme, headers: Sequence[tuple[str, str]]) -> tuple[str, Scheme]:
        told = dict(headers).get("x-client")
        return (told, "https") if told is not None else (peer, scheme)


# --- the PROXY protocol ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["192.0.2.7", "2001:db8::7"])
def test_the_announced_client_is_the_one_that_asks(run: Run, edge: Any, source: str) -> None:
    async def main() -> None:
        async with edge(announced=True) as house:
            async with house.client() as client:
                client.send(announced(source) + GET)
                assert (await client.response())[0] == 200
                client.get("/again")
                assert (await client.response())[0] == 200
            async with house.client() as client:
                client.send(announced(source))
                assert await client.upgrade() == 101
            assert house.desk.addresses == [source, source]
            assert house.links.addresses == [source]

    run(main())


def test_a_header_that_comes_byte_by_byte_is_read_too(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(announced=True) as house, house.client() as client:
            for byte in announced() + GET:
                client.send(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.response())[0] == 200
            assert house.desk.addresses == ["192.0.2.7"]

    run(main())


def test_a_proxy_that_speaks_for_itself_keeps_its_own_address(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(announced=True) as house, house.client() as client:
            client.send(LOCAL + GET)
            assert (await client.response())[0] == 200
            assert house.desk.addresses == ["127.0.0.1"]

    run(main())


@pytest.mark.parametrize("data", [GET, b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n" + GET, announced()[:-1]])
def test_a_connection_without_a_whole_header_is_closed_without_a_word(run: Run, edge: Any, data: bytes) -> None:
    async def main() -> None:
        limits = EdgeLimits(proxy=proxy.Limits(header_seconds=0.1))
        with capture_logs() as lines:
            async with edge(announced=True, limits=limits) as house, house.client() as client:
                client.send(data)
                assert await client.rest() == b""
                await house.until_empty()
        assert [line["event"] for line in lines if line["log_level"] == "warning"] == [BROKEN]
        assert house.desk.seen == []

    run(main())


def test_a_peer_that_says_nothing_and_leaves_is_no_trouble(run: Run, edge: Any) -> None:
    async def main() -> None:
        with capture_logs() as lines:
            async with edge(announced=True) as house:
                async with house.client():
                    pass
                await house.until_empty()
        assert lines == []

    run(main())


def test_only_a_trusted_proxy_may_announce_anybody(run: Run, edge: Any) -> None:
    async def main() -> None:
        with capture_logs() as lines:
            async with edge(announced=True, proxies=Trusting("192.0.2.1")) as house, house.client() as client:
                client.send(announced() + GET)
                assert await client.rest() == b""
                await house.until_empty()
        assert [line["event"] for line in lines] == [BROKEN]
        assert house.desk.seen == []

        async with edge(announced=True, proxies=Trusting("127.0.0.1")) as house, house.client() as client:
            client.send(announced() + GET)
            assert (await client.response())[0] == 200

    run(main())


def test_a_peer_that_is_gone_before_it_is_known_is_no_trouble(run: Run, edge: Any) -> None:
    async def main() -> None:
        with capture_logs() as lines:
            async with edge(announced=True, proxies=Trusting("127.0.0.1")) as house:
                with socket.create_connection(("127.0.0.1", house.port)) as checking:
                    # Closed with a reset, before the loop has a turn to accept it.
                    checking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                async with house.client() as client:
                    client.send(announced() + GET)
                    assert (await client.response())[0] == 200
                await house.until_empty()
        assert lines == []

    run(main())


def test_where_no_header_is_expected_it_is_no_http(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house, house.client() as client:
            client.send(announced() + GET)
            assert (await client.response())[0] == 400
            assert house.desk.addresses == []

    run(main())


def test_a_drain_does_not_wait_for_headers(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(announced=True) as house, house.client() as client:
            client.send(announced()[:5])
            while not house.listener.connections:
                await asyncio.sleep(0)
            began = house.engine.now()
            await house.listener.drain(30.0)
            assert house.engine.now() - began < 10.0
            assert await client.rest() == b""

    run(main())


# --- forwarded requests ----------------------------------------------------------------------------------------------


def test_a_trusted_proxy_tells_the_client_of_each_request(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(proxies=Trusting("127.0.0.1")) as house, house.client() as client:
            for address in ("192.0.2.7", "192.0.2.8"):
                client.get("/", f"X-Client: {address}")
                await client.response()
            client.get("/")
            await client.response()
            assert await client.upgrade("X-Client: 192.0.2.9") == 101
            assert house.desk.addresses == ["192.0.2.7", "192.0.2.8", "127.0.0.1"]
            assert house.desk.seen == ["GET / https", "GET / https", "GET / http"]
            assert house.links.addresses == ["192.0.2.9"]

    run(main())


def test_nobody_else_is_believed(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(proxies=Trusting("192.0.2.1")) as house, house.client() as client:
            client.get("/", "X-Client: 192.0.2.7")
            await client.response()
            assert await client.upgrade("X-Client: 192.0.2.9") == 101
            assert house.desk.addresses == house.links.addresses == ["127.0.0.1"]

    run(main())


def test_an_announced_peer_may_be_a_proxy_itself(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(announced=True, proxies=Trusting("127.0.0.1", "192.0.2.1")) as house:
            async with house.client() as client:
                client.send(announced("192.0.2.1"))
                client.get("/", "X-Client: 198.51.100.3")
                await client.response()
            async with house.client() as client:
                client.send(announced("192.0.2.2"))
                client.get("/", "X-Client: 198.51.100.3")
                await client.response()
            assert house.desk.addresses == ["198.51.100.3", "192.0.2.2"]

    run(main())


# --- one network's share ---------------------------------------------------------------------------------------------


def test_one_network_cannot_hold_every_connection(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(announced=True, max_connections=8) as house:

            async def ask(stack: AsyncExitStack, source: str) -> int:
                client = await stack.enter_async_context(house.client())
                client.send(announced(source) + GET)
                status: int = (await client.response())[0]
                return status

            async with AsyncExitStack() as stack:
                statuses = [await ask(stack, f"2001:db8::{n}") for n in range(1, 6)]
                assert statuses == [200, 200, 200, 200, 503]
                assert await ask(stack, "2001:db8:0:1::1") == 200
            await house.until_empty()
            async with AsyncExitStack() as stack:
                assert await ask(stack, "2001:db8::1") == 200

    run(main())


def test_links_through_a_proxy_count_for_their_clients(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(proxies=Trusting("127.0.0.1"), max_connections=8) as house:

            async def open_link(stack: AsyncExitStack, address: str) -> int:
                client = await stack.enter_async_context(house.client())
                status: int = await client.upgrade(f"X-Client: {address}")
                return status

            async with AsyncExitStack() as stack:
                statuses = [await open_link(stack, "192.0.2.7") for _ in range(5)]
                assert statuses == [101, 101, 101, 101, 503]
                assert await open_link(stack, "192.0.2.8") == 101
            await house.until_empty()
            async with AsyncExitStack() as stack:
                assert await open_link(stack, "192.0.2.7") == 101

    run(main())


# --- what is counted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_links_frames_bytes_and_closes_are_counted(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure, mode="message") as house:
            engine = house.engine
            ping = b"\x89\x80" + bytes(4)
            async with house.client() as client:
                assert await client.upgrade() == 101
                client.send(ping + b"\x81\x82" + bytes(4) + b"hi")
                await house.links.until(lambda: any(house.links.events.values()))
                assert +engine.links == {"tls" if secure else "plain": 1}
                assert engine.frames == 1
                client.send(b"\x88\x82" + bytes(4) + (1000).to_bytes(2, "big"))
                await client.rest()
            async with house.client() as client:
                assert await client.upgrade() == 101
                house.engine.end(house.links.open[-1], 4004, "ended")
                await client.rest()
            async with house.client() as client:
                assert await client.upgrade() == 101
            await house.until_empty()
            assert dict(engine.closes) == {1000: 1, 4004: 1, 1006: 1}
            assert not +engine.links
            assert engine.feeds.calls >= 5
            assert engine.feeds.bytes > 500
            assert engine.flushes.bytes > 300
            assert engine.feeds.seconds > 0 < engine.flushes.seconds

    run(main())
