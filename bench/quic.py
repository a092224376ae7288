"""QUIC: what requests, handshakes, downloads and pushes over HTTP/3 cost the server, beside bare aioquic on uvloop.

The server is Chiron embedded in a program with two routes of its own: router, limits, token check and links are what
every client gets. The peers are aioquic's own asyncio server and, for what an ASGI server does, hypercorn, which have
none of these.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import msgspec
import psutil

from bench.community import Community
from bench.measure import Cores, Spread, cpu_seconds, resident_bytes
from bench.processes import BenchError, Child, Latency, child, python
from bench.progress import say
from bench.stage import real_folder
from chiron.db.embedded import running_dsn

LARGE_MIB = 20
TEXT_BYTES = 128
BURST = 8
NAME = "localhost"
"""What the certificate is for: that of TLS, which clients get that name a server."""
START = 120.0


@dataclass(frozen=True, slots=True)
class Size:
    rounds: int
    requests: int
    handshakes: int
    links: int
    idle_links: int
    """More of them, which are weighed."""
    messages: int
    per_second: float


FULL = Size(rounds=3, requests=4_000, handshakes=150, links=100, idle_links=200, messages=96, per_second=48)
QUICK = Size(rounds=1, requests=200, handshakes=10, links=10, idle_links=10, messages=16, per_second=32)


class Report(msgspec.Struct):
    """What the generator saw while it carried out an order; see `bench/loadgen/src/quic/orders.rs`."""

    seconds: float
    done: int
    bytes: int
    records: int
    datagrams: int
    events: int
    others: int
    expected: int
    lost: int
    disordered: int
    latency_ms: Latency
    sample: str
    troubles: dict[str, int]


class Link(TypedDict):
    """One that is to be opened; without a token it only listens."""

    token: str | None
    channel: str


class Row(msgspec.Struct):
    what: str
    unit: str
    cpu: Spread
    """Of the server, a unit."""
    bare: Spread
    """Of aioquic's own server."""
    times: float
    """Median of aioquic's in ours."""
    hypercorn: Spread | None
    """Of hypercorn; None for what an ASGI server has no part in."""
    wanted: float
    latency_ms: Latency
    """Ours."""
    expected: int
    """Deliveries of all rounds; for requests and handshakes what was asked for."""
    came: int
    disordered: int
    troubles: dict[str, int]


class Result(msgspec.Struct):
    rows: list[Row]
    idle_links: int
    kib_per_link: float
    bare_kib_per_link: float


class Fleet:
    """The generator of HTTP/3. Raises BenchError when an order cannot be carried out."""

    def __init__(self, process: Child) -> None:
        self._process = process

    async def order(self, do: str, **members: Any) -> Report:
        await self._process.tell(json.dumps({"do": do, **members}))
        answer = json.loads(await self._process.answer())
        if answer["at"] == "failed":
            raise BenchError(f"the generator: {do}: {answer['reason']}")
        return msgspec.convert(answer, Report)


@dataclass(slots=True)
class Side:
    """A server that is measured, and what it is asked."""

    name: str
    process: Child
    at: dict[str, str]
    small: str
    large: str
    token: str | None

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`units` of a report, by which the CPU is divided, each `scale` times that in seconds."""

    what: str
    unit: str
    scale: float
    wanted: float
    chiron: Callable[[], Awaitable[Report]]
    bare: Callable[[Report], Awaitable[Report]]
    """Is given what Chiron's turn came to."""
    hypercorn: Callable[[], Awaitable[Report]] | None
    units: Callable[[Report], float]
    expected: Callable[[Report], int]


async def run(size: Size, cores: Cores, program: str) -> Result:
    async with contextlib.AsyncExitStack() as stack:
        fleet = Fleet(await stack.enter_async_context(child(program, "quic")))
        folder = real_folder()
        stack.callback(shutil.rmtree, folder)
        say("QUIC: starting the servers")
        chiron, talking, idle = await _chiron(stack, cores, folder, size)
        bare, hypercorn = [await _peer(stack, cores, folder, chiron, name) for name in ("bare", "hypercorn")]
        sides = (chiron, bare, hypercorn)
        result = Result([], size.idle_links, 0.0, 0.0)
        for connections, streams, wanted in ((8, 8, 2.0), (32, 1, 3.0)):
            scenario = _requests(fleet, sides, connections, streams, size.requests, wanted)
            for side in sides:
                await fleet.order("open", group=side.name, at=side.at, connections=connections, at_once=8)
            result.rows.append(await _measure(scenario, size, *sides))
            if streams == 1:
                result.rows.append(await _measure(_download(fleet, sides), size, *sides))
            for side in sides:
                await fleet.order("close", group=side.name)
        result.rows.append(await _measure(_handshakes(fleet, sides, size.handshakes), size, *sides))
        await _open_links(fleet, chiron, bare, talking, idle, result)
        for beside in (False, True):
            for together in (1, BURST):
                scenario = _pushes(fleet, bare, size, together, beside=beside)
                result.rows.append(await _measure(scenario, size, *sides))
    return result


