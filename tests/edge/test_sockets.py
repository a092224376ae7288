"""Crowds, slow readers and vanishing ones on real sockets; what they leave behind is nothing."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chiron import _core
from chiron.protocols import http1
from chiron.server.edge.service import EdgeLimits

Run = Callable[[Coroutine[Any, Any, None]], None]
CROWD = Path(__file__).with_name("crowd.py")
MANY = 5000


@pytest.fixture(autouse=True)
def _many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


class Crowd:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, word: str) -> None:
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == word.encode() + b"\n"

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    def kill(self) -> None:
        self._process.kill()


@asynccontextmanager
async def crowd(port: int, count: int, kind: str) -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CROWD), str(port), str(count), kind,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Crowd(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(("kind", "count"), [("plain", MANY), ("tls", 500)])
@pytest.mark.parametrize("end", ["leaves", "dies"])
def test_a_crowd_is_served_and_nothing_of_it_stays(run: Run, edge: Any, kind: str, count: int, end: str) -> None:
    async def main() -> None:
        async with edge(secure=kind == "tls") as house:
            before = descriptors()
            async with crowd(house.port, count, kind) as clients:
                await clients.says("ready")
                assert house.listener.connections == len(house.links.open) == count
                ping = _core.Frame.ping()
                for link in house.links.open:
                    house.hub.send_frame(link, ping)
                house.engine.wake()
                clients.go_on()
                await clients.says("heard")
                if end == "leaves":
                    clients.go_on()
                    await clients.says("done")
                else:
                    clients.kill()
                await house.links.until(lambda: len(house.links.gone) == count)
            await house.until_empty()
            assert descriptors() <= before

    run(main())


def test_slow_and_vanishing_readers_harm_nobody(run: Run, edge: Any) -> None:
    """A third of the clients never reads what is sent to it: the others get theirs, and its bytes stay in the hub."""

    async def main() -> None:
        async with edge(mode="message") as house:
            async with crowd(house.port, 300, "mixed") as clients:
                await clients.says("ready")
                for link in house.links.open:
                    house.hub.send_message(link, bytes(400_000), False)
                house.engine.wake()
                clients.go_on()
                await clients.says("heard")
                waiting = [link for link in house.links.open if house.hub.queued(link)]
                assert len(waiting) == 100
                # The kernel and the transport hold little of it: whatever waits can still be dropped or conflated.
                assert all(house.hub.queued(link) > 200_000 for link in waiting)
                assert house.hub.dirty is False
                clients.go_on()
                await clients.says("done")
                await house.links.until(lambda: len(house.links.gone) == 300)
            await house.until_empty()

    run(main())


def test_an_idle_crowd_costs_no_time(run: Run, edge: Any) -> None:
    """5,000 links and their timers: the process sleeps. (It takes a stretch of time to see that nothing happens.)"""
    limits = EdgeLimits(http=http1.Limits(head_seconds=30.0))

    async def main() -> None:
        async with edge(limits=limits) as house:
            async with crowd(house.port, MANY, "plain") as clients:
                await clients.says("ready")
                silent = [await house.connect() for _ in range(20)]
                used = time.process_time()
                await asyncio.sleep(1.0)
                assert time.process_time() - used < 0.1
                clients.kill()
                for _, writer in silent:
                    writer.transport.abort()
                await house.links.until(lambda: len(house.links.gone) == MANY)
            await house.until_empty()

    run(main())


def test_descriptors_that_run_out_are_counted_before_they_do(run: Run, edge: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 400, hard))

    async def main() -> None:
        async with edge() as house:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            async with crowd(house.port, 100, "plain") as clients:
                await clients.says("ready")
                together = asyncio.Barrier(150)
                async with asyncio.TaskGroup() as group:
                    asked = [group.create_task(ask(house, together)) for _ in range(150)]
                answers = [task.result() for task in asked]
                assert answers.count(200) > 0
                assert answers.count(503) > 0
                assert set(answers) == {200, 503}
                clients.kill()
                await house.links.until(lambda: len(house.links.gone) == 100)
            await house.until_empty()

    async def ask(house: Any, together: asyncio.Barrier) -> int:
        """Stays until all have been answered, so that they are there at once."""
        async with house.client() as client:
            client.get("/a")
            status, _, _ = await client.response()
            await together.wait()
            return int(status)

    run(main())


@pytest.mark.parametrize("letter", ["k", "K"], ids=["update", "update_requested"])
def test_rfc8446_4_6_3_key_updates_between_requests(run: Run, edge: Any, letter: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to send a KeyUpdate")

    async def main() -> None:
        async with edge(secure=True) as house:
            process = await asyncio.create_subprocess_exec(
                openssl, "s_client", "-connect", f"127.0.0.1:{house.port}", "-tls1_3",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                for n in range(3):
                    process.stdin.write(f"GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                    await process.stdout.readuntil(b"HTTP/1.1 200 OK\r\n")
                    await process.stdout.readuntil(f"\r\n\r\n/{n}".encode())
                    process.stdin.write(letter.encode() + b"\n")
                    await process.stderr.readuntil(b"KEYUPDATE")
            finally:
                process.kill()
                await process.wait()
            await house.until_empty()
            assert len(house.desk.seen) == 3

    run(main())
