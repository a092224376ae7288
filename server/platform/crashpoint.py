"""Labelled places at which a test may kill this process as hard as a power cut: the one path that only tests use."""

from __future__ import annotations

import os
import signal

VARIABLE = "CHIRON_CRASH_AT"
"""`label` or `label:n` (comma-separated for several): SIGKILL to this process when it gets there the n-th time."""


def _armed() -> dict[str, int]:
    places = (entry.partition(":") for entry in os.environ.get(VARIABLE, "").split(",") if entry)
    return {label: int(count or 1) for label, _, count in places}


_left = _armed()


def reach(label: str) -> None:
    """Die here if the environment said so when this module was loaded; else nothing, in the time of one lookup."""
    if label in _left:
        _left[label] -= 1
        if _left[label] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
