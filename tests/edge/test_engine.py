"""The flush: one write for each connection and turn, whatever happens to another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any

from structlog.testing import capture_logs

from chiron._core import Frame, Hub
from chiron.server.edge.engine import FLUSH_BATCH, FLUSH_SECONDS, Due, Engine

Run = Callable[[Coroutine[Any, Any, None]], None]


class Recorder:
    """`engine.Peer`: keeps what it is given to write."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.last = False
        self.aborted = False

    def received(self, events: Sequence[Any]) -> None: ...

    def write(self, data: bytes, last: bool) -> None:
        self.written.append(data)
        self.last = last

    def end(self, code: int, reason: str) -> None: ...

    def expired(self, due: Due, now: float) -> None: ...

    def abort(self) -> None:
        self.aborted = True


def started(**kwargs: Any) -> Engine:
    """An engine for which no time passes, unless `clock` is given."""
    buffer = bytearray(65_536)
    kwargs.setdefault("clock", lambda: 0.0)
    engine = Engine(Hub(buffer), buffer, **kwargs)
    engine.start()
    return engine


def peer(engine: Engine) -> tuple[int, Recorder]:
    connection, recorder = engine.hub.open(None, engine.now()), Recorder()
    engine.peers[connection] = recorder
    return connection, recorder


class Full:
    """An endpoint without room, and whoever is to be woken for it."""

    def __init__(self) -> None:
        self.woken = 0

    def send(self, connection: int, stream: int, data: bytes) -> bool:
        return False

    def wake(self) -> None:
        self.woken += 1


class Listed:
    """`engine.Routed`: counts what it is told."""

    def __init__(self) -> None:
        self.stalls = 0

    def stalled(self) -> None:
        self.stalls += 1

    def moved(self) -> None: ...


def routed(engine: Engine, endpoint: Any) -> tuple[int, Listed]:
    """A link on a stream of the endpoint, with something to send."""
    link, listed = engine.hub.open_link(engine.now()), Listed()
    engine.hub.route(link, endpoint, 1, 0, b"")
    engine.routed[link] = listed
    engine.sockets[endpoint] = endpoint
    engine.hub.bind(link, "p", engine.now(), rate=1, burst=1)
    engine.hub.send_frame(link, Frame.ping())
    return link, listed


async def turn() -> None:
    await asyncio.sleep(0)


def test_everything_of_a_turn_leaves_in_one_write_for_each_connection(run: Run) -> None:
    async def main() -> None:
        engine = started()
        peers = [peer(engine) for _ in range(200)]
        for part in (b"a", b"b", b"c"):
            for connection, _ in peers:
                engine.hub.send(connection, part)
                engine.wake()
        await turn()
        assert [recorder.written for _, recorder in peers] == [[b"abc"]] * 200

    run(main())


def test_a_flush_that_takes_long_goes_on_after_the_loop_has_read(run: Run) -> None:
    async def main() -> None:
        ticks = count(0.0, 2 * FLUSH_SECONDS)
        engine = started(clock=lambda: next(ticks))
        peers = [peer(engine) for _ in range(2 * FLUSH_BATCH + 1)]
        for connection, _ in peers:
            engine.hub.send(connection, b"a")
        engine.wake()
        written = []
        while engine.hub.dirty:
            await turn()
            written.append(sum(len(recorder.written) for _, recorder in peers))
        assert written == [FLUSH_BATCH, 2 * FLUSH_BATCH, 2 * FLUSH_BATCH + 1]

    run(main())


def test_a_link_whose_stream_is_full_is_told_so_and_the_socket_woken(run: Run) -> None:
    async def main() -> None:
        engine, endpoint = started(), Full()
        _, listed = routed(engine, endpoint)
        engine.wake()
        await turn()
        assert (listed.stalls, endpoint.woken) == (1, 1)

    run(main())


def test_a_link_that_is_gone_by_then_is_told_nothing(run: Run) -> None:
    async def main() -> None:
        engine, endpoint = started(), Full()
        connection, _ = peer(engine)
        link, listed = routed(engine, endpoint)

        class Ending(Recorder):
            def write(self, data: bytes, last: bool) -> None:
                engine.hub.close(link)
                del engine.routed[link]
                super().write(data, last)

        other, still_there = routed(engine, endpoint)
        engine.peers[connection] = ending = Ending()
        engine.hub.send(connection, b"a")
        engine.wake()
        with capture_logs() as logs:
            await turn()
        assert ending.written == [b"a"]
        assert (listed.stalls, still_there.stalls, logs) == (0, 1, [])
        assert engine.hub.queued(other) == 0

    run(main())


def test_what_was_queued_before_the_start_leaves_with_it(run: Run) -> None:
    async def main() -> None:
        buffer = bytearray(65_536)
        engine = Engine(Hub(buffer), buffer)
        connection, recorder = engine.hub.open(None, 0.0), Recorder()
        engine.peers[connection] = recorder
        engine.hub.send(connection, b"a")
        engine.wake()
        await turn()
        assert recorder.written == []
        engine.start()
        await turn()
        assert recorder.written == [b"a"]

    run(main())


def test_a_long_answer_does_not_keep_others_waiting(run: Run) -> None:
    async def main() -> None:
        engine = started()
        (long, first), (short, second) = peer(engine), peer(engine)
        order: list[str] = []
        first.write = lambda data, last: order.append("long")  # type: ignore[method-assign]
        second.write = lambda data, last: order.append("short")  # type: ignore[method-assign]
        engine.hub.send(long, bytes(200_000))
        engine.hub.send(short, b"x")
        engine.wake()
        while engine.hub.dirty:
            await turn()
        assert order.index("short") <= 1
        assert len(order) > 10

    run(main())


def test_a_paused_connection_keeps_its_bytes_and_nothing_spins(run: Run) -> None:
    async def main() -> None:
        engine = started()
        connection, recorder = peer(engine)
        engine.hub.pause(connection)
        engine.hub.send(connection, b"a")
        engine.wake()
        await turn()
        assert recorder.written == []
        assert not engine.hub.dirty
        engine.hub.resume(connection)
        engine.wake()
        await turn()
        assert recorder.written == [b"a"]

    run(main())


def test_finishing_marks_the_last_bytes(run: Run) -> None:
    async def main() -> None:
        engine = started()
        connection, recorder = peer(engine)
        engine.hub.send(connection, b"bye")
        engine.hub.finish(connection)
        engine.wake()
        await turn()
        assert (recorder.written, recorder.last) == ([b"bye"], True)

    run(main())


def test_an_exception_ends_the_connection_that_it_concerns(run: Run) -> None:
    async def main() -> None:
        poisoned: list[BaseException] = []
        engine = started(on_poisoned=poisoned.append)
        (_, one), (_, other) = peer(engine), peer(engine)
        with capture_logs() as lines:
            engine.failed(ValueError("x"), one)
        assert one.aborted
        assert not other.aborted
        assert not poisoned
        assert lines[0]["log_level"] == "error"

    run(main())
