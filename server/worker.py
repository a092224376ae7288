"""A worker: serves what the supervisor bound, until it is told to drain or the supervisor is gone.

Started as `python -m chiron.server.worker DESCRIPTOR`, with one end of the control pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from chiron.errors import SetupError
from chiron.server import app
from chiron.server.config import Listener, WorkerConfig
from chiron.server.control import TO_WORKER, Channel, Drain, Failed, Ready, Reload, Reloaded, Start, ToWorker, Unready
from chiron.server.telemetry import set_log_level, set_up_logging

POISONED = 70
"""Exit status after a panic in the extension (EX_SOFTWARE): the supervisor starts another worker."""

ORPHAN_DRAIN = 5.0
"""Seconds that a worker whose supervisor died takes to finish: a new supervisor may wait for its sockets."""

SWITCH_INTERVAL = 0.0005
"""Seconds after which a Python thread gives way to the event loop's (the default is 5 ms)."""

COLLECT = (20_000, 20, 20)
"""Objects more before the youngest are collected, and how many such collections before the next older generation's (the
default is 700, 10, 10): a worker with thousands of messages in flight otherwise spends a tenth of its time on it."""

DESCRIPTORS = 1 << 20
"""Open files to ask for: each connection is one, and many systems begin with 1,024."""


async def serve(control: socket.socket) -> int:
    """Serve until told otherwise; the exit status."""
    channel = await Channel.over(control)
    start = await channel.receive(TO_WORKER)
    if not isinstance(start, Start):
        return 0
    set_up_logging(start.config.settings.log_level)
    log = structlog.get_logger("chiron.worker")
    said = channel.receive(TO_WORKER)
    goodbye = asyncio.create_task(said)
    try:
        server = await _start(start.config, goodbye)
    except SetupError as error:
        channel.send(Failed(str(error), error.exit_status))
        channel.close()
        return error.exit_status
    except Exception as error:
        log.exception("worker.unready")
        channel.send(Unready(str(error) or type(error).__name__))
        channel.close()
        return 1
    if server is None:
        return 0
    # What is here now stays: later collections need not look at it again.
    gc.collect()
    gc.freeze()
    channel.send(Ready())
    log.info("worker.ready", pid=os.getpid())
    message = await goodbye
    while isinstance(message, Reload):
        channel.send(_reload(server, message))
        message = await channel.receive(TO_WORKER)
    seconds = message.seconds if isinstance(message, Drain) else ORPHAN_DRAIN
    log.info("worker.drain", seconds=seconds, orphan=message is None)
    await server.drain(seconds)
    await server.stop()
    log.info("worker.stopped")
    channel.close()
    return 0


async def _start(config: WorkerConfig, goodbye: asyncio.Task[ToWorker | None]) -> app.App | None:
    """The server, once it serves; None when it is told to go before, as while it waits for the database."""
    server = app.build(config, on_poisoned=_exit_poisoned)
    starting = asyncio.create_task(
        server.start(
            [(_socket(listener), listener.secure) for listener in config.listeners if listener.serves],
            metrics_sockets=[_socket(listener) for listener in config.listeners if listener.metrics],
            datagram_sockets=[_socket(listener) for listener in config.listeners if listener.datagram],
        )
    )
    await asyncio.wait([starting, goodbye], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        return server
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return None


def _reload(server: app.App, message: Reload) -> Reloaded:
    log = structlog.get_logger("chiron.worker")
    try:
        server.reload(message.config)
    except Exception as error:
        log.exception("worker.reload_failed")
        return Reloaded(message.number, str(error) or type(error).__name__)
    set_log_level(message.config.settings.log_level)
    log.info("worker.reloaded")
    return Reloaded(message.number)


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
    gc.set_threshold(*COLLECT)
    _ask_for_descriptors()
    # The worker's own session keeps Ctrl-C from it; the supervisor alone says when to go.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(run(serve(socket.socket(fileno=int(sys.argv[1])))))


def _ask_for_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    # macOS refuses what its kernel cannot give, and the limit stays as it was.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


def _socket(listener: Listener) -> socket.socket:
    return socket.socket(fileno=listener.descriptor)


def _exit_poisoned(error: BaseException) -> None:
    structlog.get_logger("chiron.worker").critical("worker.poisoned", exc_info=error)
    os._exit(POISONED)


if __name__ == "__main__":
    main()
