"""`python -m bench`: runs scenarios, prints their tables, writes JSON and pictures."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import plot, quic, s1, s3, score, tables
from bench.measure import Cores, machine
from bench.processes import BenchError, Loadgen, build_loadgen, build_send_loop, child
from bench.progress import say

SCENARIOS = ("s1", "s3", "quic", "score")


class Run(msgspec.Struct, omit_defaults=True):
    """What `--json` writes."""

    time: datetime
    machine: dict[str, str]
    quick: bool
    s1: s1.Result | None = None
    s3: s3.Result | None = None
    quic: quic.Result | None = None
    score: score.Result | None = None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Benchmarks of Chiron: a real server on a temporary data folder, and its durable commits.",
        epilog="s1: fan-out, CPU a delivery and memory a link. s3: durable publish, acked messages a second. "
        "quic: CPU of requests, handshakes and pushes over HTTP/3, beside aioquic. "
        "score: time to score a text, beside SHA-256. "
        "bench/README.md says how to read the tables. Exit status: 0 done; 1 something was lost, repeated or out of "
        "order; 2 wrong arguments; 69 the run could not be made.",
    )
    parser.add_argument("scenario", choices=[*SCENARIOS, "all"])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small run with an unoptimised generator, in seconds: shows that it works; its figures mean nothing",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture (SVG)")
    return parser.parse_args()


async def run(wanted: list[str], quick: bool) -> Run:
    cores = Cores()
    if not cores.apart:
        say("There is one core for everything: what is measured contains what the others take from its caches.")
    result = Run(datetime.now(UTC), machine(), quick)
    # What is started from here, PostgreSQL among it, stays away from the measured core.
    cores.pin([os.getpid()], cores.load)
    if "score" in wanted:
        result.score = score.run(score.QUICK if quick else score.FULL, cores)
    if wanted == ["score"]:
        return result
    with tempfile.TemporaryDirectory(prefix="chiron-bench-") as name:
        folder = Path(name)
        say("Building the generator")
        program = await build_loadgen(optimised=not quick)
        async with child(program) as process:
            loadgen = Loadgen(process)
            if "s1" in wanted:
                loop = await build_send_loop(folder)
                result.s1 = await s1.run(s1.QUICK if quick else s1.FULL, cores, loadgen, loop, folder)
            if "s3" in wanted:
                result.s3 = await s3.run(s3.QUICK if quick else s3.FULL, cores, loadgen)
        if "quic" in wanted:
            result.quic = await quic.run(quic.QUICK if quick else quic.FULL, cores, program)
    return result


async def cancelled_by_signal(wanted: list[str], quick: bool) -> Run:
    """Ends like a failure when it is told to, so that nothing of it is left."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run(wanted, quick)


def main() -> int:
    options = arguments()
    wanted = list(SCENARIOS) if options.scenario == "all" else [options.scenario]
    try:
        result = asyncio.run(cancelled_by_signal(wanted, options.quick))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 69
    except asyncio.CancelledError:
        return 130
    print(tables.text(result.machine, result.s1, result.s3, result.quic, result.score, judged=not options.quick))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    if options.plot:
        options.plot.write_text(plot.svg(tables.charts(result.s1, result.s3, result.quic)))
    return 1 if tables.wrong(result.s1, result.s3, result.quic) else 0


if __name__ == "__main__":
    sys.exit(main())
