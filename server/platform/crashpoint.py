"""Labelled places at which a test may kill this process as hard as a power cut: the one path that only tests use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

VARIABLE = "CHIRON_CRASH_AT"
"""`label`, `label:n` or `label:n:file` (comma-separated for several): SIGKILL to this process when it gets there the
n-th time. It makes the file then, and a process that finds the file at its start lets the label be: so of all workers
that follow each other one dies there."""

STDERR = 2


def _armed() -> dict[str, tuple[int, str]]:
    places = ((*entry.split(":", 2), "", "") for entry in os.environ.get(VARIABLE, "").split(",") if entry)
    return {label: (int(count or 1), file) for label, count, file, *_ in places if not (file and Path(file).exists())}


_left = _armed()


def reach(label: str) -> None:
    """Die here if the environment said so when this module was loaded; else nothing, in the time of one lookup.

    The last that standard error has of this process is then the line `reached LABEL`.
    """
    if label in _left:
        count, file = _left[label]
        _left[label] = count - 1, file
        if count <= 1:
            if file:
                Path(file).touch()
            # Past every buffer: nothing that waits in one is written after this.
            os.write(STDERR, f"reached {label}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
