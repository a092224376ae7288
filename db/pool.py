"""Units of work on PostgreSQL: `ports.Database` and `ports.Tx` over asyncpg.

What can go wrong, and what the caller is told:

    before COMMIT     deadlock, serialization failure     the work runs again, a bounded number of times
                      connection lost, server restarting  Unavailable: nothing was changed
                      statement too slow                  Unavailable busy: rolled back
                      statement refused                   StatementError: rolled back
    in COMMIT         ERROR from the server               as above: rolled back
                      no answer, connection lost,         unknown: the server process of that connection is ended, and
                      standby not known to have it        `landed` looks for the outcome

"Unknown" is settled in this order. A COMMIT that was sent may still be on its way or at work, so before anybody looks,
the old server process must be gone: `pg_terminate_backend`, then waiting until `pg_stat_activity` no longer lists it.
A server process leaves that list only after its transaction has ended. Then what `landed` sees is final. The
transaction in which it looks writes one record to the write-ahead log, so that its own COMMIT waits for a synchronous
standby to have everything before it.

The connection must be a session of its own: a proxy that hands each transaction to another server process (PgBouncer in
transaction mode) breaks this.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

import asyncpg

from chiron.db.connections import UNREACHABLE, Connection, Connections
from chiron.errors import Unavailable, Unknown
from chiron.server.ports import Row, StatementError, Tx, in_transaction

T = TypeVar("T")

RETRY = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: the same work may succeed at once."""
BUSY = frozenset({"53300", "53400", "57014"})
"""too_many_connections, configuration_limit_exceeded, query_canceled (by statement_timeout)."""
DOWN_CLASSES = ("08", "57P", "53", "58", "25006")
"""Connection failures, shutdown and crash, no disk or memory, input/output errors, a server that became a standby."""

ATTEMPTS = 6
FIRST_BACKOFF = 0.01
LONGEST_BACKOFF = 0.5
TERMINATE_GRACE = 1.0
"""Seconds beyond the server's own statement_timeout after which the client stops waiting."""


class _Retry(Exception):
    """The work failed by collision and may run again."""


class _InDoubt(Exception):
    """COMMIT was sent and not answered."""

    def __init__(self, connection: Connection) -> None:
        self.pid = connection.pid
        self.backend_start = connection.backend_start
        super().__init__()


class _Transaction:
    """`ports.Tx` on one connection."""

    __slots__ = ("_driver",)

    def __init__(self, driver: asyncpg.Connection[Any]) -> None:
        self._driver = driver

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        try:
            return cast("Sequence[Row]", await self._driver.fetch(sql, *args))
        except Exception as error:
            _raise(error)

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        try:
            return cast("Row | None", await self._driver.fetchrow(sql, *args))
        except Exception as error:
            _raise(error)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        try:
            return await self._driver.fetchval(sql, *args)
        except Exception as error:
            _raise(error)

    async def execute(self, sql: str, *args: Any) -> str:
        try:
            return await self._driver.execute(sql, *args)
        except Exception as error:
            _raise(error)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        try:
            await self._driver.executemany(sql, args)
        except Exception as error:
            _raise(error)


