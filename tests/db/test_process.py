"""What a process is told of others."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from chiron.db.process import exited

DEADLINE = 60.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives notice")
async def test_an_exit_is_noticed_before_anybody_waits_for_the_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watching = asyncio.create_task(exited(process.pid))
        await asyncio.sleep(0)
        assert not watching.done()
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(DEADLINE):
            await watching
        assert process.returncode is None
        # A zombie has exited, too.
        await exited(process.pid)
    with pytest.raises(OSError, match=r"No such process|not implemented"):
        await exited(process.pid)
