"""The scenarios of the QUIC interop runner (https://interop.seemann.io), by their names, against a whole server.

The client is aioquic's, behind a proxy that harms datagrams. What the scenario wants is looked for from outside: on the
wire, in the client, and in what arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from urllib.parse import urlsplit

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.tls import SessionTicket
from aioquic_client import AioquicClient, Lost, opened
from datagram_proxy import DatagramProxy, Harm
from proxy import Direction
from quic_path import SECRET, TICKET_KEY, pair
from serving import DEADLINE, Server, servers, until

from chiron._core import Quic

LARGE = "/openapi.json"
INITIAL, RETRY = 0, 3
"""Types of long headers (RFC 9000 §17.2)."""

NOBODY_SIGNS_IN = "/v1/logins", (b"content-type", b"application/json")
"""A POST that changes nothing."""

Open = Callable[..., AbstractAsyncContextManager[AioquicClient]]


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with servers() as make:
        made = make()
        # Everybody here has one address.
        made.settings["CHIRON_LIMITS_ADDRESS_BURST"] = "100000"
        await made.start()
        yield made
        assert await made.stop() == 0, made.tail()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[DatagramProxy]:
    async with DatagramProxy("127.0.0.1", server.secure, seed=5) as proxy:
        yield proxy


@pytest.fixture
async def connect(server: Server, proxy: DatagramProxy) -> AsyncIterator[Open]:
    """Opens connections of clients through the proxy. Nothing takes longer than `DEADLINE`."""
    async with asyncio.timeout(DEADLINE):
        yield partial(opened, proxy.port, urlsplit(server.secure_address).netloc, server.authority)


@pytest.fixture
async def expected(connect: Open) -> str:
    """Digest of the large answer."""
    async with connect() as client:
        answer = await client.get(LARGE)
    assert len(answer.body) > 50_000
    return _digest(answer.body)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def transfer(client: AioquicClient, expected: str, *, times: int = 1) -> None:
    for answer in await asyncio.gather(*(client.get(LARGE) for _ in range(times))):
        assert answer.status == 200
        assert _digest(answer.body) == expected


async def test_handshake(connect: Open) -> None:
    async with connect() as client:
        assert client.handshake is not None
        assert client.handshake.alpn_protocol == "h3"
        assert (await client.get("/readyz")).status == 200


async def test_transfer(connect: Open, expected: str) -> None:
    async with connect() as client:
        await transfer(client, expected, times=8)


async def test_multiplexing(connect: Open) -> None:
    """Far more streams than a connection begins with, at once."""
    async with connect() as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(400)))
        assert [answer.status for answer in answers] == [200] * 400


async def test_resumption(connect: Open) -> None:
    async with connect() as client:
        await until(lambda: client.tickets, lambda: "no session ticket came")
        ticket = client.tickets[0]
    async with connect(session_ticket=ticket) as client:
        assert client.handshake is not None
        assert client.handshake.session_resumed
        assert (await client.get("/readyz")).status == 200


async def test_zerortt(connect: Open) -> None:
    """A safe request is answered before the handshake is over; one that changes something is told to wait for it.

    What the server reads together with the handshake's end is not early any more, so the client keeps that back. After
    a Retry there is no early data, and aioquic's client waits for its loss: so none may be due (see `test_retry`).
    """
    tickets: list[SessionTicket] = []

    async def admitted_at_once() -> bool:
        async with connect() as client:
            await until(lambda: client.tickets, lambda: "no session ticket came")
            tickets.append(client.tickets[0])
            return client.quic._retry_source_connection_id is None

    await until(admitted_at_once, lambda: "each client has to prove its address")
    ticket = tickets[-1]
    assert ticket.max_early_data_size == 0xFFFFFFFF
    async with connect(session_ticket=ticket, early=True) as client:
        asked = client.begin("GET", "/livez"), client.begin("POST", *NOBODY_SIGNS_IN, body=b"{}")
        with client.silence():
            assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 425]
            assert client.handshake is not None
            assert client.handshake.early_data_accepted
        assert (await client.ask("POST", *NOBODY_SIGNS_IN, body=b"{}")).status == 422


async def test_keyupdate(connect: Open, expected: str) -> None:
    async with connect() as client:
        await transfer(client, expected)
        client.quic.request_key_update()
        await transfer(client, expected)
        client.quic.request_key_update()
        await transfer(client, expected)


@pytest.mark.parametrize("seed", range(3))
async def test_handshakeloss(server: Server, seed: int) -> None:
    """Several connections, of whose datagrams three in ten are lost."""
    async with DatagramProxy("127.0.0.1", server.secure, seed=seed) as proxy, asyncio.timeout(DEADLINE):
        proxy.harm(Harm(loss=0.3))
        for _ in range(3):
            async with opened(proxy.port, urlsplit(server.secure_address).netloc, server.authority) as client:
                assert (await client.get("/readyz")).status == 200


@pytest.mark.parametrize(
    "harm",
    [Harm(loss=0.05), Harm(late=0.1, repeat=0.1), Harm(loss=0.02, late=0.05, repeat=0.05, corrupt=0.02)],
    ids=["loss", "reordering", "everything"],
)
async def test_transferloss(connect: Open, proxy: DatagramProxy, expected: str, harm: Harm) -> None:
    async with connect() as client:
        proxy.harm(harm)
        await transfer(client, expected, times=3)


async def test_handshakecorruption(connect: Open, proxy: DatagramProxy) -> None:
    proxy.harm(Harm(corrupt=0.3))
    for _ in range(3):
        async with connect() as client:
            assert (await client.get("/readyz")).status == 200


async def test_transfercorruption(connect: Open, proxy: DatagramProxy, expected: str) -> None:
    async with connect() as client:
        proxy.harm(Harm(corrupt=0.05))
        await transfer(client, expected, times=3)


def _first_datagram() -> bytes:
    """A client's first flight."""
    configuration = QuicConfiguration(alpn_protocols=["h3"], server_name="localhost")
    client = QuicConnection(configuration=configuration)
    client.connect(("127.0.0.1", 1), now=0.0)
    return client.datagrams_to_send(now=0.0)[0][0]


