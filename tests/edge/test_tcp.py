"""The edge as clients meet it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chiron import _core
from chiron.protocols import http1
from chiron.server.edge.service import EdgeLimits

Run = Callable[[Coroutine[Any, Any, None]], None]
both = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])

CONNECT = json.dumps({"op": "connect", "id": 1, "token": "t"}).encode()


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame (RFC 6455 §5.2) with a mask of zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


# --- HTTP ------------------------------------------------------------------------------------------------------------


@both
def test_requests_on_one_connection(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            for target in ("/a", "/b"):
                client.get(target)
                status, headers, body = await client.response()
                assert (status, body) == (200, target.encode())
                assert "connection" not in headers
            assert house.desk.seen == [f"GET {target} {'https' if secure else 'http'}" for target in ("/a", "/b")]

    run(main())


@both
def test_pipelined_requests_are_answered_in_order_one_at_a_time(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            client.get("/wait")
            for n in range(200):
                client.get(f"/{n}")
            await house.desk.started.wait()
            assert len(house.desk.seen) == 1
            house.desk.release.set()
            assert (await client.response())[2] == b"/wait"
            for n in range(200):
                assert (await client.response())[2] == f"/{n}".encode()

    run(main())


@both
def test_a_flood_behind_a_pending_request_is_held_back(run: Run, edge: Any, secure: bool) -> None:
    """The client's bytes stay in the network: neither the hub nor the parser swallows them."""

    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            client.get("/wait")
            await house.desk.started.wait()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        client.send(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" * 1000)
                        await client.writer.drain()
                        await asyncio.sleep(0)
            assert len(house.desk.seen) == 1
            house.desk.release.set()
            client.writer.transport.abort()
            await house.until_empty()

    run(main())


@both
def test_a_body_arrives_whole(run: Run, edge: Any, secure: bool) -> None:
    body = bytes(range(256)) * 2000

    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            client.get("/echo", f"Content-Length: {len(body)}", "Expect: 100-continue", method="POST")
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(body)
            assert (await client.response())[2] == body

    run(main())


@both
def test_a_slow_reader_gets_a_large_answer_whole(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            for _ in range(2):
                client.get("/big")
            for _ in range(2):
                head = await client.reader.readuntil(b"\r\n\r\n")
                assert b"content-length: 8388608" in head
                left = 8_388_608
                while left:
                    await asyncio.sleep(0)
                    left -= len(await client.reader.read(min(left, 50_000)))
            assert house.desk.seen[0].startswith("GET /big")

    run(main())


@both
def test_what_is_too_large_is_refused_and_the_client_reads_why(run: Run, edge: Any, secure: bool) -> None:
    """The client goes on sending while it is refused: closing at once would reset the answer away."""

    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            client.get("/x", "Content-Length: 5000000", method="POST")
            client.send(bytes(400_000))
            status, headers, _ = await client.response()
            assert (status, headers["connection"]) == (413, "close")
            assert house.desk.refused == ["too_large"]

    run(main())


def test_rfc9112_9_6_a_half_closed_client_is_answered(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house, house.client() as client:
            client.get("/wait")
            client.writer.write_eof()
            await house.desk.started.wait()
            house.desk.release.set()
            status, headers, body = await client.response()
            assert (status, body, headers["connection"]) == (200, b"/wait", "close")
            assert await client.rest() == b""

    run(main())


def test_a_client_that_is_gone_cancels_what_only_reads(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house:
            for method in ("GET", "POST"):
                house.desk.started.clear()
                async with house.client() as client:
                    client.get(f"/wait/{method}", method=method)
                    await house.desk.started.wait()
                    reset(client)
                while house.listener.connections:
                    await asyncio.sleep(0.005)
            house.desk.release.set()
            while house.engine.tasks:
                await asyncio.sleep(0.005)
            assert house.desk.cancelled == ["/wait/GET"]
            assert house.desk.finished == ["/wait/POST"]
            await house.until_empty()

    run(main())


def reset(client: Any) -> None:
    """End without ceremony: the server sees a reset."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.writer.transport.abort()


@both
@pytest.mark.parametrize(
    "garbage",
    [b"\0" * 100, b"\xff" * 5000, b"\r\n" * 300 + b"\x16", b"SSH-2.0-x\n", b"\x16\x03\x01\x00\x05hello" * 50],
    ids=["zeros", "ones", "lines", "ssh", "tls"],
)
def test_garbage_is_told_off_and_forgotten(run: Run, edge: Any, secure: bool, garbage: bytes) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(garbage)
            try:
                answer = await reader.read(-1)
            except ConnectionError:
                answer = None
            if not secure and answer is not None:
                assert answer.startswith(b"HTTP/1.1 400 ")
            writer.close()
            await house.until_empty()

    run(main())


def test_a_handler_whose_answer_cannot_be_sent_ends_the_connection_alone(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house:
            async with house.client() as client, house.client() as other:
                client.get("/broken")
                assert await client.rest() == b""
                other.get("/a")
                assert (await other.response())[0] == 200
            await house.until_empty()

    run(main())


# --- time ------------------------------------------------------------------------------------------------------------

HASTY = EdgeLimits(
    handshake_seconds=0.2,
    stall_seconds=0.2,
    linger_seconds=0.2,
    http=http1.Limits(head_seconds=0.2, idle_seconds=0.2, body_grace_seconds=0.2),
)


@both
def test_a_silent_client_is_closed(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure, limits=HASTY) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            try:
                assert await reader.read(-1) == b""
            except ConnectionError:
                pass
            writer.close()
            await house.until_empty()

    run(main())


@both
@pytest.mark.parametrize("start", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_slow_request_is_told_408(run: Run, edge: Any, secure: bool, start: bytes) -> None:
    async def main() -> None:
        async with edge(secure=secure, limits=HASTY) as house, house.client() as client:
            client.send(start)
            status, headers, _ = await client.response()
            assert (status, headers["connection"]) == (408, "close")
            assert await client.rest() == b""
            await client.close()
            await house.until_empty()

    run(main())


@both
def test_an_idle_connection_is_closed_without_a_word(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure, limits=HASTY) as house, house.client() as client:
            client.get("/a")
            await client.response()
            assert await client.rest() == b""

    run(main())


@pytest.mark.parametrize("target", ["/big", "/big/last"])
def test_closing_toward_a_client_that_never_reads_ends_by_time(run: Run, edge: Any, target: str) -> None:
    async def main() -> None:
        async with edge(limits=HASTY) as house:
            with socket.create_connection(("127.0.0.1", house.port)) as sock:
                close = b"Connection: close\r\n" if target.endswith("last") else b""
                sock.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n".encode() + close + b"\r\n")
                while not house.desk.finished:
                    await asyncio.sleep(0.005)
                await house.until_empty()

    run(main())


def test_a_client_that_keeps_its_half_open_is_closed_after_the_linger_time(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(limits=HASTY) as house:
            with socket.create_connection(("127.0.0.1", house.port)) as sock:
                sock.sendall(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                while not house.desk.finished or house.listener.connections:
                    await asyncio.sleep(0.005)
                assert sock.recv(65_536).endswith(b"/a")
                assert sock.recv(1) == b""

    run(main())


# --- WebSocket -------------------------------------------------------------------------------------------------------


@both
def test_a_link_from_handshake_to_close(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            assert await client.upgrade() == 101
            client.send(masked(1, CONNECT))
            await house.links.until(lambda: any(house.links.events.values()))
            (link,) = house.links.open
            (event,) = house.links.events[link]
            assert isinstance(event, _core.Connect)
            assert (event.id, event.token) == (1, "t")
            house.hub.send_frame(link, _core.Frame.ping())
            house.engine.wake()
            assert await client.frame() == (1, b'{"op":"ping"}')
            house.engine.end(link, 4001, "refresh")
            assert await client.frame() == (8, (4001).to_bytes(2, "big") + b"refresh")
            assert await client.rest() == b""
            client.send(masked(8, (4001).to_bytes(2, "big")))
            await client.close()
            await house.links.until(lambda: house.links.gone == [link])
            await house.until_empty()

    run(main())


@both
def test_frames_sent_right_behind_the_handshake_are_read(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            client.get(
                "/v1/realtime",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Protocol: chiron.v1.json",
            )
            client.send(masked(1, CONNECT))
            await house.links.until(lambda: any(house.links.events.values()))
            assert b" 101 " in await client.reader.readuntil(b"\r\n\r\n")

    run(main())


@both
def test_a_client_that_closes_is_answered_and_forgotten(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            assert await client.upgrade() == 101
            client.send(masked(8, (1000).to_bytes(2, "big")))
            assert await client.frame() == (8, (1000).to_bytes(2, "big"))
            assert await client.rest() == b""
            await client.close()
            await house.links.until(lambda: house.links.gone == house.links.open)
            await house.until_empty()

    run(main())


def test_a_client_that_breaks_the_protocol_is_told_how(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house, house.client() as client:
            assert await client.upgrade() == 101
            client.send(b"\x81\x05hello")  # not masked
            opcode, payload = await client.frame()
            assert (opcode, payload[:2]) == (8, (1002).to_bytes(2, "big"))
            assert await client.rest() == b""
            await client.close()
            await house.until_empty()
            assert house.links.gone == house.links.open

    run(main())


@pytest.mark.parametrize(
    ("subprotocol", "target", "status"),
    [("chat", "/v1/realtime", 426), ("chiron.v1.json", "/elsewhere", 404)],
)
def test_a_refused_handshake_closes(run: Run, edge: Any, subprotocol: str, target: str, status: int) -> None:
    async def main() -> None:
        async with edge() as house, house.client() as client:
            assert await client.upgrade(subprotocol=subprotocol, target=target) == status
            await client.rest()
            await client.close()
            assert house.links.open == []
            await house.until_empty()

    run(main())


def test_a_vanished_link_is_closed_once(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house:
            for vanish in (reset, lambda client: client.writer.write_eof()):
                async with house.client() as client:
                    assert await client.upgrade() == 101
                    vanish(client)
                    await house.links.until(lambda: house.links.gone == house.links.open)
            assert len(house.links.gone) == 2
            await house.until_empty()

    run(main())


def test_ending_a_link_whose_client_never_reads_ends_by_time(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(limits=HASTY, mode="message") as house, house.client() as client:
            assert await client.upgrade() == 101
            client.writer.transport.pause_reading()
            (link,) = house.links.open
            for _ in range(200):
                house.hub.send_message(link, bytes(65_536), False)
            house.engine.wake()
            house.engine.end(link, 1001, "")
            await house.links.until(lambda: house.links.gone == [link])
            await house.until_empty()
            client.writer.transport.abort()

    run(main())


@both
def test_messages_are_joined_and_held_back_while_answers_wait(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure, mode="message", max_message=1 << 20) as house, house.client() as client:
            assert await client.upgrade() == 101
            client.send(b"\x01\x83\0\0\0\0abc" + masked(9, b"?") + b"\x80\x83\0\0\0\0def")
            await house.links.until(lambda: any(house.links.events.values()))
            (link,) = house.links.open
            (message,) = house.links.events[link]
            assert (message.data, message.text) == (b"abcdef", True)
            assert await client.frame() == (10, b"?")
            house.hub.send_message(link, bytes(500_000), False)
            house.engine.wake()
            assert await client.frame() == (2, bytes(500_000))

    run(main())


# --- capacity, drain, panic ------------------------------------------------------------------------------------------


@both
def test_over_the_limit_a_client_is_told_busy(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure, max_connections=2) as house:
            async with house.client() as one, house.client():
                one.get("/a")
                await one.response()
                async with house.client() as third:
                    third.get("/a")
                    status, headers, body = await third.response()
                    assert (status, headers["connection"], body) == (503, "close", b"busy")
            await house.until_empty()
            async with house.client() as again:
                again.get("/a")
                assert (await again.response())[0] == 200

    run(main())


def test_far_over_the_limit_connections_are_closed_at_once(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge(max_connections=1) as house:
            clients = [await house.connect() for _ in range(100)]
            ends = [asyncio.ensure_future(reader.read(-1)) for reader, _ in clients]
            done, waiting = await asyncio.wait(ends, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            assert done
            assert house.listener.connections <= 1 + 64
            for task in waiting:
                task.cancel()
            for _, writer in clients:
                writer.transport.abort()
            await asyncio.gather(*ends, return_exceptions=True)
            await house.until_empty()

    run(main())


@both
def test_draining_answers_what_was_asked_and_closes(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as idle, house.client() as busy:
            idle.get("/a")
            await idle.response()
            busy.get("/wait")
            await house.desk.started.wait()
            drained = asyncio.ensure_future(house.listener.drain(10.0))
            assert await idle.rest() == b""
            with pytest.raises(OSError):
                while True:  # the listening socket closes with the next turn of the loop
                    async with house.client():
                        await asyncio.sleep(0)
            house.desk.release.set()
            status, headers, body = await busy.response()
            assert (status, headers["connection"], body) == (200, "close", b"/wait")
            assert await busy.rest() == b""
            await idle.close()
            await busy.close()
            await drained
            assert house.listener.connections == 0

    run(main())


def test_draining_is_bounded(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house, house.client() as stuck, house.client() as link:
            stuck.get("/wait", method="POST")
            await house.desk.started.wait()
            assert await link.upgrade() == 101
            await house.listener.drain(0.05)
            assert house.listener.connections == 0
            assert house.links.gone == house.links.open
            assert await stuck.rest() == b""

    run(main())


def test_a_panic_is_reported_once_and_ends_every_connection(run: Run, edge: Any) -> None:
    async def main() -> None:
        async with edge() as house, house.client() as client, house.client() as other:
            other.get("/a")
            await other.response()
            client.get("/panic")
            assert await client.rest() == b""
            assert await other.rest() == b""
            assert [type(error).__name__ for error in house.poisoned] == ["PanicException"]

    run(main())


@both
def test_who_floods_gets_one_read_in_each_turn_of_the_loop(run: Run, edge: Any, secure: bool) -> None:
    async def main() -> None:
        async with edge(secure=secure, mode="message") as house, house.client() as client:
            assert await client.upgrade() == 101
            await house.links.until(lambda: bool(house.links.open))
            (link,) = house.links.open
            loop, turn, sizes = asyncio.get_running_loop(), 0, Counter[int]()

            def count() -> None:
                nonlocal turn
                turn += 1
                ticking.append(loop.call_soon(count))

            ticking = [loop.call_soon(count)]
            keep = house.links.received

            def received(link: int, events: Any) -> None:
                sizes[turn] += sum(len(event.data) for event in events)
                keep(link, events)

            house.links.received = received
            flood = masked(2, bytes(1000)) * 3000
            client.send(flood)
            await house.links.until(lambda: len(house.links.events[link]) == 3000)
            ticking[-1].cancel()
            # What a read completes may have begun in the one before: a frame, and a TLS record (RFC 8446 §5.1).
            begun = 1000 + (16_384 if secure else 0)
            assert max(sizes.values()) < len(house.engine.receive_buffer) + begun

    run(main())


@both
def test_what_breaks_the_protocol_behind_connect_ends_the_connection_once_it_is_read(
    run: Run, edge: Any, secure: bool
) -> None:
    async def main() -> None:
        async with edge(secure=secure) as house, house.client() as client:
            assert await client.upgrade() == 101
            client.send(masked(1, CONNECT) + masked(1, b'{"op":"pong"}') + masked(1, b"[]"))
            await house.links.until(lambda: bool(house.links.open) and bool(house.links.events[house.links.open[0]]))
            (link,) = house.links.open
            house.engine.received(link, house.hub.bind(link, "ada", house.engine.now(), rate=50.0, burst=200.0))
            house.engine.wake()
            assert await client.frame() == (8, (1002).to_bytes(2, "big") + b"a message holds no frame")
            assert await client.rest() == b""
            assert [type(event).__name__ for event in house.links.events[link]] == ["Connect", "Pong"]
            await house.links.until(lambda: house.links.gone == [link])

    run(main())
