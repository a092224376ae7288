"""Requests over HTTP/3, as clients meet the edge."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from h3_visitor import visit

from chiron.protocols import http3
from chiron.server.edge.certificates import development
from chiron.server.edge.service import EdgeLimits

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_requests_on_one_connection(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house:
            async with visit(house.port) as visitor:
                streams = [visitor.ask(f"/{n}", body=b"" if n else None) for n in range(12)]
                for n, stream in enumerate(streams):
                    answer = await visitor.answer(stream)
                    assert (answer.status, bytes(answer.body)) == (200, f"/{n}".encode())
                    assert answer.headers["content-length"] == str(len(answer.body))
            assert sorted(house.desk.seen) == sorted(f"GET /{n} https" for n in range(12))
            assert set(house.desk.addresses) == {"127.0.0.1"}
            await house.until_empty()

    run(main())


def test_a_body_up_and_down(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            body = bytes(range(256)) * 1024
            answer = await visitor.answer(visitor.ask("/echo", method="POST", body=body))
            assert (answer.status, bytes(answer.body)) == (200, body)

    run(main())


def test_head_has_the_fields_of_get_and_no_content(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            for path, size in (("/small", 6), ("/big", 8 << 20)):
                answer = await visitor.get(path, method="HEAD")
                assert (answer.status, answer.headers["content-length"], len(answer.body)) == (200, str(size), 0)

    run(main())


def test_a_large_answer_arrives_whole_while_others_pass_it(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            large = visitor.ask("/large")
            await visitor.head(large)
            assert (await visitor.get("/small")).status == 200
            assert not visitor.answers[large].ended
            assert bytes((await visitor.answer(large)).body) == bytes(range(256)) * 4096

    run(main())


def test_a_client_that_is_gone_cancels_what_only_reads(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house:
            async with visit(house.port) as visitor:
                for method in ("GET", "POST"):
                    house.desk.started.clear()
                    stream = visitor.ask(f"/wait/{method}", method=method)
                    await house.desk.started.wait()
                    visitor.reset(stream)
                while not house.desk.cancelled:
                    await asyncio.sleep(0.005)
                house.desk.release.set()
                while house.engine.tasks:
                    await asyncio.sleep(0.005)
            assert house.desk.cancelled == ["/wait/GET"]
            assert house.desk.finished == ["/wait/POST"]
            await house.until_empty()

    run(main())


def test_drain_answers_what_was_asked_and_refuses_the_rest(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor, visit(house.port) as idle:
            stream = visitor.ask("/wait")
            await house.desk.started.wait()
            draining = asyncio.create_task(house.listener.drain(30.0))
            await visitor.until(lambda: visitor.goaway is not None)
            await idle.until(lambda: idle.closed)
            assert idle.closed is not None
            assert idle.closed.code == http3.ErrorCode.H3_NO_ERROR
            async with visit(house.port) as late:
                assert late.closed is not None
            house.desk.release.set()
            assert (await visitor.answer(stream)).status == 200
            visitor.close()
            await draining
            assert house.listener.connections == 0

    run(main())


def test_an_answer_that_nobody_takes_is_given_up_and_the_others_do_not_mind(run: Run, quic: Any) -> None:
    async def main() -> None:
        limits = EdgeLimits(stall_seconds=0.3)
        async with quic(limits=limits) as house, visit(house.port) as slow, visit(house.port) as other:
            stream = slow.ask("/large")
            slow.pause(stream)
            for n in range(20):
                assert (await other.get(f"/{n}")).status == 200
            assert (await slow.get("/small")).status == 200
            answer = await slow.answer(stream)
            assert answer.aborted == http3.ErrorCode.H3_REQUEST_CANCELLED
            assert (await slow.get("/after")).status == 200

    run(main())


def test_a_slow_reader_gets_all_of_it(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as slow:
            stream = slow.ask("/large")
            await slow.head(stream)
            while not slow.answers[stream].ended:
                slow.pause(stream)
                assert (await slow.get("/meanwhile")).status == 200
                slow.resume(stream)
                await slow.more(stream)
            assert bytes(slow.answers[stream].body) == bytes(range(256)) * 4096

    run(main())


def test_trailers_end_a_request(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            stream = visitor.ask("/echo", method="POST", body=b"content", end=False)
            assert visitor.http is not None
            visitor.http.send_trailers(stream, [("x-sum", "1")])
            visitor.turn()
            answer = await visitor.answer(stream)
            assert (answer.status, bytes(answer.body)) == (200, b"content")

    run(main())


def test_a_body_over_the_limit_is_refused(run: Run, quic: Any) -> None:
    async def main() -> None:
        limits = EdgeLimits(http3=http3.Limits(body_bytes=1000))
        async with quic(limits=limits) as house, visit(house.port) as visitor:
            said = await visitor.answer(visitor.ask("/a", ("content-length", "2000"), method="POST", body=bytes(2000)))
            assert said.status == 413
            grown = await visitor.answer(visitor.ask("/b", method="POST", body=bytes(2000)))
            assert grown.status == 413
            assert house.desk.seen == []
            assert (await visitor.get("/c")).status == 200

    run(main())


def test_many_bodies_of_one_connection_are_not_kept_for_long(run: Run, quic: Any) -> None:
    async def main() -> None:
        limits = EdgeLimits(http3=http3.Limits(body_bytes=1000))
        async with quic(limits=limits) as house, visit(house.port) as visitor:
            streams = [visitor.ask("/a", method="POST", body=bytes(900), end=False) for _ in range(10)]
            await visitor.until(lambda: sum(visitor.answers[stream].ended for stream in streams) == 2)
            for stream in streams:
                if not visitor.answers[stream].ended:
                    visitor.send(stream, b"", end=True)
            statuses = [(await visitor.answer(stream)).status for stream in streams]
            assert sorted(statuses) == [200] * 8 + [503] * 2
            assert (await visitor.answer(visitor.ask("/b", method="POST", body=bytes(900)))).status == 200

    run(main())


def test_a_request_that_comes_too_slowly_is_refused(run: Run, quic: Any) -> None:
    async def main() -> None:
        limits = EdgeLimits(http3=http3.Limits(body_grace_seconds=0.1))
        async with quic(limits=limits) as house, visit(house.port) as visitor:
            answer = await visitor.answer(visitor.ask("/a", method="POST", body=b"x", end=False))
            assert answer.status == 408
            assert house.desk.seen == []

    run(main())


def test_a_handler_whose_answer_cannot_be_sent_ends_the_stream_alone(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            assert (await visitor.get("/broken")).aborted is not None
            assert (await visitor.get("/fine")).status == 200

    run(main())


def test_a_panic_is_told_and_ends_everything(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            visitor.ask("/panic")
            while not house.poisoned:
                await asyncio.sleep(0.005)
            visitor.ask("/after")
            while house.listener.connections:
                await asyncio.sleep(0.005)

    run(main())


def test_a_connection_over_the_limit_is_told_so(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic(max_connections=1) as house, visit(house.port) as first:
            async with visit(house.port) as second:
                assert (await second.answer(second.ask("/b", method="POST", body=b"b"))).status == 503
                await second.until(lambda: second.goaway is not None)
            assert house.desk.refused == ["busy"]
            assert (await first.get("/c")).status == 200

    run(main())


def test_garbage_harms_nobody(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            random = Random(7)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for size in [0, 1, 5, 20, 21, 43, 100, 1199, 1200, 1472] * 20:
                    sock.sendto(random.randbytes(size), ("127.0.0.1", house.port))
                    first = random.choice(
                        [b"\xc0\0\0\0\1", b"\xe0\0\0\0\1", b"\x40", b"\xc0\xba\xba\xba\xba", b"\x80\0\0\0\0"]
                    )
                    sock.sendto(first + random.randbytes(size), ("127.0.0.1", house.port))
            assert (await visitor.get("/after")).status == 200
            assert house.listener.connections == 1

    run(main())


def test_early_data_is_answered_where_it_may_be_repeated(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house:
            async with visit(house.port) as visitor:
                await visitor.until(lambda: visitor.endpoint.session_ticket is not None)
                ticket = visitor.endpoint.session_ticket
            async with visit(house.port, connected=False, session_ticket=ticket, early_data=True) as early:
                streams = [early.ask(f"/{method}", method=method) for method in ("GET", "POST")]
                assert not early.connected
                assert [(await early.answer(stream)).status for stream in streams] == [200, 425]
                assert early.resumed
                assert (await early.answer(early.ask("/later", method="POST"))).status == 200
            assert house.desk.seen == ["GET /GET https", "POST /later https"]
            assert house.desk.refused == ["too_early"]

    run(main())


def test_a_connect_that_is_none_of_ours_is_refused(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            await visitor.until(lambda: visitor.settings is not None)
            for protocol, path, status in (("connect-udp", "/v1/realtime", 501), ("webtransport", "/elsewhere", 404)):
                stream = visitor.ask(path, method="CONNECT", protocol=protocol, end=False)
                assert (await visitor.answer(stream)).status == status
            assert house.links.open == []

    run(main())


def test_another_certificate_is_shown_from_the_next_handshake_on(run: Run, quic: Any, tmp_path: Path) -> None:
    async def main() -> None:
        other = development(tmp_path, datetime.now(UTC))
        async with quic() as house, visit(house.port) as before:
            house.listener.reload(other.chain, other.key, None)
            with pytest.raises(ValueError):
                house.listener.reload(b"none", other.key, None)
            async with visit(house.port, verify=True, ca=(tmp_path / "ca.pem").read_bytes()) as after:
                assert (await after.get("/after")).status == 200
            assert (await before.get("/before")).status == 200

    run(main())


def test_what_is_not_done_in_time_is_cut_short(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house, visit(house.port) as visitor:
            stream = visitor.ask("/wait")
            await house.desk.started.wait()
            await house.listener.drain(0.1)
            await visitor.until(lambda: visitor.closed)
            assert not (await visitor.answer(stream)).status
            assert house.desk.cancelled == ["/wait"]
            await house.until_empty()

    run(main())


def test_what_there_is_and_was_is_counted(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic() as house:
            async with visit(house.port) as visitor:
                await visitor.get("/a")
                stats = house.listener.stats()
                assert (stats["connections"], stats["handshakes"], stats["refused"]) == (1, 1, 0)
                for way in ("received", "sent"):
                    assert stats[f"{way}_datagrams"] >= 2
                    assert stats[f"{way}_bytes"] > 1200
            await house.until_empty()
            while house.listener.stats()["connections"]:
                await asyncio.sleep(0.005)

    run(main())


def test_an_address_of_ipv4_is_one_on_a_socket_of_both_families(run: Run, quic: Any) -> None:
    async def main() -> None:
        async with quic(host="") as house, visit(house.port) as visitor:
            assert (await visitor.get("/a")).status == 200
            assert house.desk.addresses == ["127.0.0.1"]

    run(main())
