"""The command line, run as a person or a script runs it."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass

from serving import CHIRON, DEADLINE


@dataclass(frozen=True)
class Outcome:
    status: int
    output: str
    """Standard output."""
    said: str
    """Standard error."""


async def chiron(*arguments: str, given: str = "", **environment: str) -> Outcome:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHIRON_")}
    process = await asyncio.create_subprocess_exec(
        *(CHIRON, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**clean, "COLUMNS": "120", "NO_COLOR": "1", **environment},
    )
    async with asyncio.timeout(DEADLINE):
        output, said = await process.communicate(given.encode())
    assert process.returncode is not None
    outcome = Outcome(process.returncode, output.decode(), said.decode())
    assert "Traceback" not in outcome.said
    return outcome


def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
