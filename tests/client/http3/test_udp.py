"""A connection whose path changes, falls silent or breaks, in memory and on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from scripted_h3 import Asked, H3Server
from virtual_network import VirtualNetwork
from virtual_time import run_at_once

from chiron.client import NotReachable, Trust
from chiron.client.http3 import Connection, ConnectionLost, Exchange, connect
from chiron.client.http3.udp import ANSWER, KEEPALIVE, LAST_ANSWER, REFUSED

SERVER = ("127.0.0.1", 443)


@pytest.fixture
def network() -> VirtualNetwork:
    return VirtualNetwork()


def play(network: VirtualNetwork, scene: Callable[[H3Server, Connection], Awaitable[None]]) -> None:
    """With a connection that is open, to a server that answers nothing by itself."""

    async def work() -> None:
        server = H3Server()
        server.port = SERVER[1]

        async def silent(_: Asked) -> None:
            pass

        server.answer = silent
        await server.open()
        trust = Trust(pins=frozenset({server.certificate.hash}))
        connection = await connect(SERVER[0], [SERVER], trust, seconds=5)
        await scene(server, connection)
        connection.close()
        await server.close()

    run_at_once(work(), network)


async def ask(server: H3Server, connection: Connection) -> Exchange:
    """A request that has arrived and waits for its answer."""
    before = len(server.asked)
    exchange = connection.request("GET", "localhost", "/")
    while len(server.asked) == before:
        await asyncio.sleep(0.01)
    return exchange


async def answered(server: H3Server, exchange: Exchange) -> None:
    server.asked[-1].respond(200, [], b"Hello")
    assert (await exchange.response()).status == 200
    assert await exchange.read() == b"Hello"


def sent_by_client(network: VirtualNetwork, since: float) -> list[tuple[str, int]]:
    return [source for moment, source, to in network.sent if to == SERVER and moment >= since]


def test_while_somebody_waits_the_connection_is_kept(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        exchange = await ask(server, connection)
        await asyncio.sleep(300)
        assert connection.usable
        await answered(server, exchange)

    play(network, scene)


def test_while_nobody_waits_nothing_is_sent_and_the_connection_ends(network: VirtualNetwork) -> None:
    async def scene(_: H3Server, connection: Connection) -> None:
        await asyncio.sleep(1)
        since = network.time()
        await asyncio.sleep(60)
        assert sent_by_client(network, since) == []
        assert not connection.usable

    play(network, scene)


def test_a_path_that_is_dead_is_seen(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        exchange = await ask(server, connection)
        await asyncio.sleep(1)
        network.swallowed.add(SERVER)
        since = network.time()
        with pytest.raises(ConnectionLost, match="does not answer any more"):
            await exchange.response()
        assert network.time() - since < KEEPALIVE + ANSWER + LAST_ANSWER + 1
        assert not connection.usable

    play(network, scene)


def test_where_a_nat_forgot_the_way_another_socket_finds_it(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        exchange = await ask(server, connection)
        before = connection.local
        assert before is not None
        network.swallowed.add(before)
        await asyncio.sleep(KEEPALIVE + ANSWER + 1)
        assert connection.local != before
        await answered(server, exchange)
        assert server.endpoint.stats()["moved"] == 1

    play(network, scene)


def test_a_conversation_goes_on_from_another_address(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        exchange = await ask(server, connection)
        network.host = "10.0.0.2"
        await connection.rebind()
        await asyncio.sleep(0.5)
        assert connection.local is not None
        assert connection.local[0] == "10.0.0.2"
        await answered(server, exchange)
        assert {address[0] for address in server.clients} == {"10.0.0.1", "10.0.0.2"}
        assert server.endpoint.stats()["handshakes"] == 1

    play(network, scene)


def test_a_network_that_comes_back_with_another_address_is_used_by_itself(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        exchange = await ask(server, connection)
        await asyncio.sleep(1)
        network.down = True
        await asyncio.sleep(KEEPALIVE + 1)
        assert connection.local is not None
        network.swallowed.add(connection.local)
        network.down, network.host = False, "10.0.0.2"
        await asyncio.sleep(2)
        assert connection.local is not None
        assert connection.local[0] == "10.0.0.2"
        await answered(server, exchange)

    play(network, scene)


def test_a_server_that_died_is_seen_by_what_its_machine_says(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        exchange = await ask(server, connection)
        await asyncio.sleep(1)
        await server.close(silently=True)
        since = network.time()
        asking = connection.request("POST", "localhost", "/", end=False)
        for waiting in (exchange, asking):
            with pytest.raises(ConnectionLost, match="nothing listens at UDP port 443"):
                await waiting.response()
        assert REFUSED < network.time() - since < 2 * REFUSED + 1

    play(network, scene)


def test_rfc9000_10_3_a_server_that_was_restarted_ends_the_connection_at_once(network: VirtualNetwork) -> None:
    async def scene(server: H3Server, connection: Connection) -> None:
        await ask(server, connection)
        await asyncio.sleep(1)
        await server.close(silently=True)
        await server.open()
        since = network.time()
        with pytest.raises(ConnectionLost, match="does not know this connection"):
            await connection.request("GET", "localhost", "/").response()
        assert network.time() - since < 1

    play(network, scene)


def test_the_next_address_is_tried_when_the_first_is_silent(network: VirtualNetwork) -> None:
    async def work() -> float:
        server = H3Server()
        server.port = SERVER[1]
        await server.open()
        network.swallowed.add(("192.0.2.1", 443))
        trust = Trust(pins=frozenset({server.certificate.hash}))
        connection = await connect("localhost", [("192.0.2.1", 443), SERVER], trust, seconds=5)
        assert connection.peer == SERVER
        took = network.time()
        connection.close()
        await server.close()
        return took

    assert run_at_once(work(), network) < 0.5


def test_where_udp_is_swallowed_that_is_said_after_the_time_given(network: VirtualNetwork) -> None:
    async def work() -> float:
        network.swallowed.add(SERVER)
        with pytest.raises(NotReachable, match=r"nothing answers at UDP port 443 of example\.org within 1 s"):
            await connect("example.org", [SERVER], Trust(), seconds=1)
        return network.time()

    assert run_at_once(work(), network) == pytest.approx(1)
