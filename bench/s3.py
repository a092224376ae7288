"""S3, durable publish: acknowledged messages a second, beside a bare loop of grouped inserts.

64 and 1,000 links in rooms of ten, 16 publishes of each in flight, 128 bytes of text; every ack follows a COMMIT that
is on disk. Nothing is attached, so nothing is delivered. The bare loop inserts batches of the sizes that the server's
committer has just made, on the same database.

Then what scoring costs: the same publishes in direct conversations of two, of a server that scores each text and of one
that does not, in turn.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass

import msgspec

from bench.measure import Cores, Spread, cpu_seconds, family_cpu_seconds
from bench.processes import BenchError, Child, Latency, Loadgen, Report, child, python, troubles
from bench.progress import say
from bench.stage import Stage, stage

TEXT_BYTES = 128
ROOM = 10
IN_FLIGHT = 16
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Size:
    links: tuple[int, ...]
    rounds: int
    seconds: float
    warm_seconds: float


FULL = Size(links=(64, 1000), rounds=3, seconds=6.0, warm_seconds=2.0)
QUICK = Size(links=(8,), rounds=1, seconds=0.5, warm_seconds=0.2)


class Row(msgspec.Struct):
    links: int
    acked_per_second: Spread
    bare_per_second: Spread
    of_bare: float
    """Median of ours as a share of the bare loop's."""
    batch_rows: float
    """Mean rows of a transaction."""
    ack_ms: Latency
    """Of the measurement with the highest p99."""
    bare_p99_ms: Spread
    """Of a transaction of the bare loop."""
    cpu_us: Spread
    """Of the server's worker, an acked message."""
    bare_cpu_us: Spread
    postgres_us: Spread
    """Of all of PostgreSQL's processes, an acked message; on another core."""
    bare_postgres_us: Spread
    acked: int
    stored: int
    """Rows in the database; as many as were acked."""
    refused: int
    lost: int
    repeated: int
    disordered: int
    troubles: dict[str, int]


class Scoring(msgspec.Struct):
    """CPU of the worker, an acked message in a direct conversation, with `scoring` on and off."""

    links: int
    on_us: Spread
    off_us: Spread
    ratio: Spread
    """On by off, of each round."""
    acked: int
    lost: int
    repeated: int
    disordered: int


class Result(msgspec.Struct):
    rows: list[Row]
    scoring: Scoring | None = None


@dataclass(slots=True)
class _Window:
    """CPU at the ends of a measurement."""

    server: Stage
    worker: float = 0.0
    postgres: float = 0.0

    def mark(self) -> None:
        """Called at both ends: afterwards the fields hold the differences."""
        self.worker = cpu_seconds(self.server.worker) - self.worker
        self.postgres = family_cpu_seconds(self.server.postgres) - self.postgres


async def run(size: Size, cores: Cores, loadgen: Loadgen) -> Result:
    result = Result([])
    for links in size.links:
        async with stage(cores) as server:
            result.rows.append(await _links(links, size, cores, loadgen, server))
            await loadgen.order("close", group="links")
    result.scoring = await _scoring(size.links[0], size, cores, loadgen)
    return result


async def _scoring(count: int, size: Size, cores: Cores, loadgen: Loadgen) -> Scoring:
    say(f"S3: {count} links in direct conversations, scored and not")
    spent: dict[str, list[float]] = {"on": [], "off": []}
    wholes: list[Report] = []
    async with stage(cores) as on, stage(cores, "scoring = false\n") as off:
        for name, server in (("on", on), ("off", off)):
            people = await server.community.people(count)
            channels = await server.community.pairs(people)
            await server.community.settle()
            links = [
                {"token": person.token, "channels": [channel], "attach": False}
                for person, channel in zip(people, channels, strict=True)
            ]
            await loadgen.order("open", group=name, address=server.plain, links=links, at_once=64)
        for _ in range(size.rounds):
            for name, server in (("on", on), ("off", off)):
                report, whole, window = await _publish(size, loadgen, server, size.warm_seconds, group=name)
                spent[name].append(window.worker / report.acked * 1e6)
                wholes.append(whole)
            say(f"  {spent['on'][-1]:.1f} us a message scored, {spent['off'][-1]:.1f} us not")
        for name in spent:
            await loadgen.order("close", group=name)
    return Scoring(
        links=count,
        on_us=Spread.of(spent["on"]),
        off_us=Spread.of(spent["off"]),
        ratio=Spread.of([on / off for on, off in zip(spent["on"], spent["off"], strict=True)]),
        acked=sum(whole.acked for whole in wholes),
        lost=sum(whole.lost for whole in wholes),
        repeated=sum(whole.repeated for whole in wholes),
        disordered=sum(whole.disordered for whole in wholes),
    )