async def _measure(scenario: Scenario, size: Size, chiron: Side, bare: Side, hypercorn: Side) -> Row:
    """All in turn, once to warm up and then `size.rounds` times."""
    say(f"QUIC: {scenario.what}")
    ours: list[float] = []
    theirs: list[float] = []
    others: list[float] = []
    reports: list[Report] = []

    async def cost(side: Side, asking: Awaitable[Report]) -> tuple[Report, float]:
        began = side.cpu()
        report = await asking
        return report, (side.cpu() - began) / scenario.units(report) * scenario.scale

    for turn in range(size.rounds + 1):
        report, mine = await cost(chiron, scenario.chiron())
        _, its = await cost(bare, scenario.bare(report))
        other = (await cost(hypercorn, scenario.hypercorn()))[1] if scenario.hypercorn is not None else None
        if turn:
            ours.append(mine)
            theirs.append(its)
            reports.append(report)
            if other is not None:
                others.append(other)
            beside = "" if other is None else f"; hypercorn {other:.2f}"
            say(f"  {mine:.2f} {scenario.unit}; aioquic {its:.2f}{beside}")
    troubles: dict[str, int] = {}
    for report in reports:
        for trouble, count in report.troubles.items():
            troubles[trouble] = troubles.get(trouble, 0) + count
    return Row(
        what=scenario.what,
        unit=scenario.unit,
        cpu=Spread.of(ours),
        bare=Spread.of(theirs),
        times=Spread.of(theirs).median / Spread.of(ours).median,
        hypercorn=Spread.of(others) if others else None,
        wanted=scenario.wanted,
        latency_ms=max((report.latency_ms for report in reports), key=lambda latency: latency.p99),
        expected=sum(scenario.expected(report) for report in reports),
        came=sum(round(scenario.units(report)) for report in reports),
        disordered=sum(report.disordered for report in reports),
        troubles=troubles,
    )


# --- scenarios --------------------------------------------------------------------------------------------------------


Sides: TypeAlias = tuple[Side, Side, Side]
"""Chiron, aioquic, hypercorn."""


def _requests(fleet: Fleet, sides: Sides, connections: int, streams: int, requests: int, wanted: float) -> Scenario:
    chiron, bare, hypercorn = sides

    async def ask(side: Side) -> Report:
        members = {"path": side.small, "token": side.token, "body_bytes": 100}
        return await fleet.order("get", group=side.name, streams=streams, requests=requests, **members)

    return Scenario(
        what=f"GET of 100 B, {connections} connections x {streams}",
        unit="us a request",
        scale=1e6,
        wanted=wanted,
        chiron=lambda: ask(chiron),
        bare=lambda _: ask(bare),
        hypercorn=lambda: ask(hypercorn),
        units=lambda report: report.done,
        expected=lambda _: requests,
    )


def _download(fleet: Fleet, sides: Sides) -> Scenario:
    chiron, bare, hypercorn = sides

    async def ask(side: Side) -> Report:
        members = {"path": side.large, "token": None, "body_bytes": LARGE_MIB << 20}
        return await fleet.order("get", group=side.name, streams=1, requests=1, **members)

    return Scenario(
        what=f"download of {LARGE_MIB} MiB",
        unit="ms a MiB",
        scale=1e3,
        wanted=8.0,
        chiron=lambda: ask(chiron),
        bare=lambda _: ask(bare),
        hypercorn=lambda: ask(hypercorn),
        units=lambda report: report.bytes / (1 << 20),
        expected=lambda _: LARGE_MIB,
    )


def _handshakes(fleet: Fleet, sides: Sides, count: int) -> Scenario:
    chiron, bare, hypercorn = sides

    async def shake(side: Side) -> Report:
        return await fleet.order("handshakes", at=side.at, connections=count, at_once=4)

    return Scenario(
        what="handshake",
        unit="us each",
        scale=1e6,
        wanted=3.0,
        chiron=lambda: shake(chiron),
        bare=lambda _: shake(bare),
        hypercorn=lambda: shake(hypercorn),
        units=lambda report: report.done,
        expected=lambda _: count,
    )


