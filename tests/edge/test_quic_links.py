"""Links over HTTP/3 as clients meet the edge: WebTransport sessions, and WebSockets on streams (RFC 9220)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from datagram_proxy import DatagramProxy
from h3_visitor import Visitor, visit

from chiron._core import Connect, Frame, Message, Pong, Watermark
from chiron.protocols import http3
from chiron.protocols.wire import records
from chiron.server.edge.service import EdgeLimits

Run = Callable[[Coroutine[Any, Any, None]], None]

CONNECT = json.dumps({"op": "connect", "id": 1, "token": "t"}).encode()
NUMBER = 5
"""Of a channel."""


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame (RFC 6455 §5.2) with a mask of zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


def frames(data: bytes | bytearray) -> list[tuple[int, bytes]]:
    """A server's whole frames."""
    found = []
    while len(data) >= 2:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + length:
            break
        found.append((data[0] & 0x0F, bytes(data[start : start + length])))
        data = data[start + length :]
    return found


def said(data: bytes | bytearray) -> list[dict[str, Any]]:
    """The records of a link's stream, read."""
    return [json.loads(record) for record in records.Decoder(1 << 20).receive(bytes(data))]


async def until_said(visitor: Visitor, stream: int, count: int = 1) -> list[dict[str, Any]]:
    """Wait for so many frames on a link's stream; all that are there."""
    await visitor.until(lambda: len(said(visitor.lanes[stream].data)) >= count)
    return said(visitor.lanes[stream].data)


async def until_pongs(house: Any, number: int, count: int) -> None:
    await house.links.until(lambda: sum(isinstance(each, Pong) for each in house.links.events[number]) >= count)


async def until_aborted(visitor: Visitor, stream: int) -> None:
    await visitor.until(lambda: visitor.lanes[stream].aborted)


async def link(house: Any, visitor: Visitor) -> tuple[int, int, int]:
    """A session whose link is bound and attached to `NUMBER`: (session, stream, the hub's link)."""
    session, status = await visitor.session()
    assert status == 200
    stream = visitor.open(session)
    visitor.write(stream, records.encode(CONNECT))
    number = house.links.open[-1]
    await house.links.until(lambda: any(isinstance(event, Connect) for event in house.links.events[number]))
    now = house.engine.now()
    house.hub.bind(number, "ada", now, rate=100.0, burst=100.0)
    house.hub.attach(number, NUMBER, 1, 0)
    house.hub.go_live(number, NUMBER, 1)
    return session, stream, number


# --- WebTransport ----------------------------------------------------------------------------------------------------


