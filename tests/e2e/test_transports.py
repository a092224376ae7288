"""Clients on every transport against a whole server: killed workers, changed ports, blocked networks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Literal

import pytest
from commands import chiron
from datagram_proxy import DatagramProxy
from serving import DEADLINE, Server, servers, until

from chiron.client import Api, Delivered, Link
from chiron.client.model import Transports
from chiron.client.transports import Name

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse battery staple"
MESSAGES, KILLS = 60, 3
NAMES: tuple[Name, ...] = ("webtransport", "websocket", "websocket-h3")
_numbers = count(1)
Over3 = Literal["webtransport", "websocket-h3"]


class Behind(Api):
    """Somebody whose datagrams pass through a proxy."""

    proxy: DatagramProxy

    async def transports(self) -> Transports:
        found = await super().transports()
        assert found["webtransport"] is not None
        found["webtransport"]["url"] = f"https://127.0.0.1:{self.proxy.port}/v1/realtime"
        return found


async def started(server: Server) -> Server:
    server.settings["CHIRON_LIMITS_ADDRESS_BURST"] = "10000"
    await server.start()
    return server


@pytest.fixture
async def doomed(new_server: Callable[[], Server]) -> Server:
    """One to harm."""
    return await started(new_server())


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    """One for all that do no harm."""
    async with servers() as make:
        yield await started(make())


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[DatagramProxy]:
    async with DatagramProxy("127.0.0.1", server.secure) as proxy:
        yield proxy


async def sign_up(server: Server, proxy: DatagramProxy) -> Api:
    api = Behind(server.address)
    api.proxy = proxy
    await api.register(f"{next(_numbers)}@example.org", PASSWORD, "Somebody")
    return api


async def texts(link: Link, channel: str, count: int) -> list[str]:
    """So many that others and oneself have said."""
    heard: list[str] = []
    async for event in link.listen(channel):
        if isinstance(event, Delivered) and event.record.kind == "text":
            heard.append(event.record.body["text"])
            if len(heard) == count:
                break
    return heard


async def test_killed_workers_lose_nothing_on_any_transport(doomed: Server) -> None:
    async with DatagramProxy("127.0.0.1", doomed.secure) as proxy:
        await converse_while_killing(doomed, {name: await sign_up(doomed, proxy) for name in NAMES})


async def converse_while_killing(server: Server, people: dict[Name, Api]) -> None:
    others = [api.person["person"] for api in people.values()][1:]
    group = (await people[NAMES[0]].group("Everybody", others))["id"]
    channel = f"conv:{group}"
    async with AsyncExitStack() as stack, asyncio.timeout(4 * DEADLINE):
        links = [await stack.enter_async_context(Link(api, transport=name)) for name, api in people.items()]
        for link, name in zip(links, NAMES, strict=True):
            await link.online()
            assert link.transport == name
            link.attach(channel, 0)
        hearing = [asyncio.create_task(texts(link, channel, len(NAMES) * MESSAGES)) for link in links]
        sent = Counter[str]()

        async def talk(link: Link, name: str) -> None:
            for number in range(MESSAGES):
                await link.send(channel, f"{name} {number}")
                sent[name] += 1

        talking = [asyncio.create_task(talk(link, name)) for link, name in zip(links, NAMES, strict=True)]
        for kill in range(KILLS):
            enough = MESSAGES * (kill + 1) // (KILLS + 1)
            await until(lambda: min(sent[name] for name in NAMES) >= enough, lambda: f"it stands still: {sent}")  # noqa: B023
            assert server.kill_worker()
            await server.until_ready()
        await asyncio.gather(*talking)
        heard = await asyncio.gather(*hearing)
    assert heard[0] == heard[1] == heard[2]
    for name in NAMES:
        own = [text for text in heard[0] if text.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(MESSAGES)]
    for api in people.values():
        await api.close()


@pytest.mark.parametrize("transport", ["webtransport", "websocket-h3"])
async def test_a_client_that_changes_its_port_mid_conversation_notices_nothing(
    server: Server, proxy: DatagramProxy, transport: Over3
) -> None:
    ada, bob = await sign_up(server, proxy), await sign_up(server, proxy)
    conversation = await ada.direct(bob.person["email"])
    channel = f"conv:{conversation['id']}"
    words: list[str] = []
    async with (
        asyncio.timeout(2 * DEADLINE),
        Link(ada, transport=transport, status=words.append) as moving,
        Link(bob, transport="websocket") as staying,
    ):
        for link in (moving, staying):
            await link.online()
            link.attach(channel, 0)
        hearing = [asyncio.create_task(texts(link, channel, 40)) for link in (moving, staying)]
        for number in range(20):
            if number in (5, 15):
                proxy.rebind()
            elif number == 10:
                await moving.network_changed()
            await moving.send(channel, f"moving {number}")
            await staying.send(channel, f"staying {number}")
        expected = [f"{who} {number}" for number in range(20) for who in ("moving", "staying")]
        assert await asyncio.gather(*hearing) == [expected, expected]
        assert words == ["online"]
    await ada.close()
    await bob.close()


async def test_where_udp_is_swallowed_a_link_talks_over_websocket(server: Server, proxy: DatagramProxy) -> None:
    ada = await sign_up(server, proxy)
    used = []
    async with asyncio.timeout(DEADLINE):
        async with Link(ada) as link:
            await link.online()
            used.append(link.transport)
        proxy.block()
        async with Link(ada) as link:
            await link.online()
            used.append(link.transport)
    assert used == ["webtransport", "websocket"]
    await ada.close()


async def test_requests_over_http3_are_the_same_operations(server: Server) -> None:
    trusts: list[tuple[str, dict[str, Any]]] = [
        (server.secure_address, {"ca": server.authority}),
        (f"https://127.0.0.1:{server.secure}", {"pins": await digests(server)}),
    ]
    async with asyncio.timeout(DEADLINE):
        for address, trust in trusts:
            api = Api(address, http="3", **trust)
            assert (await api.register(f"{next(_numbers)}@example.org", PASSWORD, "Ada"))["name"] == "Ada"
            group = await api.group("Lyon", [])
            assert (await api.conversation(group["id"]))["title"] == "Lyon"
            async with Link(api, transport="webtransport") as link:
                await link.send(f"conv:{group['id']}", "Hello")
            history = await api.history(group["id"])
            assert [item["body"] for item in history["items"] if item["kind"] == "text"] == [{"text": "Hello"}]
            await api.close()


async def digests(server: Server) -> list[str]:
    api = Api(server.address)
    offer = (await api.transports())["webtransport"]
    await api.close()
    assert offer is not None
    return offer["hashes"]


async def test_chat_says_what_it_talks_over(server: Server, proxy: DatagramProxy) -> None:
    ada, bob = await sign_up(server, proxy), await sign_up(server, proxy)
    for transport, said in (
        ("auto", "WebTransport"),
        ("webtransport", "WebTransport"),
        ("websocket-h3", "WebSocket over HTTP/3"),
        ("websocket", "WebSocket"),
    ):
        outcome = await chiron(
            *("chat", bob.person["email"], "--email", ada.person["email"], "--server", server.address),
            *("--transport", transport),
            given="Hello\n",
            CHIRON_PASSWORD=PASSWORD,
        )
        assert outcome.status == 0
        assert f"— connected over {said} —" in outcome.said
    await ada.close()
    await bob.close()


async def test_fetch_speaks_http3_to_the_server(server: Server) -> None:
    outcome = await chiron("fetch", f"{server.secure_address}/readyz", "--ca", str(server.authority))
    assert outcome.status == 0
    assert outcome.said.startswith("HTTP/3 200, by UDP port")
    outcome = await chiron("fetch", f"{server.secure_address}/readyz", "--http", "1.1", "--ca", str(server.authority))
    assert outcome.said.startswith("HTTP/1.1 200, by TCP port")
