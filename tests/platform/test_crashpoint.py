"""A labelled crash point kills as a power cut does, and only where it was asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chiron.server.platform.crashpoint import VARIABLE

PROGRAM = """
from chiron.server.platform.crashpoint import reach
for _ in range(3):
    reach("before")
    print("passed", flush=True)
    reach("after")
"""


@pytest.mark.parametrize(
    ("armed", "passed", "status"),
    [
        ("", 3, 0),
        ("elsewhere", 3, 0),
        ("before", 0, -signal.SIGKILL),
        ("before:3", 2, -signal.SIGKILL),
        ("after:2", 2, -signal.SIGKILL),
        ("elsewhere:1,after", 1, -signal.SIGKILL),
        ("before:4", 3, 0),
    ],
)
def test_the_nth_reach_kills(armed: str, passed: int, status: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, VARIABLE: armed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout.count("passed"), result.returncode) == (passed, status)
    # What it was that killed is the last word, and there is none where nothing did.
    assert result.stderr == (f"reached {armed.rpartition(',')[2].partition(':')[0]}\n" if status else "")


def test_of_those_with_a_file_one_dies(tmp_path: Path) -> None:
    environment = {**os.environ, VARIABLE: f"before:2:{tmp_path / 'died'},after:3"}
    statuses = [
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=False)
        for _ in range(2)
    ]
    assert [result.stderr.decode() for result in statuses] == ["reached before\n", "reached after\n"]
    assert [result.stdout.decode().count("passed") for result in statuses] == [1, 3]
