"""The whole server inside another program: PostgreSQL, migrations and the worker's app, on the program's own loop.

    async with serving(Settings(data_dir=folder), extend=extend) as server:
        print(server.plain)

There is no supervisor: what the program does to its loop, it does to the server, and a panic in the extension is the
program's to deal with. Keys and the development certificates change by themselves as they do under one.
Nothing here touches signals or logging.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from chiron.server import app
from chiron.server.config import Settings, WorkerConfig
from chiron.server.extension import Extend, Extension, Services
from chiron.server.foundation import Report, Serving, keep_postgres, lay
from chiron.server.live import LiveConfig
from chiron.server.platform.clock import SystemClock

DRAIN_SECONDS = 5.0
"""What clients get to finish when the program leaves the `async with`."""


@contextlib.asynccontextmanager
async def serving(
    settings: Settings,
    *,
    extend: Extend | None = None,
    report: Report = lambda sentence: None,
    on_poisoned: Callable[[BaseException], None] | None = None,
    drain_seconds: float = DRAIN_SECONDS,
) -> AsyncIterator[Serving]:
    """Serve until the block is left. `report` is told in sentences what takes long; `on_poisoned` of a panic in the
    Rust extension, after which this process should be replaced.

    Raises errors.SetupError when something must be mended first: a port in use, a data folder of another server.
    """
    async with contextlib.AsyncExitStack() as stack:
        clock = SystemClock()
        foundation = await lay(stack, settings, clock, report)
        server = app.build(foundation.config, extend=extend, on_poisoned=on_poisoned)
        by_descriptor = {sock.fileno(): sock for sock in foundation.sockets}
        listeners = [(by_descriptor[listener.descriptor], listener) for listener in foundation.config.listeners]
        try:
            await server.start(
                [(sock, listener.secure) for sock, listener in listeners if listener.serves],
                metrics_sockets=[sock for sock, listener in listeners if listener.metrics],
                datagram_sockets=[sock for sock, listener in listeners if listener.datagram],
            )
            live = LiveConfig(foundation.config, read_again=lambda: settings, tell=_follower(server), clock=clock)
            keeping = [asyncio.create_task(live.keep_fresh(), name="keys and certificate")]
            if foundation.postgres is not None:
                keeping.append(asyncio.create_task(keep_postgres(foundation.postgres, report), name="postgres"))
            try:
                yield foundation.serving
            finally:
                await server.drain(drain_seconds)
                for task in keeping:
                    task.cancel()
                await asyncio.wait(keeping)
        finally:
            await server.stop()


def _follower(server: app.App) -> Callable[[WorkerConfig], Awaitable[str]]:
    """`LiveConfig`'s `tell`, to the server on this loop."""

    async def tell(config: WorkerConfig) -> str:
        try:
            server.reload(config)
        except ValueError as error:
            return str(error)
        return ""

    return tell


__all__ = ["Extend", "Extension", "Services", "Serving", "Settings", "serving"]
