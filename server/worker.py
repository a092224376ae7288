"""A worker: serves what the supervisor bound, until it is told to drain or the supervisor is gone.

Started as `python -m chiron.server.worker DESCRIPTOR`, with one end of the control pipe.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from chiron.errors import SetupError
from chiron.server import app
from chiron.server.config import WorkerConfig
from chiron.server.control import TO_WORKER, Channel, Drain, Failed, Ready, Start
from chiron.server.telemetry import set_up_logging

POISONED = 70
"""Exit status after a panic in the extension (EX_SOFTWARE): the supervisor starts another worker."""

ORPHAN_DRAIN = 5.0
"""Seconds that a worker whose supervisor died takes to finish: a new supervisor may wait for its sockets."""

SWITCH_INTERVAL = 0.0005
"""Seconds after which a Python thread gives way to the event loop's (the default is 5 ms)."""


async def serve(control: socket.socket) -> int:
    """Serve until told otherwise; the exit status."""
    channel = await Channel.over(control)
    start = await channel.receive(TO_WORKER)
    if not isinstance(start, Start):
        return 0
    set_up_logging(start.config.log_level)
    log = structlog.get_logger("chiron.worker")
    server = app.build(start.config, on_poisoned=_exit_poisoned)
    try:
        await server.start(_sockets(start.config))
    except SetupError as error:
        channel.send(Failed(str(error), error.exit_status))
        channel.close()
        return error.exit_status
    channel.send(Ready())
    log.info("worker.ready", pid=os.getpid())
    message = await channel.receive(TO_WORKER)
    seconds = message.seconds if isinstance(message, Drain) else ORPHAN_DRAIN
    log.info("worker.drain", seconds=seconds, orphan=message is None)
    await server.drain(seconds)
    await server.stop()
    log.info("worker.stopped")
    channel.close()
    return 0


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where there is one."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def main() -> None:
    sys.setswitchinterval(SWITCH_INTERVAL)
    # The worker's own session keeps Ctrl-C from it; the supervisor alone says when to go.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(run(serve(socket.socket(fileno=int(sys.argv[1])))))


def _sockets(config: WorkerConfig) -> list[tuple[socket.socket, bool]]:
    return [(socket.socket(fileno=listener.descriptor), listener.secure) for listener in config.listeners]


def _exit_poisoned(error: BaseException) -> None:
    structlog.get_logger("chiron.worker").critical("worker.poisoned", exc_info=error)
    os._exit(POISONED)


if __name__ == "__main__":
    main()
