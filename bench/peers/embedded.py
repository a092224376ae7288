"""Chiron inside a program, with two routes of the program's own: 100 bytes for who is signed in, 20 MiB for anybody.

`python embedded.py FOLDER`: serves on the data folder; prints its port once it does. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import uvloop

from chiron.server.config import LimitSettings
from chiron.server.embedding import Extension, Services, Settings, serving
from chiron.server.ports import ANYONE, SIGNED_IN, Call, Response, Route
from chiron.server.telemetry import set_up_logging
from chiron.server.worker import COLLECT, SWITCH_INTERVAL

SMALL, LARGE = Response(200, b"x" * 100), Response(200, b"x" * (20 << 20))

LIMITS = LimitSettings(address_per_second=1e9, address_burst=1e9, person_per_second=1e9, person_burst=1e9)
"""What is measured is the server, not its patience with one address and with a hundred people."""


async def small(call: Call) -> Response:
    return SMALL


async def large(call: Call) -> Response:
    return LARGE


def extend(services: Services) -> Extension:
    return Extension(routes=[Route("GET", "/small", small, SIGNED_IN), Route("GET", "/large", large, ANYONE)])


async def main() -> None:
    settings = Settings(
        data_dir=Path(sys.argv[1]), host="127.0.0.1", port=0, plain=None, metrics=None, quic=True, limits=LIMITS
    )
    async with serving(settings, extend=extend, drain_seconds=0.5) as server:
        gc.collect()
        gc.freeze()
        assert server.secure is not None
        print(server.secure.rpartition(":")[2], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# As a worker does that logs no requests.
set_up_logging("warning")
sys.setswitchinterval(SWITCH_INTERVAL)
gc.set_threshold(*COLLECT)
uvloop.run(main())
