from __future__ import annotations

import os
import signal
import subprocess
import sys

from chiron.server.platform import crashpoint

REACH_THRICE = """
from chiron.server.platform import crashpoint
for time in range(3):
    crashpoint.reach("committer.before_ack")
    crashpoint.reach("committer.after_commit")
    print(time, flush=True)
"""


def run(setting: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, crashpoint.VARIABLE: setting}
    return subprocess.run(
        [sys.executable, "-c", REACH_THRICE], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_process_dies_by_sigkill_where_it_was_told_to() -> None:
    ended = run("committer.before_ack:2")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "0\n")


def test_without_a_setting_nothing_happens() -> None:
    ended = run("")
    assert (ended.returncode, ended.stdout) == (0, "0\n1\n2\n")


def test_several_labels_may_be_armed() -> None:
    ended = run("committer.before_ack:3,committer.after_commit")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
