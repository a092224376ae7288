"""Units of work on PostgreSQL: `ports.Database` and `ports.Tx` over asyncpg.

What can go wrong, and what the caller is told:

    before COMMIT     deadlock, serialization failure     the work runs again, a bounded number of times
                      connection lost, server restarting  Unavailable: nothing was changed
                      statement too slow                  Unavailable busy: rolled back
                      statement refused                   StatementError: rolled back
    in COMMIT         ERROR from the server               as above: rolled back
                      no answer, connection lost,         in doubt: the server process of that connection is ended, then
                      standby not known to have it        `landed` looks for the outcome
    `single`          connection lost                     the statement runs once more, then Unavailable: whether it
                                                          took effect is not known, and must not matter

Doubt is settled in this order. A COMMIT that was sent may still be on its way or at work, so before anybody looks, the
old server process must be gone: `pg_terminate_backend`, until `pg_stat_activity` no longer lists it. A server process
leaves that list only after its transaction has ended, so what `landed` then sees is final. The transaction in which it
looks writes one record to the write-ahead log, so that its own COMMIT waits until a synchronous standby has everything
before it.

The connection must be a session of its own: a proxy that hands each transaction to another server process (PgBouncer in
transaction mode) breaks this.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

import asyncpg

from chiron.db.connections import Connection, Connections
from chiron.db.errors import NO_CONNECTION, RETRY_AFTER, Collision, Lost, translate
from chiron.errors import Unavailable, Unknown
from chiron.server.ports import Row, StatementError, Tx, in_transaction

T = TypeVar("T")

ATTEMPTS = 6
FIRST_BACKOFF = 0.01
LONGEST_BACKOFF = 0.5
CLIENT_GRACE = 1.0
"""Seconds beyond the server's own statement_timeout after which the client stops waiting."""


class _InDoubt(Exception):
    """COMMIT was sent, and whether it took effect is not known."""

    def __init__(self, connection: Connection) -> None:
        self.pid = connection.pid
        self.backend_start = connection.backend_start
        super().__init__()


class _Transaction:
    """`ports.Tx` on one connection. `json` and `jsonb` values are `str` both ways, asyncpg's default: the domains
    encode and decode their own types, and a body is never parsed on its way through."""

    __slots__ = ("_driver",)

    def __init__(self, driver: asyncpg.Connection[Any]) -> None:
        self._driver = driver

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        try:
            return cast("Sequence[Row]", await self._driver.fetch(sql, *args))
        except Exception as error:
            translate(error, self._driver)

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        try:
            return cast("Row | None", await self._driver.fetchrow(sql, *args))
        except Exception as error:
            translate(error, self._driver)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        try:
            return await self._driver.fetchval(sql, *args)
        except Exception as error:
            translate(error, self._driver)

    async def execute(self, sql: str, *args: Any) -> str:
        try:
            return await self._driver.execute(sql, *args)
        except Exception as error:
            translate(error, self._driver)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        try:
            await self._driver.executemany(sql, args)
        except Exception as error:
            translate(error, self._driver)