def _pushes(fleet: Fleet, bare: Side, size: Size, together: int, *, beside: bool) -> Scenario:
    """Records are texts that one link publishes; datagrams are watermarks that one link raises, or several."""
    rhythm = {"group": "chiron", "burst": together, "per_second": size.per_second}

    async def ours() -> Report:
        if beside:
            return await fleet.order("mark", marks=size.messages, **rhythm)
        return await fleet.order("publish", messages=size.messages, text_bytes=TEXT_BYTES, **rhythm)

    async def theirs(report: Report) -> Report:
        order = {"messages": size.messages, "together": together, "per_second": size.per_second}
        await bare.process.tell(json.dumps({**order, "beside": beside, "text": report.sample}))
        count = size.messages * size.links
        heard = await fleet.order("hear", records=0 if beside else count, datagrams=count if beside else 0)
        if (said := await bare.process.answer()) != "done":
            raise BenchError(f"aioquic's server said {said!r}")
        return heard

    return Scenario(
        what=f"push by {'datagram' if beside else 'stream'} to {size.links} links, {together} at a time",
        unit="us a delivery",
        scale=1e6,
        wanted=4.0,
        chiron=ours,
        bare=theirs,
        hypercorn=None,
        units=lambda report: report.datagrams + report.events if beside else report.records,
        expected=lambda report: report.expected,
    )


# --- servers ----------------------------------------------------------------------------------------------------------


async def _chiron(
    stack: contextlib.AsyncExitStack, cores: Cores, folder: Path, size: Size
) -> tuple[Side, list[Link], list[Link]]:
    """The server, the links that are to talk on it, and those that are to be weighed."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    process = await stack.enter_async_context(_ending(child(*python("embedded.py"), str(data))))
    port = await asyncio.wait_for(process.answer(), START)
    cores.pin([process.pid], cores.measured)
    postgres = int((data / "postgresql/cluster/postmaster.pid").read_text().splitlines()[0])
    cores.pin([postgres, *(each.pid for each in psutil.Process(postgres).children())], cores.load)
    dsn = running_dsn(data)
    assert dsn is not None
    community = await Community.on(data, dsn)
    stack.push_async_callback(community.close)
    people = await community.people(size.links + size.idle_links)
    # Members of larger rooms are not told of watermarks.
    room = await community.room(people[: size.links])
    rooms = await community.rooms(people[size.links :], 10)
    await community.settle()
    talking = [Link(token=person.token, channel=room) for person in people[: size.links]]
    idle = [
        Link(token=person.token, channel=channel) for person, channel in zip(people[size.links :], rooms, strict=True)
    ]
    at = {"address": f"127.0.0.1:{port}", "authority": str(data / "tls" / "ca.pem"), "name": NAME}
    return Side("chiron", process, at, "/small", "/large", people[0].token), talking, idle


async def _peer(stack: contextlib.AsyncExitStack, cores: Cores, folder: Path, chiron: Side, name: str) -> Side:
    tls = folder / "data" / "tls"
    program = {"bare": "bare_aioquic.py", "hypercorn": "hypercorn_app.py"}[name]
    process = await stack.enter_async_context(child(*python(program), str(tls / "leaf.pem"), str(tls / "leaf.key")))
    port = await process.answer()
    cores.pin([process.pid], cores.measured)
    return Side(name, process, {**chiron.at, "address": f"127.0.0.1:{port}"}, "/small", "/large", None)


@contextlib.asynccontextmanager
async def _ending(started: contextlib.AbstractAsyncContextManager[Child]) -> AsyncIterator[Child]:
    """Lets a server stop its database before it is killed."""
    async with started as process:
        try:
            yield process
        finally:
            await process.leave(START)


async def _open_links(
    fleet: Fleet, chiron: Side, bare: Side, talking: list[Link], idle: list[Link], result: Result
) -> None:
    """Links that talk and stay, and others that are weighed and go."""
    silent = Link(token=None, channel="")
    path = {"path": "/v1/realtime", "at_once": 16}
    say(f"QUIC: {len(talking)} links over WebTransport, and {len(idle)} idle ones")
    await fleet.order("sessions", group="chiron", at=chiron.at, links=talking, **path)
    await fleet.order("sessions", group="bare", at=bare.at, links=[silent] * len(talking), **path)
    kib = []
    for side, links in ((chiron, idle), (bare, [silent] * len(idle))):
        before = resident_bytes(side.process.pid)
        await fleet.order("sessions", group=f"{side.name} idle", at=side.at, links=links, **path)
        kib.append((resident_bytes(side.process.pid) - before) / 1024 / len(idle))
        await fleet.order("close", group=f"{side.name} idle")
    result.kib_per_link, result.bare_kib_per_link = kib
    say(f"  {kib[0]:.1f} KiB a link; aioquic {kib[1]:.1f}")
