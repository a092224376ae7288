"""Progress, on standard error: standard output is for results."""

from __future__ import annotations

import sys
import time

_began = time.monotonic()


def say(sentence: str) -> None:
    print(f"{time.monotonic() - _began:7.1f} s  {sentence}", file=sys.stderr, flush=True)