def _raise(error: Exception) -> NoReturn:
    """Turn what asyncpg raised before COMMIT into what callers know."""
    if isinstance(error, asyncpg.DataError) and error.sqlstate is None:
        # An argument that asyncpg could not encode (it is also an InterfaceError): the caller's mistake.
        raise StatementError("22000", str(error)) from error
    if isinstance(error, (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)):
        # A migration ran under this connection. asyncpg has forgotten its plans; the next try makes them anew.
        raise _Retry from error
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or "XX000"
        if state in RETRY:
            raise _Retry from error
        if state in BUSY:
            raise Unavailable("busy", retry_after=1.0) from error
        if state.startswith(DOWN_CLASSES):
            raise Unavailable("unavailable", retry_after=1.0) from error
        raise StatementError(state, str(error.args[0]), getattr(error, "constraint_name", None)) from error
    if isinstance(error, UNREACHABLE):
        raise Unavailable("unavailable", retry_after=1.0) from error
    raise error


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
            command_timeout=statement_timeout + TERMINATE_GRACE,
            settings={
                "application_name": "chiron",
                "timezone": "UTC",
                "statement_timeout": f"{statement_timeout * 1000:.0f}",
                "idle_in_transaction_session_timeout": f"{2 * statement_timeout * 1000:.0f}",
            },
        )

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
                return await self._once(work, "BEGIN ISOLATION LEVEL READ COMMITTED")
            except _Retry:
                continue
            except _InDoubt as doubt:
                if landed is None:
                    raise Unknown("unknown") from doubt
                found = await self._settle(doubt, landed)
                if found is not None:
                    return found
        raise Unavailable("busy", retry_after=1.0)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """See `ports.Database.read`."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(_backoff(attempt))
            try:
                return await self._once(work, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            except _Retry:
                continue
            except _InDoubt as doubt:
                # Nothing was written, so nothing can be lost; but what was read is not confirmed either.
                raise Unavailable("unavailable", retry_after=1.0) from doubt
        raise Unavailable("busy", retry_after=1.0)

    async def check(self) -> str | None:
        """For `ports.Health`: None when the database answers, else a sentence."""
        try:
            await self.read(lambda tx: tx.fetchval("SELECT 1"))
        except Unavailable as error:
            return str(error)
        return None

    async def _once(self, work: Callable[[Tx], Awaitable[T]], begin: str) -> T:
        if in_transaction.get():
            raise RuntimeError("a unit of work may not open another: with few connections the two would deadlock")
        async with self._begun(begin) as connection:
            token = in_transaction.set(True)
            try:
                result = await work(_Transaction(connection.driver))
            finally:
                in_transaction.reset(token)
            await self._commit(connection)
            return result

    @contextlib.asynccontextmanager
    async def _begun(self, begin: str) -> AsyncIterator[Connection]:
        """A connection inside a transaction. The body commits; if it fails before that, it is rolled back."""
        connection = await self._begin(begin)
        try:
            yield connection
        except _InDoubt:
            self._connections.discard(connection)
            raise
        except Exception:
            await self._roll_back(connection)
            raise
        except BaseException:
            # Cancelled: maybe inside a statement. Cutting the connection ends it at the server.
            self._connections.discard(connection)
            raise
        else:
            self._connections.release(connection)

    async def _begin(self, begin: str) -> Connection:
        """Acquire and BEGIN. Connections that broke while they waited are replaced: nothing was asked of them yet."""
        for stale in (True, False):
            connection = await self._connections.acquire()
            try:
                await connection.driver.execute(begin)
            except (*UNREACHABLE, asyncpg.PostgresError) as error:
                self._connections.discard(connection)
                self._connections.drop_idle()
                if not stale:
                    raise Unavailable("unavailable", retry_after=1.0) from error
            except BaseException:
                self._connections.discard(connection)
                raise
            else:
                return connection
        raise AssertionError("unreachable")

    async def _roll_back(self, connection: Connection) -> None:
        if not connection.driver.is_closed():
            try:
                await connection.driver.execute("ROLLBACK")
            except (*UNREACHABLE, asyncpg.PostgresError):
                pass
            else:
                self._connections.release(connection)
                return
        self._connections.discard(connection)

    async def _commit(self, connection: Connection) -> None:
        """COMMIT. Raises `_InDoubt`, or what a definite refusal means."""
        connection.unreplicated = False
        try:
            # The server's statement_timeout would break off a wait for a standby, after the point of no return.
            said = await connection.driver.execute(
                "SET LOCAL statement_timeout = 0; COMMIT", timeout=self._commit_timeout
            )
        except asyncpg.PostgresError as error:
            if error.severity_en == "ERROR" and not connection.driver.is_closed():
                _raise(error)
            raise _InDoubt(connection) from error
        except UNREACHABLE as error:
            raise _InDoubt(connection) from error
        if connection.unreplicated:
            raise _InDoubt(connection)
        if said != "COMMIT":
            # The work swallowed a StatementError: PostgreSQL answers COMMIT with ROLLBACK then.
            raise StatementError("25P02", "the unit of work had failed and was rolled back")

    async def _settle(self, doubt: _InDoubt, landed: Callable[[Tx], Awaitable[T | None]]) -> T | None:
        """What became of an unanswered COMMIT. Raises `Unknown` when the database does not say in time."""

        async def look(tx: Tx) -> T | None:
            await tx.execute("SELECT pg_logical_emit_message(true, 'chiron', '')")
            return await landed(tx)

        try:
            async with asyncio.timeout(self._settle_timeout):
                attempt = 0
                while True:
                    try:
                        await self._end_backend(doubt)
                        return await self._once(look, "BEGIN ISOLATION LEVEL READ COMMITTED")
                    except (_Retry, _InDoubt, Unavailable):
                        attempt += 1
                        await asyncio.sleep(_backoff(attempt))
        except TimeoutError:
            raise Unknown("unknown") from doubt

    async def _end_backend(self, doubt: _InDoubt) -> None:
        """Return once the server process that was asked to COMMIT is gone. Raises `Unavailable`, `_Retry`."""

        async def terminate(tx: Tx) -> bool:
            # The start time tells it from a later process with the same id.
            return await tx.fetchval(
                "SELECT count(*) = 0 OR bool_and(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity"
                " WHERE pid = $1 AND backend_start = $2",
                doubt.pid,
                doubt.backend_start,
            )

        while not await self._once(terminate, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"):
            await asyncio.sleep(_backoff(1))


def _backoff(attempt: int) -> float:
    """Full jitter: colliding units of work spread out."""
    return random.uniform(0, min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempt))  # noqa: S311 - not a secret