def test_amplificationlimit() -> None:
    """RFC 9000 §8.1: to an address that has proved nothing, at most three times what came from it, until the end."""
    chain, key = pair("localhost")
    server = Quic(chain, key, secret=SECRET, ticket_keys=[TICKET_KEY], now=0.0)
    first = _first_datagram()
    now, sent = 0.0, 0
    server.feed([(first, ("192.0.2.1", 4433))], now)
    while True:
        server.poll()
        sent += sum(len(datagram) for datagram, _ in server.take(now))
        due = server.next_timeout()
        if due is None:
            break
        now = due + 0.001
        server.handle_timeouts(now)
    assert server.stats()["connections"] == 0
    assert 0 < sent <= 3 * len(first)


async def test_retry(server: Server, connect: Open, expected: str) -> None:
    """Among many handshakes that nobody goes on with, a client is asked to prove its address, and is served."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        begun = 0
        asked = False
        while not asked:
            assert begun < 3_000, "nobody is asked to prove an address"
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.setblocking(False)
            sock.connect(("127.0.0.1", server.secure))
            for _ in range(20):
                await loop.sock_sendall(sock, _first_datagram())
            begun += 20
            asked = _type(await loop.sock_recv(sock, 65_536)) == RETRY
        async with connect() as client:
            assert client.quic._retry_source_connection_id is not None
            await transfer(client, expected)


def _type(datagram: bytes) -> int | None:
    """Of a long header of version 1; None for anything else."""
    if datagram[0] & 0x80 == 0 or datagram[1:5] != b"\x00\x00\x00\x01":
        return None
    return datagram[0] >> 4 & 3


def _passed(proxy: DatagramProxy, count: int) -> bool:
    return proxy.passed[Direction.DOWN] >= count


async def test_rebind_port(connect: Open, proxy: DatagramProxy, expected: str) -> None:
    """A NAT forgets the client again and again while it downloads."""
    async with connect() as client:
        for _ in range(4):
            download = asyncio.ensure_future(transfer(client, expected, times=2))
            awaited = proxy.passed[Direction.DOWN] + 5
            await until(partial(_passed, proxy, awaited), lambda: "nothing comes")
            proxy.rebind()
            await download


async def test_connectionmigration(server: Server, expected: str) -> None:
    """A client goes on from another socket, with another connection id, and the server follows it."""
    authority = urlsplit(server.secure_address).netloc
    async with (
        DatagramProxy("127.0.0.1", server.secure, seed=5) as first,
        asyncio.timeout(DEADLINE),
        opened(first.port, authority, server.authority) as client,
    ):
        await transfer(client, expected)
        former = client.quic._peer_cid.cid
        first.rebind()
        client.quic.change_connection_id()
        await transfer(client, expected, times=2)
        assert client.quic._peer_cid.cid != former


async def test_rfc9000_10_3_a_server_that_has_forgotten_says_so() -> None:
    """After a kill -9 of the worker, a packet of an unknown connection is answered by a stateless reset."""
    async with servers() as make, asyncio.timeout(DEADLINE):
        server = make()
        await server.start()
        async with opened(server.secure, urlsplit(server.secure_address).netloc, server.authority) as client:
            assert (await client.get("/readyz")).status == 200
            assert server.kill_worker()
            await server.until_ready()
            asking = asyncio.ensure_future(client.get("/readyz"))
            await until(lambda: client.forgotten, lambda: "no stateless reset came")
            client.close()
            with pytest.raises(Lost):
                await asking