async def _links(count: int, size: Size, cores: Cores, loadgen: Loadgen, server: Stage) -> Row:
    say(f"S3: {count} links")
    people = await server.community.people(count)
    rooms = await server.community.rooms(people, ROOM)
    await server.community.settle()
    links = [
        {"token": person.token, "channels": [room], "attach": False} for person, room in zip(people, rooms, strict=True)
    ]
    await loadgen.order("open", group="links", address=server.plain, links=links, at_once=64)

    windows: list[tuple[Report, Report, _Window]] = []
    bare: list[dict[str, float]] = []
    bare_postgres: list[float] = []
    sizes: list[int] = []
    async with child(*python("grouped_insert.py"), server.dsn) as loop:
        cores.pin([loop.pid], cores.measured)
        await loop.answer()
        for number in range(size.rounds):
            before = await server.community.messages()
            windows.append(await _publish(size, loadgen, server, size.warm_seconds))
            sizes = await server.community.batches(before)
            if number == 0:
                await _insert(loop, sizes, size.warm_seconds)
            began = family_cpu_seconds(server.postgres)
            bare.append(await _insert(loop, sizes, size.seconds))
            bare_postgres.append((family_cpu_seconds(server.postgres) - began) / bare[-1]["rows"] * 1e6)
            report = windows[-1][0]
            ours, theirs = report.acked / report.seconds, bare[-1]["rows"] / bare[-1]["seconds"]
            say(f"  {ours:,.0f} acked/s, p99 {report.ack_ms.p99:.0f} ms; bare loop {theirs:,.0f} rows/s")
    acked = sum(whole.acked for _, whole, _ in windows)
    stored = await server.community.messages()
    if acked != stored:
        raise BenchError(f"{acked} messages were acked and {stored} are stored")
    per_second = Spread.of([report.acked / report.seconds for report, _, _ in windows])
    bare_per_second = Spread.of([one["rows"] / one["seconds"] for one in bare])
    return Row(
        links=count,
        acked_per_second=per_second,
        bare_per_second=bare_per_second,
        of_bare=per_second.median / bare_per_second.median,
        batch_rows=statistics.mean(sizes),
        ack_ms=max((report.ack_ms for report, _, _ in windows), key=lambda latency: latency.p99),
        bare_p99_ms=Spread.of([one["p99_ms"] for one in bare]),
        cpu_us=Spread.of([window.worker / report.acked * 1e6 for report, _, window in windows]),
        bare_cpu_us=Spread.of([one["cpu_seconds"] / one["rows"] * 1e6 for one in bare]),
        postgres_us=Spread.of([window.postgres / report.acked * 1e6 for report, _, window in windows]),
        bare_postgres_us=Spread.of(bare_postgres),
        acked=acked,
        stored=stored,
        refused=sum(whole.refused for _, whole, _ in windows),
        lost=sum(whole.lost for _, whole, _ in windows),
        repeated=sum(whole.repeated for _, whole, _ in windows),
        disordered=sum(whole.disordered for _, whole, _ in windows),
        troubles=troubles(whole for _, whole, _ in windows),
    )


async def _publish(
    size: Size, loadgen: Loadgen, server: Stage, warm: float, group: str = "links"
) -> tuple[Report, Report, _Window]:
    window = _Window(server)
    report, whole = await loadgen.publish(
        window.mark,
        window.mark,
        group=group,
        channel=0,
        in_flight=IN_FLIGHT,
        warm=warm,
        seconds=size.seconds,
        text_bytes=TEXT_BYTES,
        patience=PATIENCE,
    )
    return report, whole, window


async def _insert(loop: Child, sizes: list[int], seconds: float) -> dict[str, float]:
    await loop.tell(json.dumps({"seconds": seconds, "sizes": sizes}))
    result: dict[str, float] = json.loads(await loop.answer())
    return result
