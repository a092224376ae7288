"""Connections to PostgreSQL: opened when needed, kept while they work, dropped at the first doubt.

asyncpg's own pool runs a reset query after each use, a round trip that a unit of work does not need: nothing here
changes a session outside a transaction, and a connection whose transaction did not end cleanly is not used again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import asyncpg

from chiron.db.errors import NO_CONNECTION, RETRY_AFTER, Lost
from chiron.errors import Unavailable
from chiron.server.ports import Distribution

ACQUIRE_BOUNDS = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 3.0)


class Connection:
    """An open connection and what identifies its server process (backend) to others."""

    __slots__ = ("backend_start", "driver", "pid", "unreplicated")

    def __init__(self, driver: asyncpg.Connection[Any], pid: int, backend_start: Any) -> None:
        self.driver = driver
        self.pid = pid
        self.backend_start = backend_start
        self.unreplicated = False
        """A COMMIT was told that it is durable here but not known to be on the synchronous standby."""
        driver.add_log_listener(self._heard)

    def _heard(self, _: Any, message: Any) -> None:
        # The only WARNING of class 01 that COMMIT can give (SyncRepWaitForLSN in syncrep.c).
        if message.severity_en == "WARNING" and message.sqlstate == "01000":
            self.unreplicated = True


class Connections:
    """At most `size` connections at once; the one used last is used next, so that the others can be let go.

    `settings` are session settings of PostgreSQL. Times in seconds.
    """

    def __init__(
        self, dsn: str, *, size: int, acquire_timeout: float, command_timeout: float, settings: Mapping[str, str]
    ) -> None:
        self.size = size
        self._dsn = dsn
        self._acquire_timeout = acquire_timeout
        self._command_timeout = command_timeout
        self._settings = dict(settings)
        self._places = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._closed = False
        self.waiting = 0
        """Units of work that wait for a connection."""
        self.acquired = Distribution(ACQUIRE_BOUNDS)
        """Seconds until they had one."""

    @property
    def open(self) -> int:
        return len(self._all)

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def acquire(self) -> Connection:
        """A connection for one unit of work, to be given to `release` or `discard`.

        Raises `Unavailable`: `busy` when all are in use for too long, `unavailable` when the server does not answer.
        """
        if self._closed:
            raise Lost
        began = time.monotonic()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._acquire_timeout):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("busy", retry_after=RETRY_AFTER) from None
        finally:
            self.waiting -= 1
        try:
            connection = await self._take()
        except BaseException:
            self._places.release()
            raise
        self.acquired.add(time.monotonic() - began)
        return connection

    def release(self, connection: Connection) -> None:
        """Give back a connection that is outside any transaction."""
        if self._closed or connection.driver.is_closed():
            self._drop(connection)
        else:
            self._idle.append(connection)
        self._places.release()

    def discard(self, connection: Connection) -> None:
        """Give back a connection in an unknown state: it is cut, and its server process rolls back."""
        self._drop(connection)
        self._places.release()

    def drop_idle(self) -> None:
        """Cut the connections that wait: after one was found broken, the others are likely broken too."""
        while self._idle:
            self._drop(self._idle.pop())

    async def close(self, *, timeout: float) -> None:
        """Close all; those in use get `timeout` seconds to be given back, then they are cut."""
        self._closed = True
        while self._idle:
            connection = self._idle.pop()
            self._all.discard(connection)
            try:
                await connection.driver.close(timeout=timeout)
            except (*NO_CONNECTION, asyncpg.PostgresError):
                connection.driver.terminate()
        try:
            async with asyncio.timeout(timeout):
                for _ in range(self.size):
                    await self._places.acquire()
        except TimeoutError:
            pass
        for connection in list(self._all):
            self._drop(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.driver.is_closed():
                return connection
            self._drop(connection)
        return await self._open()

    async def _open(self) -> Connection:
        try:
            driver = await asyncpg.connect(
                self._dsn,
                timeout=self._acquire_timeout,
                command_timeout=self._command_timeout,
                server_settings=self._settings,
            )
        except asyncpg.TooManyConnectionsError as error:
            raise Unavailable("busy", retry_after=RETRY_AFTER) from error
        except (*NO_CONNECTION, asyncpg.PostgresError) as error:
            raise Lost from error
        try:
            row = await driver.fetchrow(
                "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()",
                timeout=self._acquire_timeout,
            )
            assert row is not None, "a session sees its own row"
            connection = Connection(driver, row["pid"], row["backend_start"])
        except (*NO_CONNECTION, asyncpg.PostgresError) as error:
            driver.terminate()
            raise Lost from error
        except BaseException:
            driver.terminate()
            raise
        self._all.add(connection)
        return connection

    def _drop(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.driver.terminate()
