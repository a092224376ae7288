"""What is said while a benchmark runs: on standard error, so that standard output is the table alone."""

from __future__ import annotations

import sys
import time

_began = time.monotonic()


def say(sentence: str) -> None:
    print(f"{time.monotonic() - _began:7.1f} s  {sentence}", file=sys.stderr, flush=True)