class Pool:
    """A bounded set of connections to one database (`ports.Database`, `ports.Lifespan`). Times in seconds.

    `acquire_timeout` bounds the wait for a free connection and the making of one; `statement_timeout` one statement;
    `commit_timeout` the wait for COMMIT's answer, after which it is looked for; `settle_timeout` that looking.
    It recovers from a restart of PostgreSQL by itself: each failed use drops what is broken.
    """

    def __init__(
        self,
        dsn: str,
        *,
        size: int = 8,
        acquire_timeout: float = 3.0,
        statement_timeout: float = 10.0,
        commit_timeout: float = 30.0,
        settle_timeout: float = 20.0,
    ) -> None:
        self._commit_timeout = commit_timeout
        self._settle_timeout = settle_timeout
        self._connections = Connections(
            dsn,
            size=size,
            acquire_timeout=acquire_timeout,
            command_timeout=statement_timeout + CLIENT_GRACE,
            settings={
                "application_name": "chiron",
                "timezone": "UTC",
                "statement_timeout": f"{statement_timeout * 1000:.0f}",
                "idle_in_transaction_session_timeout": f"{2 * statement_timeout * 1000:.0f}",
                # A client machine that vanished frees its server processes in a minute, not in two hours.
                "tcp_keepalives_idle": "30",
                "tcp_keepalives_interval": "10",
                "tcp_keepalives_count": "3",
            },
        )

    @property
    def connections(self) -> Connections:
        """For metrics."""
        return self._connections

    async def start(self) -> None:
        """Open a first connection. Raises `Unavailable`."""
        self._connections.release(await self._connections.acquire())

    async def stop(self, *, timeout: float = 5.0) -> None:
        """Close; units of work under way get `timeout` seconds, then they are cut and rolled back."""
        await self._connections.close(timeout=timeout)

    async def run(
        self, work: Callable[[Tx], Awaitable[T]], *, landed: Callable[[Tx], Awaitable[T | None]] | None = None
    ) -> T:
        """See `ports.Database.run`. `work` may be called several times and must not act outside the database."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(_backoff(attempt))
            try:
                return await self._write(work)
            except Collision:
                continue
            except _InDoubt as doubt:
                if landed is None:
                    raise Unknown("unknown") from doubt
                found = await self._settle(doubt, landed)
                if found is not None:
                    return found
        raise Unavailable("busy", retry_after=RETRY_AFTER)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """See `ports.Database.read`."""
        return await self._repeated(work, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    async def single(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """See `ports.Database.single`."""
        try:
            return await self._repeated(work)
        except Lost:
            # It may have broken while it waited, and then the others that wait have too.
            self._connections.drop_idle()
            return await self._repeated(work)

    async def check(self) -> str | None:
        """For `ports.Health`: None when the database answers, else a sentence."""
        try:
            await self.read(lambda tx: tx.fetchval("SELECT 1"))
        except Unavailable as error:
            return str(error)
        return None

    async def _repeated(self, work: Callable[[Tx], Awaitable[T]], begin: str | None = None) -> T:
        """Run what is not committed here, again while it collides."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(_backoff(attempt))
            try:
                async with self._acquired(begin) as connection:
                    return await _perform(work, connection)
            except Collision:
                continue
        raise Unavailable("busy", retry_after=RETRY_AFTER)

    async def _write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self._acquired("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as connection:
            result = await _perform(work, connection)
            await self._commit(connection)
        return result

    @contextlib.asynccontextmanager
    async def _acquired(self, begin: str | None = None) -> AsyncIterator[Connection]:
        """A connection, inside a transaction if there is a `begin`. What the body does not commit is rolled back."""
        if in_transaction.get():
            raise RuntimeError("a unit of work may not open another: with few connections the two would deadlock")
        connection = await (self._begin(begin) if begin else self._connections.acquire())
        try:
            yield connection
        except (Lost, _InDoubt):
            self._connections.discard(connection)
            raise
        except Exception:
            await self._roll_back(connection)
            raise
        except BaseException:
            # Cancelled, maybe inside a statement: cutting the connection ends it at the server too.
            self._connections.discard(connection)
            raise
        else:
            await self._roll_back(connection)

    async def _begin(self, begin: str) -> Connection:
        """Acquire and BEGIN. A connection that broke while it waited is replaced once: nothing was asked of it yet."""
        for last in (False, True):
            connection = await self._connections.acquire()
            try:
                await connection.driver.execute(begin)
            except (*NO_CONNECTION, asyncpg.PostgresError) as error:
                self._connections.discard(connection)
                # Whatever broke this one has likely broken the others that wait.
                self._connections.drop_idle()
                if last:
                    raise Lost from error
            except BaseException:
                self._connections.discard(connection)
                raise
            else:
                return connection
        raise AssertionError("the second try returns or raises")

    async def _roll_back(self, connection: Connection) -> None:
        """Give the connection back outside any transaction, or not at all."""
        driver = connection.driver
        try:
            if not driver.is_closed() and driver.is_in_transaction():
                await driver.execute("ROLLBACK")
        except (*NO_CONNECTION, asyncpg.PostgresError):
            self._connections.discard(connection)
        except BaseException:
            self._connections.discard(connection)
            raise
        else:
            self._connections.release(connection)

    async def _commit(self, connection: Connection) -> None:
        """COMMIT. Raises `_InDoubt`, or what a definite refusal means."""
        driver = connection.driver
        if driver.is_closed():
            raise Lost
        connection.unreplicated = False
        try:
            # The server's statement_timeout would break off a wait for a standby, after the point of no return.
            said = await driver.execute("SET LOCAL statement_timeout = 0; COMMIT", timeout=self._commit_timeout)
        except asyncpg.PostgresError as error:
            if error.severity_en == "ERROR" and not driver.is_closed():
                if error.sqlstate == "25P02":
                    raise _swallowed() from None
                translate(error, driver)
            raise _InDoubt(connection) from error
        except NO_CONNECTION as error:
            raise _InDoubt(connection) from error
        if connection.unreplicated:
            raise _InDoubt(connection)
        if said != "COMMIT":
            raise _swallowed()

    async def _settle(self, doubt: _InDoubt, landed: Callable[[Tx], Awaitable[T | None]]) -> T | None:
        """What became of an unanswered COMMIT. Raises `Unknown` when the database does not say in time."""

        async def look(tx: Tx) -> T | None:
            await tx.execute("SELECT pg_logical_emit_message(true, 'chiron', '')")
            return await landed(tx)

        try:
            async with asyncio.timeout(self._settle_timeout):
                for attempt in itertools.count(1):
                    try:
                        if await self._backend_ended(doubt):
                            return await self._write(look)
                    except (Collision, _InDoubt, Unavailable):
                        pass
                    await asyncio.sleep(_backoff(attempt))
        except TimeoutError:
            pass
        raise Unknown("unknown") from doubt

    async def _backend_ended(self, doubt: _InDoubt) -> bool:
        """Whether the server process that was asked to COMMIT is gone; if not, it is told to go."""

        async def terminate(tx: Tx) -> bool:
            # The start time tells it from a later process with the same id.
            rows = await tx.fetch(
                "SELECT pg_terminate_backend(pid, 1000) AS ended FROM pg_stat_activity"
                " WHERE pid = $1 AND backend_start = $2",
                doubt.pid,
                doubt.backend_start,
            )
            return all(row["ended"] for row in rows)

        return await self.read(terminate)


async def _perform(work: Callable[[Tx], Awaitable[T]], connection: Connection) -> T:
    token = in_transaction.set(True)
    try:
        return await work(_Transaction(connection.driver))
    finally:
        in_transaction.reset(token)


def _swallowed() -> StatementError:
    """The work caught a `StatementError` and went on: there is nothing left that could be committed."""
    return StatementError("25P02", "a statement of this unit of work had failed; all of it is rolled back")


def _backoff(attempt: int) -> float:
    """Full jitter: colliding units of work spread out."""
    return random.uniform(0, min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempt))  # noqa: S311 - not a secret