def test_frames_travel_both_ways_on_the_stream_of_a_session(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house:
            async with visit(house.port) as visitor:
                _, stream, number = await link(house, visitor)
                assert house.engine.links == {"webtransport": 1}
                assert house.links.addresses == ["127.0.0.1"]
                for n in range(3):
                    house.hub.send_frame(number, Frame.ok(n))
                house.engine.wake()
                assert [frame["id"] for frame in await until_said(visitor, stream, 3)] == [0, 1, 2]
            await house.links.until(lambda: house.links.gone == [number])
            assert +house.engine.links == {}
            await house.until_empty()

    run(main())


def test_events_leave_as_datagrams_where_they_fit_and_messages_on_the_stream(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            session, stream, number = await link(house, visitor)
            house.hub.publish_event(NUMBER, "a", Frame.event(NUMBER, "typing", b'{"who":"bob"}'))
            house.hub.publish_event(NUMBER, "b", Frame.event(NUMBER, "typing", b'{"who":"%s"}' % (b"b" * 4000)))
            house.engine.wake()
            await visitor.until(lambda: visitor.datagrams.get(session) and said(visitor.lanes[stream].data))
            assert json.loads(visitor.datagrams[session][0])["body"] == {"who": "bob"}
            assert len(said(visitor.lanes[stream].data)[0]["body"]["who"]) == 4000
            watermark = {"op": "watermark", "id": 9, "channel": "conv:00000000-0000-0000-0000-000000000001", "read": 3}
            assert visitor.http is not None
            visitor.http.send_session_datagram(session, json.dumps(watermark).encode())
            visitor.turn()
            await house.links.until(lambda: any(isinstance(event, Watermark) for event in house.links.events[number]))

    run(main())


def test_sessions_of_one_connection_are_links_of_their_own(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            links = [await link(house, visitor) for _ in range(16)]
            stream, status = await visitor.session()
            assert status == 429
            for _, _, number in links:
                house.hub.send_frame(number, Frame.ok(number))
            house.engine.wake()
            for _, stream, number in links:
                assert [frame["id"] for frame in await until_said(visitor, stream)] == [number]
            assert visitor.http is not None
            visitor.http.close_session(links[3][0])
            visitor.turn()
            await house.links.until(lambda: house.links.gone == [links[3][2]])
            assert (await visitor.session())[1] == 200

    run(main())


def test_what_overtakes_the_request_of_a_session_waits_for_it(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            await visitor.until(lambda: visitor.settings is not None)
            assert visitor.http is not None
            session = visitor.ask("/v1/realtime", method="CONNECT", protocol="webtransport", end=False)
            await visitor.head(session)
            stream = visitor.open(session)
            visitor.write(stream, records.encode(CONNECT)[:7])
            visitor.write(stream, records.encode(CONNECT)[7:])
            await house.links.until(lambda: house.links.open)
            number = house.links.open[0]
            await house.links.until(lambda: house.links.events[number])
            assert [type(event) for event in house.links.events[number]] == [Connect]

    run(main())


def test_the_server_ends_a_link_with_a_code(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            session, stream, number = await link(house, visitor)
            house.hub.send_frame(number, Frame.close(4001, "the token was refused", 0, False))
            house.engine.end(number, 4001, "the token was refused")
            await visitor.until(lambda: visitor.lanes[stream].ended)
            assert [frame["code"] for frame in said(visitor.lanes[stream].data)] == [4001]
            assert house.links.gone == []
            visitor.write(stream, b"", end=True)
            await visitor.until(lambda: session in visitor.closed_sessions)
            closed = visitor.closed_sessions[session]
            assert (closed.code, closed.reason) == (4001, "the token was refused")
            assert house.links.gone == [number]
            assert house.engine.closes == {4001: 1}
            assert (await visitor.get("/after")).status == 200

    run(main())


def test_a_client_that_does_not_end_its_half_is_not_waited_for_for_long(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic(limits=EdgeLimits(linger_seconds=0.2)) as house, visit(house.port) as visitor:
            session, _, number = await link(house, visitor)
            house.engine.end(number, 1001, "the server is restarting")
            await visitor.until(lambda: session in visitor.closed_sessions)
            assert visitor.closed_sessions[session].code == 1001
            assert house.links.gone == [number]

    run(main())


def test_a_session_without_a_stream_ends_alike(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            session, _ = await visitor.session()
            number = house.links.open[0]
            house.hub.send_frame(number, Frame.close(4000, "connect comes first, within 5 s", 0, True))
            house.engine.end(number, 4000, "connect comes first, within 5 s")
            await visitor.until(lambda: session in visitor.closed_sessions)
            assert visitor.closed_sessions[session].code == 4000
            assert house.links.gone == [number]

    run(main())


@pytest.mark.parametrize(
    ("leave", "code"), [("close", 4999), ("end", 1006), ("reset", 1006), ("vanish", 1006), ("goodbye", 1006)]
)
def test_a_client_leaves(run: Run, quic: Any, leave: str, code: int) -> None:
    async def main() -> None:
        async with quic(idle_seconds=1.0) as house:
            async with visit(house.port) as visitor:
                session, stream, number = await link(house, visitor)
                assert visitor.http is not None
                match leave:
                    case "close":
                        visitor.http.close_session(session, 4999, "bye")
                    case "end":
                        visitor.http.send_stream(stream, b"", True)
                    case "reset":
                        visitor.http.reset_stream(stream, 7)
                    case "goodbye":
                        visitor.http.close()
                    case "vanish":
                        visitor.leave()
                visitor.turn()
                await house.links.until(lambda: house.links.gone == [number])
                assert house.engine.closes == {code: 1}
                if leave in ("end", "reset"):
                    await visitor.until(lambda: session in visitor.closed_sessions)
            await house.until_empty()

    run(main())


def test_a_client_whose_port_changes_notices_nothing(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, DatagramProxy("127.0.0.1", house.port) as proxy, visit(proxy.port) as visitor:
            _, stream, number = await link(house, visitor)
            for n in range(3):
                proxy.rebind()
                visitor.write(stream, records.encode(b'{"op":"pong"}'))
                await until_pongs(house, number, n + 1)
                house.hub.send_frame(number, Frame.ok(n))
                house.engine.wake()
                assert [frame["id"] for frame in await until_said(visitor, stream, n + 1)] == list(range(n + 1))
            while not house.listener.stats()["moved"]:
                await asyncio.sleep(0.005)
            assert house.listener.connections == 1

    run(main())


def test_a_session_takes_one_stream(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            session, stream, number = await link(house, visitor)
            second, third = visitor.open(session), visitor.open(session, unidirectional=True)
            for each in (second, third):
                visitor.write(each, records.encode(CONNECT))
                await until_aborted(visitor, each)
            assert len(house.links.events[number]) == 1
            house.hub.send_frame(number, Frame.ping())
            house.engine.wake()
            await visitor.until(lambda: visitor.lanes[stream].data)

    run(main())


def test_bytes_that_are_no_frames_end_the_session(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic(limits=EdgeLimits(linger_seconds=0.2)) as house, visit(house.port) as visitor:
            session, stream, number = await link(house, visitor)
            visitor.write(stream, records.encode(b"no frame"))
            await visitor.until(lambda: session in visitor.closed_sessions)
            assert visitor.closed_sessions[session].code in (1002, 1003, 1007, 1008)
            assert house.links.gone == [number]
            assert (await visitor.get("/after")).status == 200

    run(main())


def test_a_link_that_takes_nothing_is_cut_and_harms_nobody(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic(limits=EdgeLimits(stall_seconds=0.5)) as house:
            async with visit(house.port) as slow, visit(house.port) as quick:
                _, lane, number = await link(house, slow)
                _, stream, other = await link(house, quick)
                slow.pause(lane)
                offset = 0
                while number not in house.links.gone:
                    offset += 1
                    house.hub.publish(NUMBER, delivery(offset), offset)
                    house.engine.wake()
                    assert len(await until_said(quick, stream, offset)) == offset
                assert house.engine.closes == {1006: 1}
                assert house.hub.attached(other, NUMBER) == "live"
            await house.until_empty()

    run(main())


def delivery(offset: int) -> Frame:
    return Frame.delivery(
        NUMBER,
        offset,
        "0198c0de-0000-7000-8000-000000000001",
        offset,
        0,
        "0198c0de-0000-7000-8000-000000000002",
        "text",
        None,
        b'{"text":"%s"}' % (b"x" * 8000),
    )


# --- WebSocket -------------------------------------------------------------------------------------------------------


async def websocket(visitor: Visitor, *headers: tuple[str, str]) -> tuple[int, int]:
    """Ask for a WebSocket on a stream; the stream and the status."""
    await visitor.until(lambda: visitor.settings is not None)
    fields = headers or (("sec-websocket-version", "13"), ("sec-websocket-protocol", "chiron.v1.json"))
    stream = visitor.ask("/v1/realtime", *fields, method="CONNECT", protocol="websocket", end=False)
    return stream, await visitor.head(stream)


def test_rfc9220_frames_are_the_content_of_a_connect(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house:
            async with visit(house.port) as visitor:
                stream, status = await websocket(visitor)
                answer = visitor.answers[stream]
                assert (status, answer.headers["sec-websocket-protocol"]) == (200, "chiron.v1.json")
                assert house.engine.links == {"websocket-h3": 1}
                number = house.links.open[0]
                visitor.send(stream, masked(1, CONNECT)[:9])
                visitor.send(stream, masked(1, CONNECT)[9:])
                await house.links.until(lambda: house.links.events[number])
                assert [type(event) for event in house.links.events[number]] == [Connect]
                house.hub.bind(number, "ada", house.engine.now(), rate=100.0, burst=100.0)
                visitor.send(stream, masked(9, b"are you there"))
                await visitor.until(lambda: frames(answer.body))
                assert frames(answer.body) == [(10, b"are you there")]
                house.hub.send_frame(number, Frame.ok(1))
                house.engine.wake()
                await visitor.until(lambda: len(frames(answer.body)) == 2)
                visitor.send(stream, masked(8, b"\x03\xe8"))
                await visitor.until(lambda: answer.ended)
                assert frames(answer.body)[2:] == [(8, b"\x03\xe8")]
                visitor.send(stream, b"", end=True)
                await house.links.until(lambda: house.links.gone == [number])
                assert house.engine.closes == {1000: 1}
                assert (await visitor.get("/after")).status == 200
            await house.until_empty()

    run(main())


def test_rfc9220_the_server_closes(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            stream, _ = await websocket(visitor)
            number = house.links.open[0]
            house.engine.end(number, 4001, "no")
            answer = await visitor.answer(stream)
            assert frames(answer.body) == [(8, (4001).to_bytes(2, "big") + b"no")]
            assert answer.ended
            visitor.send(stream, masked(8, (4001).to_bytes(2, "big")), end=True)
            await house.links.until(lambda: house.links.gone == [number])
            assert house.engine.closes == {4001: 1}

    run(main())


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((("sec-websocket-version", "12"), ("sec-websocket-protocol", "chiron.v1.json")), 400),
        ((("sec-websocket-version", "13"), ("sec-websocket-protocol", "other")), 400),
    ],
    ids=["version", "subprotocol"],
)
def test_rfc9220_a_handshake_that_is_none_is_refused(run: Run, quic: Any, fields: Any, status: int) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            _, found = await websocket(visitor, *fields)
            assert found == status
            assert house.links.open == []
            assert (await visitor.get("/after")).status == 200
            assert visitor.http is not None
            assert visitor.http.requests == 0

    run(main())


def test_rfc9220_messages_are_echoed_as_they_are_taken(run: Run, quic: Any) -> None:
    """In mode `message` a client that reads nothing is not read either, and gets all of it in the end."""

    async def main() -> None:
        async with quic(mode="message") as house, visit(house.port) as visitor:

            def echo(link: int, events: Sequence[Any]) -> None:
                for event in events:
                    if isinstance(event, Message):
                        house.hub.send_message(link, event.data, event.text)
                house.engine.wake()

            house.links.answer = echo
            stream, status = await websocket(visitor)
            assert status == 200
            visitor.pause(stream)
            for n in range(400):
                visitor.send(stream, masked(2, bytes([n & 255]) * 4000))
            assert (await visitor.get("/meanwhile")).status == 200
            number = house.links.open[0]
            assert house.hub.queued(number) < 200_000
            assert len(house.links.events[number]) < 400
            visitor.resume(stream)
            await visitor.until(lambda: len(visitor.answers[stream].body) == 400 * (4 + 4000))
            assert [data[0] for _, data in frames(visitor.answers[stream].body)] == [n & 255 for n in range(400)]

    run(main())


def test_drain_waits_for_the_ends_of_links(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            session, stream, number = await link(house, visitor)
            socket, _ = await websocket(visitor)
            draining = asyncio.create_task(house.listener.drain(30.0))
            for each in house.links.open:
                house.engine.end(each, 1001, "the server is restarting")
            await visitor.until(lambda: visitor.lanes[stream].ended and visitor.answers[socket].ended)
            visitor.write(stream, b"", end=True)
            visitor.send(socket, masked(8, b"\x03\xe9"), end=True)
            await visitor.until(lambda: visitor.closed)
            await draining
            assert visitor.closed is not None
            assert visitor.closed.code == http3.ErrorCode.H3_NO_ERROR
            assert sorted(house.links.gone) == sorted(house.links.open)
            assert number in house.links.gone
            assert session in visitor.closed_sessions
            await house.until_empty()

    run(main())
