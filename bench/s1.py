"""S1, fan-out: what a delivery costs the server, beside a C loop and `websockets.broadcast`.

1,000 links in one room and, the same ones, in 100 rooms of 10; 128 bytes of text; one message at a time, and bursts of
ten in one frame; every message committed to PostgreSQL before it is delivered. Over a plain connection and TLS.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.measure import Cores, Spread, cpu_seconds, family_cpu_seconds, resident_bytes
from bench.processes import BenchError, Latency, Loadgen, Report, Sender, python, sender, troubles
from bench.progress import say
from bench.stage import Stage, stage

TEXT_BYTES = 128
ROOM = 10
BURST = 10
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Size:
    links: int
    rounds: int
    seconds: float
    """Of each measurement."""
    warm_seconds: float
    deliveries_per_second: float
    """Of the whole server, one message at a time; of bursts of ten, two and a half times as many."""
    transports: tuple[str, ...] = ("plain", "TLS")


FULL = Size(links=1000, rounds=3, seconds=5.0, warm_seconds=2.0, deliveries_per_second=20_000)
QUICK = Size(links=40, rounds=1, seconds=0.5, warm_seconds=0.2, deliveries_per_second=4_000)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Who is sent how much at a time."""

    name: str
    channel: int
    """Of each link's: the large room, or the one of ten."""
    audience: int
    burst: int
    bursts_per_second: float


class Row(msgspec.Struct):
    transport: str
    pattern: str
    per_second: float
    """Deliveries a second that were asked for."""
    cpu_us: Spread
    """Of the server's worker, a delivery."""
    send_us: Spread
    """Of the C loop."""
    websockets_us: Spread
    """Of `websockets.broadcast`."""
    times_send: float
    """Median of ours in those of the C loop."""
    postgres_us: Spread
    """Of all of PostgreSQL's processes, a delivery; on another core."""
    ack_ms: Latency
    delivery_ms: Latency
    deliveries: int
    lost: int
    repeated: int
    disordered: int
    troubles: dict[str, int]


class Memory(msgspec.Struct):
    transport: str
    links: int
    kib_per_link: float


class Result(msgspec.Struct):
    rows: list[Row]
    memory: list[Memory]


def patterns(size: Size) -> list[Pattern]:
    made = []
    for channel, audience in ((0, size.links), (1, ROOM)):
        room = f"1 room of {audience}" if channel == 0 else f"{size.links // ROOM} rooms of {ROOM}"
        rate = size.deliveries_per_second / audience
        made.append(Pattern(f"{room}, 1 at a time", channel, audience, 1, rate))
        made.append(Pattern(f"{room}, {BURST} at a time", channel, audience, BURST, rate / 4))
    return made


async def run(size: Size, cores: Cores, loadgen: Loadgen, send_loop: str, folder: Path) -> Result:
    result = Result([], [])
    for transport in size.transports:
        async with stage(cores) as server:
            await _transport(transport, size, cores, loadgen, send_loop, folder, server, result)
            await loadgen.order("close", group="links")
    return result


async def _transport(
    transport: str,
    size: Size,
    cores: Cores,
    loadgen: Loadgen,
    send_loop: str,
    folder: Path,
    server: Stage,
    result: Result,
) -> None:
    say(f"S1 {transport}: {size.links} links")
    people = await server.community.people(size.links)
    everybody = await server.community.room(people)
    rooms = await server.community.rooms(people, ROOM)
    await server.community.settle()
    links = [
        {"token": person.token, "channels": [everybody, room], "attach": True}
        for person, room in zip(people, rooms, strict=True)
    ]
    result.memory.append(await open_links(transport, loadgen, server, links))
    for pattern in patterns(size):
        result.rows.append(await _pattern(transport, pattern, size, cores, loadgen, send_loop, folder, server))


