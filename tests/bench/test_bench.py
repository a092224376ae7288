"""The benchmarks run, and say what they must."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 280.0


async def bench(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE):
        out, progress = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), progress.decode()


async def test_a_quick_run_measures_everything_and_loses_nothing(tmp_path: Path) -> None:
    status, table, progress = await bench(
        "all", "--quick", "--json", str(tmp_path / "run.json"), "--plot", str(tmp_path / "run.svg")
    )
    assert status == 0, progress
    run: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
    assert {"cpu", "cores", "kernel", "python"} <= run["machine"].keys()
    assert run["quick"] is True

    fan_out = run["s1"]["rows"]
    assert {row["transport"] for row in fan_out} == {"plain", "TLS"}
    assert len(fan_out) == 8
    for row in fan_out:
        assert row["deliveries"] > 0
        assert (row["lost"], row["repeated"], row["disordered"], row["troubles"]) == (0, 0, 0, {})
        for cost in ("cpu_us", "send_us", "websockets_us", "postgres_us"):
            assert 0 < row[cost]["min"] <= row[cost]["median"] <= row[cost]["max"]
        assert 0 < row["ack_ms"]["p50"] <= row["ack_ms"]["p99"] <= row["ack_ms"]["max"]
        assert 0 < row["delivery_ms"]["p99"] < 60_000
        assert row["times_send"] > 0
    assert [memory["transport"] for memory in run["s1"]["memory"]] == ["plain", "TLS"]

    (publish,) = run["s3"]["rows"]
    assert publish["acked"] == publish["stored"] > 0
    assert (publish["lost"], publish["repeated"], publish["disordered"]) == (0, 0, 0)
    assert publish["acked_per_second"]["median"] > 0
    assert publish["bare_per_second"]["median"] > 0
    assert publish["batch_rows"] >= 1

    scoring = run["s3"]["scoring"]
    assert 0 < scoring["off_us"]["min"] <= scoring["on_us"]["max"] * 10
    assert scoring["acked"] > 0

    lengths = {"200 characters", "16 KiB"}
    assert {row["length"] for row in run["score"]["rows"]} == lengths
    for row in run["score"]["rows"]:
        assert 0 < row["ours"]["p50"]["median"] <= row["ours"]["p99"]["median"]
        assert row["times_sha"] > 0

    assert "100 rooms" not in table
    assert "4 rooms of 10, 1 at a time" in table
    assert "acked/s" in table
    assert "met" not in table, "what a quick run measures is compared with nothing"
    assert (tmp_path / "run.svg").read_text().startswith("<svg ")
    assert "S1 plain" in progress


async def test_wrong_arguments_are_told() -> None:
    status, _, said = await bench("s2")
    assert status == 2
    assert "s1" in said


async def test_help_names_the_scenarios() -> None:
    status, said, _ = await bench("--help")
    assert status == 0
    assert "s1: fan-out" in said
    assert "s3: durable publish" in said
