"""What WebTransport has and WebSocket has not: streams and datagrams, and a server that says where it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from scripted import DEADLINE, Pauses, Peer, Realtime, SignedIn
from scripted_h3 import Asked, RealtimeH3, Session

from chiron.client import Api, Happened, Link, SignedOut

PERSONAL = "person:ada"


@pytest.fixture
async def h3() -> AsyncIterator[RealtimeH3]:
    server = RealtimeH3("webtransport")
    await server.open()
    yield server
    await server.close()


@asynccontextmanager
async def linked(server: RealtimeH3, pauses: Pauses, **options: Any) -> AsyncIterator[tuple[Link, Peer, Session]]:
    tokens = SignedIn("http://127.0.0.1:9")
    tokens.offer = server.offer
    async with Link(cast(Api, tokens), transport="webtransport", sleep=pauses, **options) as link:
        peer = await server.link()
        await peer.welcome()
        async with asyncio.timeout(DEADLINE):
            await link.online()
        yield link, peer, cast(Session, peer.carrier)


async def heard(link: Link) -> Happened:
    async with asyncio.timeout(DEADLINE):
        async for event in link.listen(PERSONAL):
            if isinstance(event, Happened):
                return event
    raise AssertionError("nothing is heard any more")


def typing(who: str) -> str:
    return json.dumps({"op": "event", "number": 1, "kind": "typing", "body": {"person": who}})


async def test_what_may_be_lost_comes_by_datagram(h3: RealtimeH3, pauses: Pauses) -> None:
    async with linked(h3, pauses) as (link, _, session):
        session.send_datagram(typing("bob").encode())
        assert (await heard(link)).body == {"person": "bob"}
        await session.send(typing("cy"))
        assert (await heard(link)).body == {"person": "cy"}


async def test_a_datagram_that_overtakes_the_welcome_is_dropped(h3: RealtimeH3, pauses: Pauses) -> None:
    tokens = SignedIn("http://127.0.0.1:9")
    tokens.offer = h3.offer
    async with Link(cast(Api, tokens), transport="webtransport", sleep=pauses) as link:
        peer = await h3.link()
        cast(Session, peer.carrier).send_datagram(typing("too early").encode())
        await peer.welcome()
        await peer.send("event", number=1, kind="typing", body={"person": "bob"})
        assert (await heard(link)).body == {"person": "bob"}
    assert pauses.taken == []


async def test_a_record_that_no_server_sends_ends_the_link(h3: RealtimeH3, pauses: Pauses) -> None:
    async with linked(h3, pauses) as (link, peer, session):
        session.send_bytes(b"\xff" * 8)
        await peer.until_left()
        await (await h3.link()).welcome()
        async with asyncio.timeout(DEADLINE):
            await link.online()


async def test_a_session_that_is_closed_as_soon_as_it_is_there_tells_why(h3: RealtimeH3, pauses: Pauses) -> None:
    async def close(asked: Asked) -> None:
        asked.http.accept_session(asked.stream)
        asked.http.close_session(asked.stream, 4004)
        asked.server.turn()

    h3.answer = close
    tokens = SignedIn("http://127.0.0.1:9")
    tokens.offer = h3.offer
    async with Link(cast(Api, tokens), transport="webtransport", sleep=pauses) as link:
        with pytest.raises(SignedOut):
            async with asyncio.timeout(DEADLINE):
                await link.online()


async def test_a_flood_waits_at_the_server_and_comes_whole(h3: RealtimeH3, pauses: Pauses) -> None:
    async with linked(h3, pauses) as (link, _, session):
        for number in range(40):
            await session.send(typing(str(number) * 20_000))
        for number in range(40):
            assert (await heard(link)).body == {"person": str(number) * 20_000}


async def test_a_large_publish_goes_through(h3: RealtimeH3, pauses: Pauses) -> None:
    async with linked(h3, pauses) as (link, peer, _):
        futures = [link.post("conv:c", "text", {"text": str(number) * 30_000}) for number in range(10)]
        for number in range(10):
            publish = await peer.receive("publish")
            assert publish["body"]["text"] == str(number) * 30_000
            await peer.ack(publish, number + 1)
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*futures)


async def test_a_network_that_changed_is_no_loss(h3: RealtimeH3, pauses: Pauses) -> None:
    words: list[str] = []
    async with linked(h3, pauses, status=words.append) as (link, peer, session):
        await link.network_changed()
        sending = link.post("conv:c", "text", {"text": "from elsewhere"})
        await peer.ack(await peer.receive("publish"), 1)
        async with asyncio.timeout(DEADLINE):
            await sending
        await session.send(typing("bob"))
        assert (await heard(link)).body == {"person": "bob"}
        assert len(h3.clients) == 2
        assert words == ["online"]


@pytest.mark.parametrize("choice", ["webtransport", "websocket-h3"])
@pytest.mark.parametrize(
    "offer",
    [
        None,
        {"url": "http://127.0.0.1:1/", "hashes": []},
        {"url": "https://", "hashes": []},
        {"url": 7, "hashes": []},
        {"url": "https://127.0.0.1:1/", "hashes": ["no digest"]},
        {},
    ],
)
async def test_a_server_that_offers_nothing_of_use_is_asked_again(pauses: Pauses, choice: Any, offer: Any) -> None:
    tokens = SignedIn("http://127.0.0.1:9")
    tokens.offer = offer
    pauses.goes_on.clear()
    async with Link(cast(Api, tokens), transport=choice, sleep=pauses):
        await pauses.reach(1)


async def test_with_auto_a_link_begins_on_webtransport_and_goes_on_over_websocket(pauses: Pauses) -> None:
    """The server's UDP dies, its TCP does not."""
    over_tcp, over_udp = Realtime(), RealtimeH3("webtransport")
    await over_tcp.open()
    await over_udp.open()
    tokens = SignedIn(f"http://127.0.0.1:{over_tcp.port}")
    tokens.offer = over_udp.offer
    async with Link(cast(Api, tokens), sleep=pauses) as link:
        await (await over_udp.link()).welcome(head=7)
        async with asyncio.timeout(DEADLINE):
            await link.online()
        used = [link.transport]
        await over_udp.close()
        connect = await (await over_tcp.link()).welcome()
        assert connect["resume"] == {"epoch": "e", "offset": 7}
        async with asyncio.timeout(DEADLINE):
            await link.online()
        used.append(link.transport)
    assert used == ["webtransport", "websocket"]
    await over_tcp.close()
