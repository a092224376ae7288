"""Requests over HTTP/3, as clients meet the edge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from h3_visitor import visit

from chiron.protocols import http3

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
