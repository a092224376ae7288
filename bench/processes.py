"""The processes of a run: the load generator, the peers, and what they are told."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / "peers"
LINE_BYTES = 1 << 20


class BenchError(Exception):
    """The run cannot go on; says why in a sentence."""


class Latency(msgspec.Struct):
    """Milliseconds."""

    p50: float
    p99: float
    max: float


class Report(msgspec.Struct):
    """What the generator saw while it carried out an order; see `bench/loadgen/src/orders.rs`."""

    seconds: float
    links: int
    published: int
    acked: int
    refused: int
    failed: int
    deliveries: int
    expected: int
    lost: int
    repeated: int
    disordered: int
    events: int
    ack_ms: Latency
    delivery_ms: Latency
    sample: str
    troubles: dict[str, int]

    def wrong(self) -> dict[str, int]:
        """What must be zero, where it is not."""
        counts = {"lost": self.lost, "repeated": self.repeated, "disordered": self.disordered, "failed": self.failed}
        return {name: count for name, count in counts.items() if count}


def troubles(reports: Iterable[Report]) -> dict[str, int]:
    """Those of all reports, by what they were."""
    together: Counter[str] = Counter()
    for report in reports:
        together.update(report.troubles)
    return dict(together)


class Child:
    """A process that is told lines and answers lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> str:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise BenchError(f"process {self.pid} ended with status {await self._process.wait()}")
        return line.decode().rstrip("\n")

    async def leave(self, patience: float) -> None:
        """Close its standard input, by which it knows that it is to end, and wait until it has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), patience)

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def child(*command: str) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES
    )
    started = Child(process)
    try:
        yield started
    finally:
        await started.end()


class Loadgen:
    """The generator. Every method waits until the order is carried out, and raises BenchError when it cannot be."""

    def __init__(self, process: Child) -> None:
        self._process = process
        self.pid = process.pid

    async def order(self, do: str, **members: Any) -> Report:
        await self._process.tell(json.dumps({"do": do, **members}))
        return await self._until("done")

    async def publish(
        self, begun: Callable[[], None], measured: Callable[[], None], **members: Any
    ) -> tuple[Report, Report]:
        """What was measured and what all came to; `begun` and `measured` are called at the ends of the window."""
        await self._process.tell(json.dumps({"do": "publish", **members}))
        await self._until("begun")
        begun()
        window = await self._until("measured")
        measured()
        return window, await self._until("done")

    async def _until(self, at: str) -> Report:
        answer = json.loads(await self._process.answer())
        if answer["at"] == "failed":
            raise BenchError(f"the generator: {answer['reason']}")
        if answer["at"] != at:
            raise BenchError(f"the generator said {answer['at']} instead of {at}")
        return _NOTHING if at == "begun" else msgspec.convert(answer, Report)


_NOTHING = Report(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, Latency(0, 0, 0), Latency(0, 0, 0), "", {})


async def built(command: list[str], what: str, environment: Mapping[str, str] | None = None) -> bytes:
    """Standard output of a build; its messages are shown when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    out, messages = await process.communicate()
    if process.returncode != 0:
        raise BenchError(f"{what} cannot be built:\n{messages.decode(errors='replace')[-4000:]}")
    return out


async def build_loadgen(*, optimised: bool) -> str:
    """Path of the generator's program."""
    if shutil.which("cargo") is None:
        raise BenchError("cargo is missing: the generator is written in Rust")
    command = ["cargo", "build", "--locked", "--workspace", "--bin", "chiron-loadgen", "--message-format=json"]
    out = await built([*command, *(["--release"] if optimised else [])], "the generator")
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            return str(message["executable"])
    raise BenchError("cargo names no program")


async def build_send_loop(folder: Path) -> str:
    """Path of the C loop."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchError("cc is missing: the floor of a fan-out is a C program")
    target = folder / "send"
    await built([compiler, "-O2", "-o", str(target), str(PEERS / "send.c")], "the C loop")
    return str(target)


class Sender:
    """A peer that sends one frame to many sockets, in a rhythm."""

    def __init__(self, process: Child, port: int) -> None:
        self._process = process
        self.pid = process.pid
        self.port = port

    async def send(self, messages: int, each: int, per_second: float) -> None:
        """`messages` times to the next `each` connections."""
        await self._process.tell(f"{messages} {each} {per_second}")
        answer = await self._process.answer()
        if answer != "done":
            raise BenchError(f"a peer said {answer!r}")


@asynccontextmanager
async def sender(*command: str) -> AsyncIterator[Sender]:
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(child(*command))
        yield Sender(process, int(await process.answer()))


def python(peer: str) -> list[str]:
    """Command of a peer in Python."""
    return [sys.executable, str(PEERS / peer)]
