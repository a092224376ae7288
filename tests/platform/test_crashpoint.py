"""A labelled crash point kills as a power cut does, and only where it was asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

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
