"""What the load generator says of a server that loses, repeats and disorders: the server is scripted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aioquic_server
import pytest
from quic_path import Pair
from scripted import Peer, Realtime

from chiron.server.edge import certificates

ROOT = Path(__file__).resolve().parents[2]
CHANNEL = "conv:0193a000-0000-7000-8000-000000000001"
NUMBER = 9


class Generator:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def order(self, do: str, **members: Any) -> dict[str, Any]:
        """The last answer to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **members}).encode() + b"\n")
        async with asyncio.timeout(60):
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer

    async def left(self) -> None:
        """Nobody gives orders any more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(20):
            assert await self._process.wait() == 0

    async def open(self, realtime: Realtime, links: int) -> list[Peer]:
        """The server's ends of links that have attached `CHANNEL`, whose head is 40."""
        address = f"127.0.0.1:{realtime.port}"
        wanted = [{"token": f"token {number}", "channels": [CHANNEL], "attach": True} for number in range(links)]
        opening = asyncio.create_task(self.order("open", group="links", address=address, links=wanted, at_once=1))
        peers = []
        for number in range(links):
            peer = await realtime.link()
            assert (await peer.welcome())["token"] == f"token {number}"
            attach = await peer.receive("attach")
            assert attach["channel"] == CHANNEL
            await peer.send(
                "attached",
                id=attach["id"],
                channel=CHANNEL,
                number=NUMBER,
                gen=1,
                outcome="complete",
                epoch="e",
                head=40,
            )
            peers.append(peer)
        assert (await opening)["at"] == "done"
        return peers

    async def fan_out(self, messages: int, patience: float) -> dict[str, Any]:
        return await self.order(
            "fanout",
            group="links",
            channel=0,
            messages=messages,
            burst=1,
            per_second=1000.0,
            text_bytes=128,
            patience=patience,
        )


@pytest.fixture(scope="module")
async def program() -> str:
    """The generator, built as `cargo test` builds it."""
    process = await asyncio.create_subprocess_exec(
        *("cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "chiron-loadgen", "--message-format=json"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found = [message["executable"] for line in out.splitlines() if (message := json.loads(line)).get("executable")]
    return str(found[0])


@pytest.fixture
async def generator(program: str) -> AsyncIterator[Generator]:
    process = await asyncio.create_subprocess_exec(
        program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    yield Generator(process)
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture
async def realtime() -> AsyncIterator[Realtime]:
    server = Realtime()
    await server.open()
    yield server
    await server.close()


async def deliver(peer: Peer, offset: int, publish: dict[str, Any]) -> None:
    await peer.send("delivery", number=NUMBER, offset=offset, kind="text", body=publish["body"])


async def test_a_server_without_fault_is_given_none(generator: Generator, realtime: Realtime) -> None:
    author, reader = await generator.open(realtime, 2)
    running = asyncio.create_task(generator.fan_out(2, patience=20))
    first, second = await author.receive("publish"), await reader.receive("publish")
    assert first["channel"] == CHANNEL
    assert len(first["body"]["text"]) == 128
    await deliver(author, 42, second)
    await deliver(reader, 41, first)
    await author.ack(first, 41)
    await reader.ack(second, 42)
    report = await running
    assert (report["at"], report["acked"], report["deliveries"], report["expected"]) == ("done", 2, 2, 2)
    assert (report["lost"], report["repeated"], report["disordered"], report["troubles"]) == (0, 0, 0, {})
    assert report["delivery_ms"]["max"] > 0
    assert json.loads(report["sample"])["offset"] == 42


async def test_a_gap_is_a_loss(generator: Generator, realtime: Realtime) -> None:
    author, reader = await generator.open(realtime, 2)
    running = asyncio.create_task(generator.fan_out(2, patience=1.0))
    first = await author.receive("publish")
    await author.ack(first, 41)
    second = await reader.receive("publish")
    await reader.ack(second, 42)
    await deliver(author, 42, second)
    # Offset 41 never comes to the reader, whose own 42 stands behind it.
    report = await running
    assert (report["acked"], report["deliveries"], report["expected"]) == (2, 1, 2)
    assert (report["lost"], report["repeated"], report["disordered"]) == (1, 0, 0)


async def test_an_offset_that_no_publish_got_is_a_loss(generator: Generator, realtime: Realtime) -> None:
    author, reader = await generator.open(realtime, 2)
    running = asyncio.create_task(generator.fan_out(2, patience=20))
    first = await author.receive("publish")
    await author.ack(first, 41)
    await deliver(reader, 41, first)
    second = await reader.receive("publish")
    await deliver(author, 43, second)
    await reader.ack(second, 43)
    report = await running
    # Once for the row of acks, and for each of two links that were told nothing of 42.
    assert (report["lost"], report["repeated"], report["disordered"]) == (3, 0, 0)


async def test_repeats_and_disorder_are_counted(generator: Generator, realtime: Realtime) -> None:
    author, reader = await generator.open(realtime, 2)
    running = asyncio.create_task(generator.fan_out(4, patience=1.0))
    publishes = [
        await author.receive("publish"),
        await reader.receive("publish"),
        await author.receive("publish"),
        await reader.receive("publish"),
    ]
    for peer, publish, offset in zip((author, reader, author, reader), publishes, (41, 42, 43, 44), strict=True):
        await peer.ack(publish, offset)
    await deliver(author, 42, publishes[1])
    await deliver(author, 42, publishes[1])
    await deliver(author, 44, publishes[3])
    await deliver(reader, 43, publishes[2])
    await deliver(reader, 41, publishes[0])
    report = await running
    assert (report["lost"], report["repeated"], report["disordered"]) == (0, 1, 1), report


async def test_a_link_that_cannot_be_opened_is_told(generator: Generator, realtime: Realtime) -> None:
    realtime.refusals = [(429, {})]
    address = f"127.0.0.1:{realtime.port}"
    links = [{"token": "t", "channels": [CHANNEL], "attach": True}]
    answer = await generator.order("open", group="links", address=address, links=links, at_once=1)
    assert answer["at"] == "failed"
    assert "429" in answer["reason"]


async def test_an_order_that_is_none_is_told(generator: Generator) -> None:
    answer = await generator.order("dance")
    assert answer["at"] == "failed"
    assert "not an order" in answer["reason"]


async def test_only_those_ask_whose_turn_it_is(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[bytes] = Counter()
    hear = aioquic_server.Echo._on_event

    def counting(self: aioquic_server.Echo, event: Any) -> None:
        asked[dict(event.headers)[b":path"]] += 1
        hear(self, event)

    monkeypatch.setattr(aioquic_server.Echo, "_on_event", counting)
    process = await asyncio.create_subprocess_exec(
        *(program, "quic"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    generator, certificate = Generator(process), certificates.development(tmp_path, datetime.now(UTC))
    async with aioquic_server.echoing(Pair(certificate.chain, certificate.key), tmp_path) as port:
        at = {"address": f"127.0.0.1:{port}", "authority": str(tmp_path / "ca.pem"), "name": "localhost"}
        for group in ("a", "b"):
            await generator.order("open", group=group, at=at, connections=2, at_once=2)
        for group in ("a", "b", "a", "b"):
            ordered = {"path": f"/{group}", "token": None, "streams": 3, "requests": 40, "body_bytes": 2}
            report = await generator.order("get", group=group, **ordered)
            assert (report["done"], report["lost"]) == (40, 0)
        await generator.left()
    assert asked == {b"/a": 80, b"/b": 80}


async def test_it_ends_with_whoever_gives_the_orders(generator: Generator) -> None:
    await generator.order("close", group="nobody")
    await generator.left()