async def open_links(transport: str, loadgen: Loadgen, server: Stage, links: list[dict[str, Any]]) -> Memory:
    """Open all links; the first few have the server load what it needs, the others are weighed."""
    where: dict[str, Any] = {"address": server.plain}
    if transport == "TLS":
        where = {"address": server.secure, "tls": {"authority": str(server.authority), "name": "localhost"}}
    few = max(1, len(links) // 20)
    await loadgen.order("open", group="links", links=links[:few], at_once=64, **where)
    before = resident_bytes(server.worker)
    await loadgen.order("open", group="links", links=links[few:], at_once=64, **where)
    kib = (resident_bytes(server.worker) - before) / 1024 / (len(links) - few)
    say(f"  {kib:.1f} KiB a link")
    return Memory(transport, len(links) - few, kib)


async def _pattern(
    transport: str,
    pattern: Pattern,
    size: Size,
    cores: Cores,
    loadgen: Loadgen,
    send_loop: str,
    folder: Path,
    server: Stage,
) -> Row:
    say(f"S1 {transport}: {pattern.name}")
    warm = await _fan_out(pattern, size.warm_seconds, loadgen)
    frame = await asyncio.to_thread(_write_frames, folder, warm.sample, pattern.burst)
    reports: list[Report] = []
    ours: list[float] = []
    postgres: list[float] = []
    floor: list[float] = []
    websockets: list[float] = []
    async with AsyncExitStack() as stack:
        c_loop = await _peer(stack, cores, loadgen, "send", [send_loop, str(frame), str(size.links)], size, False)
        command = [*python("websockets_broadcast.py"), str(frame.with_suffix(".txt")), str(pattern.burst)]
        broadcast = await _peer(stack, cores, loadgen, "websockets", command, size, True)
        frame_bytes = frame.stat().st_size
        for peer in (c_loop, broadcast):
            await _send(peer, pattern, size.warm_seconds, loadgen, frame_bytes)
        for _ in range(size.rounds):
            began, began_postgres = cpu_seconds(server.worker), family_cpu_seconds(server.postgres)
            report = await _fan_out(pattern, size.seconds, loadgen)
            ours.append((cpu_seconds(server.worker) - began) / report.deliveries * 1e6)
            postgres.append((family_cpu_seconds(server.postgres) - began_postgres) / report.deliveries * 1e6)
            reports.append(report)
            floor.append(await _send(c_loop, pattern, size.seconds, loadgen, frame_bytes))
            websockets.append(await _send(broadcast, pattern, size.seconds, loadgen, frame_bytes))
            say(f"  {ours[-1]:.2f} us a delivery; C loop {floor[-1]:.2f}, websockets {websockets[-1]:.2f}")
    for group in ("send", "websockets"):
        await loadgen.order("close", group=group)
    slowest = max(reports, key=lambda report: report.delivery_ms.p99)
    return Row(
        transport=transport,
        pattern=pattern.name,
        per_second=pattern.bursts_per_second * pattern.burst * (pattern.audience - 1),
        cpu_us=Spread.of(ours),
        send_us=Spread.of(floor),
        websockets_us=Spread.of(websockets),
        times_send=Spread.of(ours).median / Spread.of(floor).median,
        postgres_us=Spread.of(postgres),
        ack_ms=slowest.ack_ms,
        delivery_ms=slowest.delivery_ms,
        deliveries=sum(report.deliveries for report in reports),
        lost=sum(report.lost for report in reports),
        repeated=sum(report.repeated for report in reports),
        disordered=sum(report.disordered for report in reports),
        troubles=troubles(reports),
    )


async def _fan_out(pattern: Pattern, seconds: float, loadgen: Loadgen) -> Report:
    bursts = max(2, round(pattern.bursts_per_second * seconds))
    report = await loadgen.order(
        "fanout",
        group="links",
        channel=pattern.channel,
        messages=bursts * pattern.burst,
        burst=pattern.burst,
        per_second=pattern.bursts_per_second * pattern.burst,
        text_bytes=TEXT_BYTES,
        patience=PATIENCE,
    )
    if not report.deliveries or not report.sample:
        raise BenchError(f"nothing was delivered: {report.troubles}")
    return report


async def _peer(
    stack: AsyncExitStack,
    cores: Cores,
    loadgen: Loadgen,
    group: str,
    command: list[str],
    size: Size,
    websocket: bool,
) -> Sender:
    peer = await stack.enter_async_context(sender(*command))
    cores.pin([peer.pid], cores.measured)
    address = f"127.0.0.1:{peer.port}"
    await loadgen.order("sink", group=group, address=address, connections=size.links, websocket=websocket)
    return peer


async def _send(peer: Sender, pattern: Pattern, seconds: float, loadgen: Loadgen, frame_bytes: int) -> float:
    """Have a peer send what the server delivers in so many seconds; its CPU in microseconds a delivery."""
    bursts = max(2, round(pattern.bursts_per_second * seconds))
    # The server's sender gets an ack in the place of its delivery.
    each = pattern.audience - 1
    began = cpu_seconds(peer.pid)
    await peer.send(bursts, each, pattern.bursts_per_second)
    await loadgen.order("await", bytes=bursts * each * frame_bytes, patience=PATIENCE)
    return (cpu_seconds(peer.pid) - began) / (bursts * each * pattern.burst) * 1e6


def _write_frames(folder: Path, text: str, burst: int) -> Path:
    """What the server writes to one connection at a time, as a file for the C loop, and the text for the other."""
    payload = text.encode()
    assert 126 <= len(payload) <= 0xFFFF
    file = folder / f"frame-{burst}"
    file.write_bytes((b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload) * burst)
    file.with_suffix(".txt").write_text(text)
    return file
