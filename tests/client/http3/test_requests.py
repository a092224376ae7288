"""Requests over HTTP/3, by httpx, to a server that the test plays."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from quic_path import pair
from scripted import DEADLINE
from scripted_h3 import Asked, H3Server

from chiron.client import Http3Transport, Trust


@pytest.fixture
async def server() -> AsyncIterator[H3Server]:
    server = H3Server()
    await server.open()
    yield server
    await server.close()


@asynccontextmanager
async def client(server: H3Server, trust: Trust | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = Http3Transport(trust or Trust(pins=frozenset({server.certificate.hash})))
    address = f"https://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(transport=transport, base_url=address, timeout=DEADLINE) as http:
        yield http


async def hello(asked: Asked) -> None:
    asked.respond(200, [("content-type", "text/plain"), ("x-odd", "é")], b"Hello")


async def echo(asked: Asked) -> None:
    async with asyncio.timeout(DEADLINE), asked.changed:
        await asked.changed.wait_for(lambda: asked.ended)
    asked.respond(200, [], bytes(asked.body))


async def test_a_request_and_its_answer(server: H3Server) -> None:
    server.answer = hello
    async with client(server) as http:
        response = await http.get("/a?b=c", headers={"X-Name": "value", "Connection": "keep-alive"})
        assert (response.status_code, response.http_version, response.text) == (200, "HTTP/3", "Hello")
        assert (response.headers["content-type"], response.headers["x-odd"]) == ("text/plain", "é")
    (asked,) = server.asked
    assert (asked.method, asked.target, asked.ended) == ("GET", "/a?b=c", True)
    assert asked.headers["x-name"] == "value"
    assert "connection" not in asked.headers


async def test_many_requests_at_a_time_share_one_connection(server: H3Server) -> None:
    server.answer = echo
    async with client(server) as http:
        bodies = [f"body {number}".encode() for number in range(40)]
        responses = await asyncio.gather(*(http.post("/", content=body) for body in bodies))
        assert [response.content for response in responses] == bodies
    assert len({asked.connection for asked in server.asked}) == 1


async def test_a_large_body_goes_both_ways(server: H3Server) -> None:
    async def thrice(asked: Asked) -> None:
        async with asyncio.timeout(DEADLINE), asked.changed:
            await asked.changed.wait_for(lambda: asked.ended)
        asked.respond(200, [], bytes(asked.body) * 3)

    server.answer = thrice
    body = hashlib.shake_128(b"").digest(1_000_000)
    async with client(server) as http:
        assert (await http.post("/", content=body)).content == body * 3


async def test_an_answer_is_read_as_it_comes(server: H3Server) -> None:
    go_on = asyncio.Event()

    async def slowly(asked: Asked) -> None:
        asked.respond(200, [], b"one", end=False)
        await go_on.wait()
        asked.send(b"two", end=True)

    server.answer = slowly
    async with client(server) as http, http.stream("GET", "/") as response:
        chunks = response.aiter_raw()
        assert await anext(chunks) == b"one"
        go_on.set()
        assert await anext(chunks) == b"two"


async def test_a_body_is_sent_as_it_is_made(server: H3Server) -> None:
    heard = asyncio.Event()

    async def listen(asked: Asked) -> None:
        async with asked.changed:
            await asked.changed.wait_for(lambda: asked.body == b"one")
        heard.set()
        await echo(asked)

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        async with asyncio.timeout(DEADLINE):
            await heard.wait()
        yield b"two"

    server.answer = listen
    async with client(server) as http:
        assert (await http.post("/", content=parts())).content == b"onetwo"


async def test_a_reader_that_is_slow_makes_the_server_wait(server: H3Server) -> None:
    waited = asyncio.Event()

    async def flood(asked: Asked) -> None:
        asked.respond(200, [], end=False)
        for _ in range(200):
            if not asked.send(bytes(65_536)):
                waited.set()
                return

    server.answer = flood
    async with client(server) as http, http.stream("GET", "/"):
        async with asyncio.timeout(DEADLINE):
            await waited.wait()


async def test_leaving_an_answer_cancels_the_request(server: H3Server) -> None:
    async def begin(asked: Asked) -> None:
        asked.respond(200, [], b"one", end=False)

    server.answer = begin
    async with client(server) as http:
        async with http.stream("GET", "/") as response:
            assert await anext(response.aiter_raw()) == b"one"
        (asked,) = server.asked
        async with asyncio.timeout(DEADLINE), asked.changed:
            await asked.changed.wait_for(lambda: asked.aborted is not None)
        assert asked.aborted == 0x10C


async def test_an_answer_that_does_not_come_in_time_is_cancelled(server: H3Server) -> None:
    async def never(asked: Asked) -> None:
        pass

    server.answer = never
    async with client(server) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/", timeout=httpx.Timeout(DEADLINE, read=0.05))
        (asked,) = server.asked
        async with asyncio.timeout(DEADLINE), asked.changed:
            await asked.changed.wait_for(lambda: asked.aborted is not None)


async def test_a_request_that_the_server_gives_up_is_an_error(server: H3Server) -> None:
    async def give_up(asked: Asked) -> None:
        asked.reset(0x102)

    server.answer = give_up
    async with client(server) as http:
        with pytest.raises(httpx.RemoteProtocolError, match="0x102"):
            await http.get("/")


async def test_rfc9114_5_2_what_a_leaving_server_rejects_is_asked_again_on_another_connection(
    server: H3Server,
) -> None:
    async def leave(asked: Asked) -> None:
        server.answer = hello
        asked.http.goaway()
        asked.reset(0x10B)

    server.answer = leave
    async with client(server) as http:
        assert (await http.post("/", content=b"once")).text == "Hello"
    assert len({asked.connection for asked in server.asked}) == 2


async def test_a_connection_that_is_over_is_opened_anew(server: H3Server) -> None:
    server.answer = hello
    async with client(server) as http:
        await http.get("/")
        for connection in server.connections.values():
            connection.close()
        server.turn()
        assert (await http.get("/")).text == "Hello"


async def test_what_was_begun_when_the_connection_ends_is_not_repeated(server: H3Server) -> None:
    async def end(asked: Asked) -> None:
        asked.http.close()
        server.turn()

    server.answer = end
    async with client(server) as http:
        with pytest.raises(httpx.ReadError):
            await http.post("/", content=b"once")
    assert len(server.asked) == 1


async def test_http_without_tls_is_no_http3() -> None:
    async with httpx.AsyncClient(transport=Http3Transport()) as http:
        with pytest.raises(httpx.UnsupportedProtocol):
            await http.get("http://127.0.0.1:1/")


# --- whom to believe ------------------------------------------------------------------------------------------------


async def test_the_certificate_is_checked(server: H3Server) -> None:
    server.answer = hello
    async with client(server, Trust()) as http:
        with pytest.raises(httpx.ConnectError, match=r"^the certificate of UDP port .* is not trusted: self-signed"):
            await http.get("/")
    assert server.asked == []


async def test_an_authority_of_ones_own_is_trusted(server: H3Server) -> None:
    server.answer = hello
    async with client(server, Trust(authorities=server.certificate.chain)) as http:
        assert (await http.get("/")).text == "Hello"


async def test_another_than_the_pinned_certificate_hears_nothing(server: H3Server) -> None:
    server.answer = hello
    async with client(server, Trust(pins=frozenset({pair("localhost").hash}))) as http:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await http.get("/")
    assert server.asked == []


async def test_who_believes_anybody_looks_at_nothing(server: H3Server) -> None:
    server.answer = hello
    async with client(server, Trust(anyone=True)) as http:
        assert (await http.get("/")).text == "Hello"


async def test_where_nobody_listens_that_is_known_at_once() -> None:
    server = H3Server()
    await server.open()
    await server.close()
    async with client(server) as http:
        with pytest.raises(httpx.ConnectError, match="nothing listens at UDP port"):
            await http.get("/")


async def test_a_server_that_swallows_everything_does_not_answer(server: H3Server) -> None:
    server.deaf = True
    async with client(server) as http:
        with pytest.raises(httpx.ConnectError, match="nothing answers at UDP port"):
            await http.get("/", timeout=httpx.Timeout(DEADLINE, connect=0.1))
