"""A worker without a supervisor around it: the test holds the other end of its pipe."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chiron.server.config import WorkerConfig
from chiron.server.control import TO_SUPERVISOR, Channel, Drain, Start, Unready
from chiron.server.platform import keys
from chiron.server.worker import POISONED

DEADLINE = 60.0
WORKER = "from chiron.server.worker import main; main()"

PANIC = """
from chiron.server import app, worker

class Poisoned:
    def __init__(self, on_poisoned):
        self.on_poisoned = on_poisoned

    async def start(self, sockets, metrics_sockets, datagram_sockets):
        self.on_poisoned(RuntimeError("a panic in the extension"))

app.build = lambda config, on_poisoned: Poisoned(on_poisoned)
worker.main()
"""
"""The application says that its extension is poisoned, in the middle of something."""

BROKEN = """
from chiron.server import app, worker

def build(config, on_poisoned):
    raise RuntimeError("out of luck")

app.build = build
worker.main()
"""


def config() -> WorkerConfig:
    return WorkerConfig(
        database="postgresql://nobody@127.0.0.1:9/none", keys=keys.generate(), tls_chain=b"", tls_key=b""
    )


@asynccontextmanager
async def started(program: str = WORKER) -> AsyncIterator[tuple[asyncio.subprocess.Process, Channel]]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stderr=asyncio.subprocess.PIPE,
        )
    channel = await Channel.over(ours)
    try:
        yield process, channel
    finally:
        channel.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Exit status and what it logged."""
    async with asyncio.timeout(DEADLINE):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_worker_that_is_told_nothing_goes() -> None:
    async with started() as (process, channel):
        channel.close()
        assert await ended(process) == (0, "")


async def test_a_worker_that_waits_for_its_database_goes_when_told() -> None:
    async with started() as (process, channel):
        channel.send(Start(config()))
        channel.send(Drain(10.0))
        assert await ended(process) == (0, "")


async def test_a_panic_in_the_extension_ends_the_worker_at_once() -> None:
    async with started(PANIC) as (process, channel):
        channel.send(Start(config()))
        status, said = await ended(process)
        assert status == POISONED == 70
        line = json.loads(said.splitlines()[-1])
        assert (line["event"], line["level"]) == ("worker.poisoned", "critical")
        assert "a panic in the extension" in line["exception"]
        assert await channel.receive(TO_SUPERVISOR) is None


async def test_a_worker_that_cannot_start_says_why() -> None:
    async with started(BROKEN) as (process, channel):
        channel.send(Start(config()))
        assert await channel.receive(TO_SUPERVISOR) == Unready("out of luck")
        status, said = await ended(process)
        assert status == 1
        assert json.loads(said.splitlines()[-1])["event"] == "worker.unready"
